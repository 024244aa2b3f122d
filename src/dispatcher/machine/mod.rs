//! What happens to one job, from LiveKit's offer to its end, as a machine without effects.
//!
//! Decides which record is written and what is sent once it is written; time and outcomes are inputs. It refuses to end
//! twice, to report anything after the end, to start an attempt while another may be running, and to ask an endpoint
//! while another one's agent may be in the room.

mod cancel;
mod delivery;
mod io;
#[cfg(test)]
mod property;
mod record;
mod reports;
mod state;
#[cfg(test)]
pub(crate) mod tests;
mod watch;

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

use crate::dispatcher::machine::state::{Flight, LastWord, Watch};
use crate::id::Pii;
use crate::time::Now;
use crate::words::JobStatus;
use crate::worker::protocol::Job;

pub use crate::dispatcher::machine::io::{
    Effect, Input, Notice, Outcome, Output, Plan, Reading, Removal, Route, StatusAnswer, StatusView,
};
pub use crate::dispatcher::machine::record::{
    cut_error, Bearer, Delivery, Record, Reporter, Say, Stage, StatusRule, Token,
};

/// LiveKit assigns within milliseconds of the answer, or not at all: its own limit is 3 s after the offer.
const ASSIGNMENT_WAIT_MS: u64 = 10_000;
/// When a record that could not be written is tried again.
const SAVE_AGAIN_MS: u64 = 1_000;
/// How long a token lives that does not say so: LiveKit's own hour.
pub const TOKEN_LIFE_MS: i64 = 3_600_000;
/// How long a date may be relied on before the wall clock is looked at again: it may have been set meanwhile.
const DATE_CHECK_MS: u64 = 60_000;

/// The life of one job.
///
/// **Persist before effect: nothing is sent that a restart could not account for.** Every change of the record is an
/// `Output::Persist`, and whatever it allows to be sent is held back until `Input::Saved` confirms that record.
#[derive(Debug)]
pub struct Machine {
    plan: Plan,
    /// The hash of a status bearer for each endpoint of the plan.
    bearers: Vec<String>,
    record: Record,
    /// When the last input came.
    now: Now,
    gone: BTreeSet<String>,
    flight: Flight,
    /// When the first attempt at the current endpoint began.
    began_at: Instant,
    assign_by: Instant,
    /// An attempt at the current endpoint may have been taken: its agent may be on its way.
    in_doubt: bool,
    /// Why the last endpoint did not take it.
    failure: String,
    watch: Watch,
    /// LiveKit does not know the job any more, so nothing will be heard of its end.
    detached: bool,
    /// Until then a termination is taken for the consequence of our own removal of a participant.
    own_removal_until: Option<Instant>,
    last_word: Option<LastWord>,
    sequence: u64,
    saved: u64,
    save_again_at: Option<Instant>,
    held: VecDeque<(u64, Effect)>,
    outputs: VecDeque<Output>,
}

impl Machine {
    /// LiveKit offers a job. The offer is accepted as soon as that is written down; whether there is room for it is
    /// the caller's decision. `bearers` are hashes of fresh status bearers, one for each endpoint of the plan.
    pub fn offered(now: Now, job: Job, identity: String, bearers: Vec<String>, plan: Plan) -> Self {
        let record = Record {
            job,
            identity: Pii(identity),
            stage: Stage::Answered,
            status: JobStatus::Pending,
            error: None,
            bearers: Vec::new(),
            token: None,
            token_expires_at: None,
            delivery: None,
            terminated_at: None,
            created_at: now.unix_ms,
            updated_at: now.unix_ms,
            ended_at: None,
        };
        let mut machine = Machine::with(now, record, bearers, plan);
        machine.save(false, [Effect::Answer { available: true }]);
        machine
    }

    /// Takes up a job after a restart, from its record. A delivery goes on if its token still lives, under a fresh
    /// bearer because the old one was never kept; nobody knows what came of its last attempt.
    pub fn restored(now: Now, record: Record, bearers: Vec<String>, plan: Plan) -> Self {
        let mut machine = Machine::with(now, record, bearers, plan);
        machine.detached = true;
        match machine.record.stage {
            Stage::Offered | Stage::Answered => {
                machine.fail("the dispatcher was restarted before LiveKit assigned the job");
            }
            Stage::Assigned | Stage::Delivering => machine.resume(),
            Stage::Delivered | Stage::Running if machine.record.terminated_at.is_some() => {
                machine.ended_by_livekit();
            }
            Stage::Delivered | Stage::Running => machine.watch_on(),
            Stage::Ended => {}
        }
        machine
    }

    fn with(now: Now, record: Record, bearers: Vec<String>, plan: Plan) -> Self {
        Machine {
            plan,
            bearers,
            record,
            now,
            gone: BTreeSet::new(),
            flight: Flight::None,
            began_at: now.instant,
            assign_by: now.after_ms(ASSIGNMENT_WAIT_MS),
            in_doubt: false,
            failure: String::new(),
            watch: Watch::default(),
            detached: false,
            own_removal_until: None,
            last_word: None,
            sequence: 0,
            saved: 0,
            save_again_at: None,
            held: VecDeque::new(),
            outputs: VecDeque::new(),
        }
    }

    /// The record as it is in memory.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Takes in what happened at `now`; late and repeated inputs change nothing.
    pub fn handle(&mut self, now: Now, input: Input) {
        self.now = now;
        match input {
            Input::Saved { sequence } => self.saved(sequence),
            Input::NotSaved { sequence } => self.not_saved(sequence),
            Input::Assigned { token, expires_at } => self.assigned(token, expires_at),
            Input::AssignmentLost => self.assignment_lost(),
            Input::Attempted {
                delivery,
                attempt,
                outcome,
            } => self.attempted(delivery, attempt, outcome),
            Input::EndpointGone { url } => self.endpoint_gone(url),
            Input::Removal(removal) => self.removal(removal),
            Input::Presence(present) => self.presence(present),
            Input::Status {
                ticket,
                reporter,
                status,
                error,
            } => self.status(ticket, reporter, status, error),
            Input::Terminated => self.terminated(),
            Input::Tick => self.tick(),
        }
    }

    /// What is to be done next, if anything is.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to come back with a `Tick`.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.record.stage == Stage::Ended {
            return self.save_again_at;
        }
        let flight = match self.flight {
            Flight::Wait { until } => Some(until),
            Flight::Clearing { again_at, .. } => again_at,
            Flight::None | Flight::Attempt => None,
        };
        let assignment = (self.record.stage == Stage::Answered).then_some(self.assign_by);
        let last_word = self.last_word.as_ref().map(|last_word| last_word.until);
        let limit = self.limit().map(|at| self.date(at));
        [
            self.save_again_at,
            flight,
            assignment,
            last_word,
            limit,
            self.look_at(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// When a date has come, or is worth another look at the wall clock.
    fn date(&self, unix_ms: i64) -> Instant {
        self.now
            .instant_of(unix_ms)
            .min(self.now.after_ms(DATE_CHECK_MS))
    }

    fn is_due(&self, at: Option<Instant>) -> bool {
        at.is_some_and(|at| at <= self.now.instant)
    }

    fn tick(&mut self) {
        if self.is_due(self.save_again_at) {
            self.save(true, []);
        }
        if self.record.stage == Stage::Answered && self.is_due(Some(self.assign_by)) {
            self.assignment_lost();
        }
        if self.limit().is_some_and(|at| at <= self.now.unix_ms) {
            self.took_too_long();
        }
        self.end_without_last_word();
        match self.flight {
            Flight::Wait { until } if self.is_due(Some(until)) => self.attempt(),
            Flight::Clearing { again_at, .. } if self.is_due(again_at) => self.clear(),
            _ => {}
        }
        if self.is_due(self.look_at()) {
            self.look();
        }
    }

    fn now_do(&mut self, effect: Effect) {
        self.outputs.push_back(Output::Do(effect));
    }

    /// Writes the record as it is; the effects, and those held back before, wait for it.
    fn save(&mut self, durable: bool, effects: impl IntoIterator<Item = Effect>) {
        self.sequence += 1;
        self.save_again_at = None;
        self.record.updated_at = self.now.unix_ms;
        self.hold(effects);
        self.outputs.push_back(Output::Persist {
            sequence: self.sequence,
            record: Box::new(self.record.clone()),
            durable,
        });
    }

    fn hold(&mut self, effects: impl IntoIterator<Item = Effect>) {
        let sequence = self.sequence;
        self.held
            .extend(effects.into_iter().map(|effect| (sequence, effect)));
    }

    /// Holds effects back for the record that the caller is about to write.
    fn hold_next(&mut self, effects: impl IntoIterator<Item = Effect>) {
        let sequence = self.sequence + 1;
        self.held
            .extend(effects.into_iter().map(|effect| (sequence, effect)));
    }

    fn saved(&mut self, sequence: u64) {
        self.saved = self.saved.max(sequence);
        let is_free = |(needs, _): &&(u64, Effect)| *needs <= self.saved;
        let free = self.held.iter().take_while(is_free).count();
        for (_, effect) in self.held.drain(..free) {
            self.outputs.push_back(Output::Do(effect));
        }
        if self.saved < self.sequence {
            return;
        }
        self.save_again_at = None;
        if self.record.stage == Stage::Ended {
            self.now_do(Effect::Forget);
        }
    }

    fn not_saved(&mut self, sequence: u64) {
        if sequence <= self.saved {
            return;
        }
        if self.record.stage == Stage::Answered && self.saved == 0 {
            // Nothing was promised yet, so nothing has to be remembered.
            self.held.clear();
            self.record.stage = Stage::Ended;
            self.now_do(Effect::Answer { available: false });
            self.now_do(Effect::Forget);
            return;
        }
        for (needs, effect) in std::mem::take(&mut self.held) {
            match effect {
                Effect::Reply { ticket, .. } => self.now_do(Effect::Reply {
                    ticket,
                    answer: StatusAnswer::Unavailable,
                }),
                effect => self.held.push_back((needs, effect)),
            }
        }
        self.save_again_at = Some(self.now.after_ms(SAVE_AGAIN_MS));
    }

    fn assigned(&mut self, token: Token, expires_at: i64) {
        if self.record.stage != Stage::Answered {
            return;
        }
        self.record.stage = Stage::Assigned;
        self.record.token = Some(token);
        self.record.token_expires_at = Some(expires_at);
        self.ask_next();
    }

    fn assignment_lost(&mut self) {
        if self.record.stage == Stage::Answered {
            self.fail("LiveKit was told yes and did not assign the job");
        }
    }

    /// Ends the job as failed.
    fn fail(&mut self, why: &str) {
        self.record.status = JobStatus::Failed;
        self.record.error = Some(cut_error(why));
        self.end();
    }

    /// An answer that still waits for its record comes too late: nobody will look after the job.
    fn withdraw_answer(&mut self) {
        let before = self.held.len();
        self.held
            .retain(|(_, effect)| !matches!(effect, Effect::Answer { .. }));
        if self.held.len() < before {
            self.now_do(Effect::Answer { available: false });
        }
    }

    /// Ends the job with the status that the record holds, and tells LiveKit, which lets go of a job only then, also
    /// of one that it ended itself (livekit/livekit#4894).
    fn end(&mut self) {
        self.stop_attempt();
        self.withdraw_answer();
        self.watch = Watch::default();
        self.last_word = None;
        self.record.stage = Stage::Ended;
        self.record.ended_at = Some(self.now.unix_ms);
        self.record.token = None;
        let (status, error) = (self.record.status, self.record.error.clone());
        self.hold_next([Effect::Report {
            status,
            error: error.clone(),
        }]);
        self.save(true, [Effect::Notice(Notice::Ended { status, error })]);
    }
}
