//! What others say about a job: the agent's status reports and LiveKit's termination.
//!
//! Decides what becomes of a report, and who has the last word after a termination: the agent, for ten seconds. It
//! refuses to change a final status and to tell LiveKit about a job that LiveKit has already forgotten.

use crate::dispatcher::machine::{
    cut_error, judge_status, Effect, Flight, Machine, Notice, Stage, StatusAnswer, StatusRule,
    StatusView,
};
use crate::words::{JobStatus, TerminationReason};

impl Machine {
    pub(super) fn status(
        &mut self,
        now: i64,
        ticket: u64,
        status: JobStatus,
        error: Option<String>,
    ) {
        match judge_status(self.record.status, status) {
            StatusRule::Conflict => {
                let answer = StatusAnswer::Conflict(StatusView::from(&self.record));
                self.now_do(Effect::Reply { ticket, answer });
            }
            StatusRule::Repeat => {
                let answer = StatusAnswer::Stored(StatusView::from(&self.record));
                self.hold([Effect::Reply { ticket, answer }]);
                self.saved(now, self.saved);
            }
            StatusRule::Apply => {
                // Whoever reports has the job, whatever became of the answer to the POST.
                self.taken_by_status();
                self.record.status = status;
                self.record.error = error
                    .filter(|_| status == JobStatus::Failed)
                    .map(|text| cut_error(&text));
                self.record.updated_at = now;
                let answer = StatusAnswer::Stored(StatusView::from(&self.record));
                self.hold_next(Effect::Reply { ticket, answer });
                if status.is_terminal() {
                    let report = self.record.terminated_at.is_none();
                    self.end(now, report);
                } else {
                    self.record.stage = Stage::Running;
                    let report = Effect::Report {
                        status,
                        error: None,
                    };
                    self.save(
                        now,
                        true,
                        [report, Effect::Notice(Notice::Status { status })],
                    );
                }
            }
        }
    }

    pub(super) fn terminated(&mut self, now: i64) {
        match self.record.stage {
            Stage::Delivered | Stage::Running => {
                if self.record.terminated_at.is_none() {
                    self.record.terminated_at = Some(now);
                    let told = self.post_terminated(TerminationReason::DispatchDeleted);
                    self.save(now, true, told);
                }
            }
            Stage::Ended => {}
            Stage::Offered | Stage::Answered | Stage::Assigned | Stage::Delivering => {
                let begun = self.flight == Flight::Attempt || self.in_doubt;
                self.stop_attempt();
                if begun {
                    self.post_terminated(TerminationReason::DispatchDeleted)
                        .into_iter()
                        .for_each(|effect| self.hold_next(effect));
                }
                self.record.status = JobStatus::Failed;
                self.record.error =
                    Some("LiveKit ended the job before an agent took it".to_owned());
                self.end(now, false);
            }
        }
    }
}
