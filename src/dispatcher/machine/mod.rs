//! What happens to one job, from LiveKit's offer to its end, as a machine without effects.
//!
//! Decides which record is written and what is sent once it is written; time and outcomes are inputs. It refuses to go
//! back a stage, to end twice, to report anything after the end, and to start an attempt while another may be running.

mod delivery;
mod io;
#[cfg(test)]
mod property;
mod record;
mod reports;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeSet, VecDeque};

use crate::id::Pii;
use crate::words::JobStatus;
use crate::worker::protocol::Job;

pub use crate::dispatcher::machine::io::{
    Effect, Input, Notice, Outcome, Output, Plan, Reading, Route, StatusAnswer, StatusView,
};
pub use crate::dispatcher::machine::record::{
    cut_error, judge_status, Delivery, Record, Stage, StatusRule, Token,
};

/// LiveKit assigns within milliseconds of the answer, or not at all: its own limit is 3 s after the offer.
const ASSIGNMENT_WAIT_MS: i64 = 10_000;
/// How long an agent may still report after LiveKit ended its job.
const LAST_WORD_MS: i64 = 10_000;
/// When a record that could not be written is tried again.
const SAVE_AGAIN_MS: i64 = 1_000;
/// An agent needs this much life in its token to join.
const TOKEN_MARGIN_MS: i64 = 300_000;

/// What the machine waits for, as far as deliveries go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flight {
    None,
    /// The outcome of an attempt.
    Attempt,
    /// The time of the next attempt, in Unix milliseconds.
    Wait {
        until: i64,
    },
}

/// The life of one job.
///
/// **Persist before effect: nothing is sent that a restart could not account for.** Every change of the record is an
/// `Output::Persist`, and whatever it allows to be sent is held back until `Input::Saved` confirms that record.
#[derive(Debug)]
pub struct Machine {
    plan: Plan,
    record: Record,
    gone: BTreeSet<String>,
    flight: Flight,
    /// An attempt at the current endpoint ended without a word: the agent may be on its way.
    in_doubt: bool,
    /// Why the last endpoint did not take it.
    failure: String,
    sequence: u64,
    saved: u64,
    save_again_at: Option<i64>,
    begin_when_saved: bool,
    held: VecDeque<(u64, Effect)>,
    out: Vec<Output>,
}

impl Machine {
    /// LiveKit offers a job. The offer is accepted as soon as that is written down; whether there is room for it is
    /// the caller's decision.
    pub fn offered(
        now: i64,
        job: Job,
        identity: String,
        bearer: String,
        plan: Plan,
    ) -> (Self, Vec<Output>) {
        let record = Record {
            job,
            identity: Pii(identity),
            stage: Stage::Offered,
            status: JobStatus::Pending,
            error: None,
            bearers: vec![bearer],
            token: None,
            delivery: None,
            terminated_at: None,
            created_at: now,
            updated_at: now,
            ended_at: None,
        };
        let mut machine = Machine::with(record, plan);
        machine.record.stage = Stage::Answered;
        machine.save(now, false, [Effect::Answer { available: true }]);
        let out = machine.take();
        (machine, out)
    }

    /// Takes up a job after a restart, from its record. Deliveries go on if their token still lives; `bearer` is the
    /// hash of a fresh status bearer for them, because the old one was never kept.
    pub fn restored(now: i64, record: Record, bearer: String, plan: Plan) -> (Self, Vec<Output>) {
        let mut machine = Machine::with(record, plan);
        match machine.record.stage {
            Stage::Offered | Stage::Answered => {
                machine.fail(
                    now,
                    "the dispatcher was restarted before LiveKit assigned the job",
                );
            }
            Stage::Assigned | Stage::Delivering if machine.plan.schedule.is_none() => {
                machine.fail(now, "the agent is no longer configured");
            }
            Stage::Assigned | Stage::Delivering => {
                machine.record.bearers.push(bearer);
                machine.begin_when_saved = true;
                machine.save(now, true, []);
            }
            Stage::Delivered | Stage::Running if machine.record.terminated_at.is_some() => {
                machine.record.terminated_at = None;
                machine.terminated(now);
            }
            Stage::Delivered | Stage::Running | Stage::Ended => {}
        }
        let out = machine.take();
        (machine, out)
    }

    fn with(record: Record, plan: Plan) -> Self {
        Machine {
            plan,
            record,
            gone: BTreeSet::new(),
            flight: Flight::None,
            in_doubt: false,
            failure: String::new(),
            sequence: 0,
            saved: 0,
            save_again_at: None,
            begin_when_saved: false,
            held: VecDeque::new(),
            out: Vec::new(),
        }
    }

    /// The record as it is in memory.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// When `Tick` is due, in Unix milliseconds.
    pub fn deadline(&self) -> Option<i64> {
        let wait = match self.flight {
            Flight::Wait { until } => Some(until),
            _ => None,
        };
        let assignment = (self.record.stage == Stage::Answered)
            .then_some(self.record.created_at + ASSIGNMENT_WAIT_MS);
        let last_word = match self.record.terminated_at {
            Some(at) if self.record.stage < Stage::Ended => Some(at + LAST_WORD_MS),
            _ => None,
        };
        [wait, assignment, last_word, self.save_again_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// Feeds the machine; `now` is in Unix milliseconds and never goes back.
    pub fn handle(&mut self, now: i64, input: Input) -> Vec<Output> {
        match input {
            Input::Saved { sequence } => self.saved(now, sequence),
            Input::NotSaved { sequence } => self.not_saved(now, sequence),
            Input::Assigned(token) => self.assigned(now, token),
            Input::AssignmentLost => self.assignment_lost(now),
            Input::Attempted {
                delivery,
                attempt,
                outcome,
            } => self.attempted(now, delivery, attempt, outcome),
            Input::EndpointGone { url } => self.endpoint_gone(now, url),
            Input::Status {
                ticket,
                status,
                error,
            } => self.status(now, ticket, status, error),
            Input::Terminated => self.terminated(now),
            Input::Tick => self.tick(now),
        }
        self.take()
    }

    fn take(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.out)
    }

    fn now_do(&mut self, effect: Effect) {
        self.out.push(Output::Do(effect));
    }

    /// Writes the record as it is; the effects, and those held back before, wait for it.
    fn save(&mut self, now: i64, durable: bool, effects: impl IntoIterator<Item = Effect>) {
        self.sequence += 1;
        self.save_again_at = None;
        self.record.updated_at = now;
        self.hold(effects);
        self.out.push(Output::Persist {
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

    fn saved(&mut self, now: i64, sequence: u64) {
        self.saved = self.saved.max(sequence);
        while self
            .held
            .front()
            .is_some_and(|(needs, _)| *needs <= self.saved)
        {
            if let Some((_, effect)) = self.held.pop_front() {
                self.now_do(effect);
            }
        }
        if self.saved < self.sequence {
            return;
        }
        self.save_again_at = None;
        if self.record.stage == Stage::Ended {
            self.now_do(Effect::Forget);
        } else if std::mem::take(&mut self.begin_when_saved) {
            self.begin(now);
        }
    }

    fn not_saved(&mut self, now: i64, sequence: u64) {
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
        self.save_again_at = Some(now + SAVE_AGAIN_MS);
    }

    fn assigned(&mut self, now: i64, token: Token) {
        if self.record.stage != Stage::Answered {
            return;
        }
        self.record.stage = Stage::Assigned;
        self.record.token = Some(token);
        self.begin_when_saved = true;
        self.save(now, true, []);
    }

    fn assignment_lost(&mut self, now: i64) {
        if self.record.stage == Stage::Answered {
            self.fail(now, "LiveKit was told yes and did not assign the job");
        }
    }

    /// Holds an effect back for the record that the caller is about to write.
    fn hold_next(&mut self, effect: Effect) {
        self.held.push_back((self.sequence + 1, effect));
    }

    fn tick(&mut self, now: i64) {
        if self.save_again_at.is_some_and(|at| at <= now) {
            self.save(now, true, []);
        }
        let waited = self.record.created_at + ASSIGNMENT_WAIT_MS <= now;
        if self.record.stage == Stage::Answered && waited {
            self.assignment_lost(now);
            return;
        }
        let silent = self
            .record
            .terminated_at
            .is_some_and(|at| at + LAST_WORD_MS <= now);
        if silent && self.record.stage < Stage::Ended {
            self.record.status = JobStatus::Failed;
            self.record.error =
                Some("LiveKit ended the job and the agent reported no result".to_owned());
            self.end(now, false);
            return;
        }
        if matches!(self.flight, Flight::Wait { until } if until <= now) {
            self.attempt(now);
        }
    }

    /// Ends the job as failed and tells LiveKit.
    fn fail(&mut self, now: i64, why: &str) {
        self.record.status = JobStatus::Failed;
        self.record.error = Some(cut_error(why));
        self.end(now, true);
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

    /// Ends the job with the status that the record holds.
    fn end(&mut self, now: i64, report: bool) {
        self.stop_attempt();
        self.begin_when_saved = false;
        self.withdraw_answer();
        self.record.stage = Stage::Ended;
        self.record.ended_at = Some(now);
        self.record.token = None;
        let (status, error) = (self.record.status, self.record.error.clone());
        if report {
            self.hold_next(Effect::Report {
                status,
                error: error.clone(),
            });
        }
        self.save(now, true, [Effect::Notice(Notice::Ended { status, error })]);
    }
}
