//! The job: what happens to one accepted job, from the decision to the one result that is reported.
//!
//! This module decides when a status is due, when the room is left and when the job is over. It refuses to know how any
//! of that is done: it is handed inputs and the time, and hands out what to do.

mod machine;
#[cfg(test)]
mod property;
mod reason;
#[cfg(test)]
mod tests;

pub use machine::Machine;
pub use reason::{AbortReason, DisconnectReason};

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

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

/// The one result of a job, in the words of users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "camelCase")]
pub enum Outcome {
    /// The job did what it was for.
    Success,
    Failed {
        /// Why; at most 1 KiB.
        error: String,
    },
}

/// A status as it is reported: serialised in the words of the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// The agent is in the room.
    Running,
    /// The job is over.
    Ended(Outcome),
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        fields.serialize_entry("status", self.word())?;
        if let Report::Ended(Outcome::Failed { error }) = self {
            fields.serialize_entry("error", error)?;
        }
        fields.end()
    }
}

impl Report {
    /// Whether nothing may be reported after it.
    pub const fn is_terminal(&self) -> bool {
        matches!(self, Report::Ended(_))
    }

    /// The status word on the wire.
    pub const fn word(&self) -> &'static str {
        match self {
            Report::Running => JobStatus::Running.as_str(),
            Report::Ended(Outcome::Success) => JobStatus::Success.as_str(),
            Report::Ended(Outcome::Failed { .. }) => JobStatus::Failed.as_str(),
        }
    }
}

/// What a developer most likely did not mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    NotJoined,
    NeverJoined,
    LeftAtOnce,
}

impl Notice {
    /// The warning.
    pub const fn sentence(self) -> &'static str {
        match self {
            Notice::NotJoined => "entry has run for 15 s and has not joined the room: await job.connect(); a dispatcher gives a job that nobody joins to another endpoint",
            Notice::NeverJoined => "entry returned without joining the room, so the job is over: await job.connect()",
            Notice::LeftAtOnce => "entry returned right after it had joined, so the job is over and its room is left: await what it is for, such as room.closed",
        }
    }
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    Warn(Notice),
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
