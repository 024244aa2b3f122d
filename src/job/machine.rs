//! The job machine: inputs and the time go in, what to do comes out. It performs nothing, so every order of events can
//! be tried in a test.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::job::{AbortReason, Conflict, Input, Limits, Notice, Outcome, Output, Report};
use crate::time::Now;
use crate::words::TerminationReason;

/// An entry function that has not joined by then is warned about: half of the dispatcher's own patience
/// (`join_timeout`, docs/operations.md).
const JOIN_NOTICE_MS: u64 = 15_000;
/// An entry function that returns sooner than this after joining has most likely forgotten to wait.
const EARLY_RETURN: Duration = Duration::from_secs(1);

/// One job.
///
/// **Exactly one terminal status is ever reported for an accepted job.**
///
/// `deciding → pending → running → success | failed`. A job starts *ending* when its result is known or when nothing
/// can save it (the room is gone, it was terminated, the agent closes). From then on it has `shutdown_timeout_ms`: its
/// signal is aborted, its shutdown functions run, the result is reported, the room is left, in this order, because
/// LiveKit records an agent that leaves before its status as failed. Where the room has to be left before the entry
/// function can return (it waits for the room to close), the report follows as soon as it did.
#[derive(Debug)]
pub struct Machine {
    limits: Limits,
    phase: Phase,
    deadline: Option<Instant>,
    /// When to warn that nobody has joined; taken once it was done, or is needless.
    join_notice_at: Option<Instant>,
    joined_at: Option<Instant>,
    ending: Option<Ending>,
    /// The connection that failed last, as long as none succeeded.
    connect_error: Option<String>,
    in_room: bool,
    entry_done: bool,
    result: Option<Outcome>,
    reported: bool,
    finished: bool,
    /// It was terminated before the agent had decided.
    terminated_early: Option<TerminationReason>,
    outputs: VecDeque<Output>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Deciding,
    Pending,
    Running,
    Refused,
}

#[derive(Clone, Copy, Debug)]
struct Ending {
    reason: AbortReason,
    until: Instant,
    wound_down: bool,
}

impl Machine {
    /// A job that was offered and is not decided yet.
    pub fn new(limits: Limits) -> Self {
        Machine {
            limits,
            phase: Phase::Deciding,
            deadline: None,
            join_notice_at: None,
            joined_at: None,
            ending: None,
            connect_error: None,
            in_room: false,
            entry_done: false,
            result: None,
            reported: false,
            finished: false,
            terminated_early: None,
            outputs: VecDeque::new(),
        }
    }

    /// Takes in what happened at `now`. Late and repeated inputs change nothing; a contradicting `Complete` or `Fail` is told so.
    pub fn handle(&mut self, now: Now, input: Input) -> Result<(), Conflict> {
        match input {
            Input::Accepted if self.phase == Phase::Deciding => {
                self.phase = Phase::Pending;
                let timeout = self.limits.job_timeout_ms;
                self.deadline = timeout.map(|timeout| now.after_ms(timeout));
                self.join_notice_at = Some(now.after_ms(JOIN_NOTICE_MS));
                if let Some(reason) = self.terminated_early {
                    self.terminated(now, reason);
                }
            }
            Input::Rejected if self.phase == Phase::Deciding => {
                self.phase = Phase::Refused;
                self.finished = true;
                self.outputs.push_back(Output::Finished(None));
            }
            Input::Terminated(reason) if self.phase == Phase::Deciding => {
                self.terminated_early = Some(reason);
            }
            _ if !self.is_taken() => {}
            Input::Connected => self.connected(now),
            Input::ConnectFailed { reason } => self.connect_error = Some(reason),
            Input::EntryResolved => {
                self.notice_of_return(now);
                self.entry_ended(now, self.resolved());
            }
            Input::EntryThrew {
                reason,
                because_ending,
            } => self.entry_ended(now, self.threw(reason, because_ending)),
            Input::Complete => self.user_result(now, Outcome::Success)?,
            Input::Fail { reason } => self.user_result(now, Outcome::Failed { error: reason })?,
            Input::RoomDisconnected(reason) => {
                self.in_room = false;
                if !reason.is_normal() {
                    self.decide(failed(format!("the room was lost: {}", reason.word())));
                }
                self.end(now, AbortReason::Disconnected);
            }
            Input::Terminated(reason) => self.terminated(now, reason),
            Input::Closing { within_ms } => self.closing(now, within_ms),
            Input::WoundDown => {
                if let Some(ending) = &mut self.ending {
                    ending.wound_down = true;
                }
            }
            Input::Tick | Input::Accepted | Input::Rejected => {}
        }
        self.advance(now);
        Ok(())
    }

    /// What is to be done next, if anything is.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to come back with a `Tick`.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.finished || !self.is_taken() {
            return None;
        }
        match self.ending {
            Some(ending) => Some(ending.until),
            None => [self.deadline, self.join_notice_at]
                .into_iter()
                .flatten()
                .min(),
        }
    }

    /// Whether the job is over and holds nothing any more.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// The result, once it is known.
    pub fn result(&self) -> Option<&Outcome> {
        self.result.as_ref()
    }

    fn is_taken(&self) -> bool {
        matches!(self.phase, Phase::Pending | Phase::Running)
    }

    fn connected(&mut self, now: Now) {
        self.joined_at = Some(now.instant);
        self.join_notice_at = None;
        self.connect_error = None;
        self.in_room = true;
        if self.phase == Phase::Pending && self.ending.is_none() {
            self.phase = Phase::Running;
            self.outputs.push_back(Output::Post(Report::Running));
        }
    }

    /// What a returned entry function means: success, unless the room was asked for and never came.
    fn resolved(&self) -> Outcome {
        match &self.connect_error {
            Some(error) => failed(error.clone()),
            None => Outcome::Success,
        }
    }

    /// An entry function that ends the job by returning, before it did anything in the room.
    fn notice_of_return(&mut self, now: Now) {
        if self.ending.is_some() || self.connect_error.is_some() {
            return;
        }
        match self.joined_at {
            None => self.warn(Notice::NeverJoined),
            Some(at) if now.instant < at + EARLY_RETURN => self.warn(Notice::LeftAtOnce),
            Some(_) => {}
        }
    }

    fn warn(&mut self, notice: Notice) {
        self.outputs.push_back(Output::Warn(notice));
    }

    /// What a thrown error means: failure, unless it only says that the job was ending anyway.
    fn threw(&self, reason: String, because_ending: bool) -> Outcome {
        match &self.ending {
            Some(_) if because_ending && self.joined_at.is_some() => Outcome::Success,
            Some(ending) if because_ending => failed(format!(
                "the job ended before the room was connected: {}",
                ending.reason.sentence()
            )),
            _ => failed(reason),
        }
    }

    fn entry_ended(&mut self, now: Now, outcome: Outcome) {
        if !self.entry_done {
            self.entry_done = true;
            self.decide(outcome);
            self.end(now, AbortReason::Ended);
        }
    }

    fn user_result(&mut self, now: Now, outcome: Outcome) -> Result<(), Conflict> {
        match &self.result {
            Some(known) if is_success(known) != is_success(&outcome) => return Err(Conflict),
            Some(_) => {}
            None => self.decide(outcome),
        }
        self.end(now, AbortReason::Ended);
        Ok(())
    }

    fn terminated(&mut self, now: Now, reason: TerminationReason) {
        if reason == TerminationReason::Expired {
            self.decide(failed("the dispatcher ended the job: expired"));
        }
        self.end(now, AbortReason::Terminated);
    }

    fn closing(&mut self, now: Now, within_ms: u64) {
        self.end(now, AbortReason::Closing);
        if let Some(ending) = &mut self.ending {
            ending.until = ending.until.min(now.after_ms(within_ms));
        }
    }

    /// The result is sticky: the first one stays.
    fn decide(&mut self, outcome: Outcome) {
        if self.result.is_none() {
            self.result = Some(outcome);
        }
    }

    fn end(&mut self, now: Now, reason: AbortReason) {
        if self.ending.is_some() {
            return;
        }
        self.ending = Some(Ending {
            reason,
            until: now.after_ms(self.limits.shutdown_timeout_ms),
            wound_down: false,
        });
        self.outputs.push_back(Output::Abort(reason));
        self.outputs.push_back(Output::WindDown);
    }

    /// Everything that follows from the state and the time, whatever the input was.
    fn advance(&mut self, now: Now) {
        if self.ending.is_none()
            && self
                .deadline
                .is_some_and(|deadline| now.instant >= deadline)
        {
            self.decide(failed("the job ran out of time"));
            self.end(now, AbortReason::TimedOut);
        }
        let Some(ending) = self.ending else {
            if self
                .join_notice_at
                .take_if(|at| now.instant >= *at)
                .is_some()
            {
                self.warn(Notice::NotJoined);
            }
            return;
        };
        let out_of_time = now.instant >= ending.until;
        if out_of_time && self.result.is_none() {
            self.decide(self.overdue(ending.reason));
        }
        if !ending.wound_down && !out_of_time {
            return;
        }
        if let (Some(result), false) = (&self.result, self.reported) {
            self.reported = true;
            let report = Report::Ended(result.clone());
            self.outputs.push_back(Output::Post(report));
        }
        if self.in_room {
            self.in_room = false;
            self.outputs.push_back(Output::Leave);
        }
        if self.reported && !self.finished && (self.entry_done || out_of_time) {
            self.finished = true;
            self.outputs
                .push_back(Output::Finished(self.result.clone()));
        }
    }

    /// The entry function did not return in time. A call that ended as calls do is still a success.
    fn overdue(&self, reason: AbortReason) -> Outcome {
        match reason {
            AbortReason::Disconnected => Outcome::Success,
            _ => failed(format!(
                "the entry function did not return within its shutdown time after {}",
                reason.sentence()
            )),
        }
    }
}

fn failed(error: impl Into<String>) -> Outcome {
    Outcome::Failed {
        error: error.into(),
    }
}

fn is_success(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Success)
}
