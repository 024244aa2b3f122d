//! What a job's machine waits for: an attempt, an empty room, an agent, its last word.
//!
//! Decides nothing; the files beside it do.

use std::time::Instant;

use crate::words::TerminationReason;

/// What the machine waits for, as far as deliveries go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flight {
    None,
    /// The outcome of an attempt.
    Attempt,
    /// The time of the next attempt.
    Wait {
        until: Instant,
    },
    /// Whoever joined for the cancelled delivery is being removed from the room.
    Clearing {
        since: Instant,
        /// When to try once more, after a try without an answer.
        again_at: Option<Instant>,
        /// A try went without an answer: it may have removed somebody.
        unsure: bool,
        /// LiveKit ended the job meanwhile, most likely because of the removal.
        terminated: bool,
    },
}

/// What is known of the agent's presence, and when the room is looked at next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Watch {
    pub(super) next: Look,
    /// The agent was seen in the room.
    pub(super) seen: bool,
    /// It was not there the last time.
    pub(super) absent: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Look {
    #[default]
    Never,
    At(Instant),
    /// When the join token has run out.
    AtExpiry,
    /// The answer is on its way.
    Asked,
}

/// The job is over, and its agent may still say how it went.
#[derive(Debug)]
pub(super) struct LastWord {
    pub(super) until: Instant,
    pub(super) reason: TerminationReason,
    /// How it went if the agent says nothing.
    pub(super) error: String,
}
