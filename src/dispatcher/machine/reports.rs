//! What others say about a job: the agent's status reports and LiveKit's termination.
//!
//! Decides what becomes of a report, and who has the last word after a termination: the agent, for ten seconds. It
//! refuses to change a final status, and to let anybody report but the delivery under way.

use crate::dispatcher::machine::state::{Flight, LastWord, Watch};
use crate::dispatcher::machine::{
    cut_error, Effect, Machine, Notice, Reporter, Stage, StatusAnswer, StatusRule, StatusView,
};
use crate::words::{JobStatus, TerminationReason};

/// How long an agent may still report after its job was ended.
const LAST_WORD_MS: u64 = 10_000;

impl Machine {
    pub(super) fn status(
        &mut self,
        ticket: u64,
        reporter: Reporter,
        status: JobStatus,
        error: Option<String>,
    ) {
        match self.record.say().judge(reporter, status) {
            StatusRule::Conflict => {
                let answer = StatusAnswer::Conflict(StatusView::from(&self.record));
                self.now_do(Effect::Reply { ticket, answer });
            }
            StatusRule::Repeat => {
                let answer = StatusAnswer::Stored(StatusView::from(&self.record));
                self.hold([Effect::Reply { ticket, answer }]);
                self.saved(self.saved);
            }
            StatusRule::Apply => {
                // Whoever reports has the job, whatever became of the answer to the POST.
                self.taken_by_status();
                self.record.status = status;
                self.record.error = error
                    .filter(|_| status == JobStatus::Failed)
                    .map(|text| cut_error(&text));
                self.record.updated_at = self.now.unix_ms;
                let answer = StatusAnswer::Stored(StatusView::from(&self.record));
                self.hold_next([Effect::Reply { ticket, answer }]);
                if status.is_terminal() {
                    self.end();
                } else {
                    self.runs();
                }
            }
        }
    }

    /// The agent is there, so nobody else will need the token.
    fn runs(&mut self) {
        let status = JobStatus::Running;
        self.record.stage = Stage::Running;
        self.record.token = None;
        if self.last_word.is_none() {
            self.watch_on();
        }
        let report = Effect::Report {
            status,
            error: None,
        };
        self.save(true, [report, Effect::Notice(Notice::Status { status })]);
    }

    /// LiveKit ended the job, unless it only says that we removed its participant.
    pub(super) fn terminated(&mut self) {
        if let Flight::Clearing { terminated, .. } = &mut self.flight {
            *terminated = true;
            return;
        }
        let own = self.own_removal_until.take();
        if own.is_none_or(|until| until <= self.now.instant) {
            self.ended_by_livekit();
        }
    }

    pub(super) fn ended_by_livekit(&mut self) {
        let error = match self.record.stage < Stage::Delivered {
            true => "LiveKit ended the job before an agent took it",
            false => "LiveKit ended the job and the agent reported no result",
        };
        self.wind_up(TerminationReason::DispatchDeleted, error.to_owned());
    }

    /// Ends the job: at once as long as no agent has it, else when the agent had time for its last word.
    pub(super) fn wind_up(&mut self, reason: TerminationReason, error: String) {
        if self.record.stage == Stage::Ended || self.last_word.is_some() {
            return;
        }
        self.watch = Watch::default();
        if self.record.stage >= Stage::Delivered {
            self.record.terminated_at = Some(self.now.unix_ms);
            self.last_word = Some(LastWord {
                until: self.now.after_ms(LAST_WORD_MS),
                reason,
                error,
            });
            let told = self.post_terminated(reason);
            self.save(true, told);
            return;
        }
        let at_work = matches!(self.flight, Flight::Attempt | Flight::Clearing { .. });
        let begun = at_work || self.in_doubt;
        self.stop_attempt();
        if begun {
            let told = self.post_terminated(reason);
            self.hold_next(told.into_iter().chain([Effect::RemoveParticipant]));
        }
        self.fail(&error);
    }

    /// The agent had its time.
    pub(super) fn end_without_last_word(&mut self) {
        let until = self.last_word.as_ref().map(|last_word| last_word.until);
        if !self.is_due(until) {
            return;
        }
        if let Some(last_word) = self.last_word.take() {
            if last_word.reason == TerminationReason::Expired {
                self.hold_next([Effect::RemoveParticipant]);
            }
            self.fail(&last_word.error);
        }
    }
}
