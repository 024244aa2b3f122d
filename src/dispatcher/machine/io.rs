//! The words of the dispatcher's machine: what goes in, what comes out.
//!
//! Decides the vocabulary only. An output that is not `Persist` rests on a record that is already written.

use crate::dispatcher::machine::record::{Record, Reporter, Token};
use crate::retry::Schedule;
use crate::words::{JobStatus, TerminationReason};

/// Where a job may go, in order of preference, and how long things may take. The default is that of an agent that is no
/// longer configured.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub endpoints: Vec<Route>,
    /// When failed attempts are repeated.
    pub schedule: Option<Schedule>,
    /// How long an agent may take from the delivery to its first sign of life, in milliseconds.
    pub join_timeout_ms: u64,
    /// How long a job may take from the offer on, in milliseconds.
    pub max_duration_ms: Option<u64>,
}

/// One endpoint, as far as decisions need it.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its URL, which is also its name across restarts.
    pub url: String,
    /// How long an attempt may take, in milliseconds.
    pub timeout_ms: u64,
}

/// What can happen to a job.
#[derive(Clone, Debug)]
pub enum Input {
    /// The record with this sequence number is written.
    Saved {
        /// Of the `Persist` output.
        sequence: u64,
    },
    /// It could not be written.
    NotSaved {
        /// Of the `Persist` output.
        sequence: u64,
    },
    /// LiveKit assigned the job.
    Assigned {
        token: Token,
        /// When the token expires, in Unix milliseconds.
        expires_at: i64,
    },
    /// LiveKit will not assign it.
    AssignmentLost,
    /// An attempt has its outcome.
    Attempted {
        delivery: u32,
        attempt: u32,
        /// What came of it.
        outcome: Outcome,
    },
    /// An endpoint answered 410 to some job.
    EndpointGone {
        url: String,
    },
    /// What came of `RemoveParticipant`.
    Removal(Removal),
    /// The answer to `LookForParticipant`; `None` = LiveKit did not say.
    Presence(Option<bool>),
    Status {
        ticket: u64,
        reporter: Reporter,
        status: JobStatus,
        error: Option<String>,
    },
    /// LiveKit ended the job.
    Terminated,
    Tick,
}

/// What came of removing the job's participant from its room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It was there.
    Removed,
    /// It was not there.
    Nobody,
    /// LiveKit did not say.
    Unknown { why: String },
}

/// How the answer of an endpoint that took a job reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// As the protocol wants it.
    Clear,
    /// It says yes, and another field of it is of another type than the protocol's.
    WrongFields,
    /// It names another identity than the token, which decides all the same.
    OtherIdentity,
    /// A 2xx without a body.
    Empty,
}

/// What came of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The endpoint took the job.
    Accepted {
        /// How its answer reads.
        reading: Reading,
    },
    /// The endpoint does not want it.
    Rejected {
        /// In its own words.
        reason: Option<String>,
    },
    /// This attempt failed, another may not.
    Retry {
        why: String,
        /// What the endpoint asked for.
        retry_after_ms: Option<u64>,
        /// The endpoint may have taken the job nevertheless.
        in_doubt: bool,
    },
    /// This endpoint will not take it, whatever is tried.
    Permanent {
        why: String,
        /// It answered 410: nothing more is sent to it.
        gone: bool,
    },
}

/// What the machine wants.
#[derive(Clone, Debug)]
pub enum Output {
    /// Write this record, then say `Saved`.
    Persist {
        /// To be repeated in the answer.
        sequence: u64,
        record: Box<Record>,
        /// Whether it must survive a power failure, not only a crash.
        durable: bool,
    },
    /// Do this. What it rests on is written.
    Do(Effect),
}

/// Something the outside world notices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Answer LiveKit's availability request.
    Answer {
        available: bool,
    },
    Post {
        /// Index into the plan.
        endpoint: usize,
        delivery: u32,
        attempt: u32,
        /// How long it may take, in milliseconds.
        timeout_ms: u64,
    },
    /// Abandon the attempt under way.
    CancelAttempt,
    /// Send nothing more to an endpoint that answered 410.
    DisableEndpoint {
        url: String,
    },
    /// Tell an endpoint that the job is over for it.
    PostTerminated {
        /// Index into the plan.
        endpoint: usize,
        delivery: u32,
        reason: TerminationReason,
    },
    /// Remove whoever joined under the job's identity from the room, then say `Removal`.
    RemoveParticipant,
    /// See whether the job's identity is in the room, then say `Presence`.
    LookForParticipant,
    /// Tell LiveKit.
    Report {
        status: JobStatus,
        error: Option<String>,
    },
    /// Answer the agent's report.
    Reply {
        ticket: u64,
        answer: StatusAnswer,
    },
    Notice(Notice),
    /// The job is over and written down; drop the machine.
    Forget,
}

/// The answer to a reported status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusAnswer {
    /// It is written down.
    Stored(StatusView),
    /// It contradicts a final status, or whoever reports has the job no longer.
    Conflict(StatusView),
    /// It could not be written; the agent tries again.
    Unavailable,
}

/// A job's status as agents see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusView {
    pub status: JobStatus,
    pub error: Option<String>,
    /// Unix milliseconds.
    pub updated_at: i64,
}

impl From<&Record> for StatusView {
    fn from(record: &Record) -> Self {
        StatusView {
            status: record.status,
            error: record.error.clone(),
            updated_at: record.updated_at,
        }
    }
}

/// News for the program that runs the dispatcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// An endpoint took the job.
    Delivered {
        /// Index into the plan.
        endpoint: usize,
        /// The attempt that did it.
        attempt: u32,
        /// How its answer reads.
        reading: Reading,
    },
    /// An endpoint does not want the job.
    Rejected {
        /// Index into the plan.
        endpoint: usize,
        /// In its own words.
        reason: Option<String>,
    },
    /// An attempt failed and will be repeated.
    AttemptFailed {
        /// Index into the plan.
        endpoint: usize,
        attempt: u32,
        why: String,
        /// When the next one starts, in milliseconds from now.
        retry_in_ms: u64,
    },
    /// An endpoint did not take the job and will not be asked again.
    DeliveryExhausted {
        /// Index into the plan.
        endpoint: usize,
        /// How many attempts were made.
        attempts: u32,
        why: String,
    },
    Status {
        status: JobStatus,
    },
    /// The job is over.
    Ended {
        /// `Success` or `Failed`.
        status: JobStatus,
        error: Option<String>,
    },
}
