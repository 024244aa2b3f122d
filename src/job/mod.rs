//! The job: what happens to one accepted job, from the decision to the one result that is reported.
//!
//! This module decides when a status is due, when the room is left and when the job is over. It refuses to know how any
//! of that is done: it is handed inputs and the time, and hands out what to do.

mod machine;
#[cfg(test)]
mod property;
mod reason;
mod redact;
#[cfg(test)]
mod tests;

pub use machine::Machine;
pub use reason::{AbortReason, DisconnectReason};
pub use redact::{redact, MAX_ERROR_BYTES};

use serde::{Deserialize, Serialize};

use crate::words::{JobStatus, TerminationReason};

/// How long a job may take. Milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The whole job, from its acceptance; `None` = no limit.
    pub job_timeout_ms: Option<u64>,
    /// What the entry function and the shutdown functions have left once the job is ending.
    pub shutdown_timeout_ms: u64,
}

/// What happened to a job. Serialised as the bare name, or as an object of one name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Input {
    /// The agent takes the job.
    Accepted,
    /// The agent does not take the job.
    Rejected,
    /// The room is connected.
    Connected,
    /// The room could not be connected; the entry function may try again.
    ConnectFailed {
        reason: String,
    },
    /// The entry function returned.
    EntryResolved,
    /// The entry function threw.
    EntryThrew {
        /// What it threw, redacted.
        reason: String,
        /// It threw only because its signal was aborted or its room was gone.
        because_ending: bool,
    },
    /// The entry function called `complete()`.
    Complete,
    /// The entry function called `fail(reason)`.
    Fail {
        reason: String,
    },
    /// The room is gone.
    RoomDisconnected(DisconnectReason),
    /// The dispatcher ended the job.
    Terminated(TerminationReason),
    /// The agent closes and waits this long for its jobs.
    Closing {
        /// Milliseconds from now.
        within_ms: u64,
    },
    /// The shutdown functions are done.
    WoundDown,
    Tick,
}

/// The one result of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status")]
pub enum Outcome {
    /// The job did what it was for.
    #[serde(rename = "JS_SUCCESS")]
    Success,
    #[serde(rename = "JS_FAILED")]
    Failed {
        /// Why; at most 1 KiB.
        error: String,
    },
}

/// A status as it is reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Report {
    /// The agent is in the room.
    Running(Running),
    /// The job is over.
    Ended(Outcome),
}

/// `JS_RUNNING`, spelled so that every report serialises alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename = "JS_RUNNING")]
pub struct Running {}

impl Report {
    /// The report that the agent is in the room.
    pub const RUNNING: Report = Report::Running(Running {});

    /// Whether nothing may be reported after it.
    pub const fn is_terminal(&self) -> bool {
        matches!(self, Report::Ended(_))
    }

    /// The status word on the wire.
    pub const fn word(&self) -> &'static str {
        match self {
            Report::Running(_) => JobStatus::Running.as_str(),
            Report::Ended(Outcome::Success) => JobStatus::Success.as_str(),
            Report::Ended(Outcome::Failed { .. }) => JobStatus::Failed.as_str(),
        }
    }
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Abort the job's signal.
    Abort(AbortReason),
    /// Run the shutdown functions, then say `WoundDown`.
    WindDown,
    Post(Report),
    Leave,
    /// The job is over and holds nothing any more. `None` = it was never taken.
    Finished(Option<Outcome>),
}

/// `complete()` or `fail()` came after another result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the job has already ended with another result")]
pub struct Conflict;
