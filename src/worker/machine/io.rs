//! The words of the worker machine: what it is told, what it orders, what its owner hears.

use std::fmt;
use std::time::Instant;

use crate::id::{JobId, Secret, WorkerId};
use crate::worker::protocol::{FromServer, Job, Registration, ToServer};

/// What the machine is told once.
#[derive(Clone, Debug)]
pub struct Config {
    /// What to register as.
    pub registration: Registration,
    /// How many jobs at once; at least 1.
    pub max_jobs: u32,
    /// Decides the jitter of reconnecting. Different on every start.
    pub seed: u64,
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No connection: refused, unreachable, unknown name, TLS, or too slow.
    Unreachable(String),
    /// The server refused the upgrade with this HTTP status.
    Refused(u16),
    /// Connected, and no confirmation of the registration came.
    NotRegistered,
    /// The server closed the connection.
    ClosedByServer,
    /// No frame for [`SILENCE`](super::SILENCE).
    Silent,
    /// The connection failed, or the server does not take what is sent.
    Broken(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Unreachable(why) => write!(f, "LiveKit cannot be reached: {why}"),
            Reason::Refused(401 | 403) => f.write_str(
                "LiveKit refused the API key or secret (expected a key of this server and its secret): \
                 check both, and this machine's clock",
            ),
            Reason::Refused(404) => f.write_str(
                "there is no agent endpoint at this URL (HTTP 404): check that it is the URL of a LiveKit server",
            ),
            Reason::Refused(status) => {
                write!(f, "LiveKit refused the connection with HTTP status {status}")
            }
            Reason::NotRegistered => {
                f.write_str("LiveKit did not confirm the registration of the worker in time")
            }
            Reason::ClosedByServer => f.write_str("LiveKit closed the connection"),
            Reason::Silent => f.write_str("LiveKit was silent for too long"),
            Reason::Broken(why) => write!(f, "the connection to LiveKit broke: {why}"),
        }
    }
}

/// What the outside tells the machine.
#[derive(Clone, Debug)]
pub enum Input {
    Start,
    /// The socket is open.
    Opened,
    /// A frame of any kind came; for messages, tell this first.
    Heard,
    Message(FromServer),
    /// Connecting failed, or the connection ended.
    Lost(Reason),
    /// How many jobs the owner has, over all sockets that share the limit, offers that it has heard of included.
    SetActive(u32),
    /// Take no new jobs.
    Drain,
    Close,
    /// Time has passed; see [`Machine::poll_timeout`](super::Machine::poll_timeout).
    Tick,
}

/// What the outside has to do, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Open a socket with a fresh token, then tell `Opened` or `Lost`.
    Connect,
    /// Send this on the open socket.
    Send(ToServer),
    /// Drop the socket, or the attempt to open one. `goodbye`: let what was sent leave first.
    Disconnect {
        /// Whether the peer is there to listen.
        goodbye: bool,
    },
    Event(Event),
}

/// What the owner of a worker is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// LiveKit knows this worker.
    Registered {
        /// `AW_…`, new on every connection.
        worker_id: WorkerId,
        /// For example `1.13.5`.
        server_version: String,
    },
    /// LiveKit asks whether this worker takes a job. Unanswered, it is declined [`ANSWER_WINDOW`](super::ANSWER_WINDOW) after `received_at`.
    Offer {
        job: Box<Job>,
        /// When the request came.
        received_at: Instant,
    },
    /// An accepted job is this worker's.
    Assigned {
        job: Box<Job>,
        /// The token to join with.
        token: Secret<String>,
        /// Where to join, if LiveKit says; its open-source server never does.
        url: Option<String>,
    },
    /// An accepted job was not assigned in time, or the connection ended before. LiveKit does not offer it again.
    AssignmentLost {
        job_id: JobId,
    },
    /// LiveKit ended a job of this worker.
    Terminated {
        job_id: JobId,
    },
    /// There is no connection. LiveKit has forgotten every job of this worker; the agents are not affected.
    Disconnected {
        reason: Reason,
        /// When the next attempt follows; `None`: never, `Closed` follows.
        will_retry_ms: Option<u64>,
    },
    Closed,
}

/// Whether an answer reached its question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerOutcome {
    Sent,
    /// No such offer waits for an answer: answered already, declined because time was up, or its connection ended.
    NotWaiting,
}

/// Whether a status reached LiveKit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateOutcome {
    Sent,
    /// There is no registered connection.
    NoSocket,
    /// This connection does not have the job: it was assigned on an earlier one, or ended. LiveKit would ignore it.
    Unknown,
}
