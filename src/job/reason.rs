//! The reasons a job can end for, and which of them are failures. The table is http-agents §3: the server or the agent
//! ending the call on purpose is a success, everything else is not.

use serde::{Deserialize, Serialize};

/// Why a room was left, numbered as LiveKit's `DisconnectReason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct DisconnectReason(pub i32);

impl DisconnectReason {
    /// The program called `disconnect()`.
    pub const CLIENT_INITIATED: Self = DisconnectReason(1);
    /// Another participant joined under the same identity.
    pub const DUPLICATE_IDENTITY: Self = DisconnectReason(2);
    /// The server removed the participant.
    pub const PARTICIPANT_REMOVED: Self = DisconnectReason(4);
    /// The room was deleted.
    pub const ROOM_DELETED: Self = DisconnectReason(5);
    /// The last participant left and the room closed.
    pub const ROOM_CLOSED: Self = DisconnectReason(10);

    /// Whether a call that ends this way ended as calls do.
    pub const fn is_normal(self) -> bool {
        matches!(
            self,
            Self::CLIENT_INITIATED
                | Self::PARTICIPANT_REMOVED
                | Self::ROOM_DELETED
                | Self::ROOM_CLOSED
        )
    }

    /// LiveKit's name for it.
    pub const fn word(self) -> &'static str {
        match self.0 {
            1 => "CLIENT_INITIATED",
            2 => "DUPLICATE_IDENTITY",
            3 => "SERVER_SHUTDOWN",
            4 => "PARTICIPANT_REMOVED",
            5 => "ROOM_DELETED",
            6 => "STATE_MISMATCH",
            7 => "JOIN_FAILURE",
            8 => "MIGRATION",
            9 => "SIGNAL_CLOSE",
            10 => "ROOM_CLOSED",
            11 => "USER_UNAVAILABLE",
            12 => "USER_REJECTED",
            13 => "SIP_TRUNK_FAILURE",
            14 => "CONNECTION_TIMEOUT",
            15 => "MEDIA_FAILURE",
            16 => "AGENT_ERROR",
            _ => "UNKNOWN_REASON",
        }
    }
}

/// Why a job's signal was aborted. The first reason wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum AbortReason {
    /// The job has its result: `entry` ended, or `complete()` or `fail()` was called.
    Ended,
    /// The room is gone.
    Disconnected,
    /// The dispatcher ended the job.
    Terminated,
    Closing,
    /// The job ran out of time.
    TimedOut,
}

impl AbortReason {
    /// The end of the sentence "the job ended because …".
    pub const fn sentence(self) -> &'static str {
        match self {
            AbortReason::Ended => "it had its result",
            AbortReason::Disconnected => "its room was gone",
            AbortReason::Terminated => "the dispatcher ended it",
            AbortReason::Closing => "the agent closed",
            AbortReason::TimedOut => "it ran out of time",
        }
    }
}
