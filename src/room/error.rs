//! What can go wrong with a room, and which code each failure crosses as. It adds what was attempted to what the engine
//! says, and nothing about who or where: no identity, room name or token.

use crate::audio::FormatError;
use crate::engine::EngineError;
use crate::error::{Code, Error};

/// What can go wrong with a room.
#[derive(Debug, thiserror::Error)]
pub enum RoomError {
    /// The room was not joined.
    #[error("the room could not be joined: {0}")]
    Connect(#[source] EngineError),
    /// The join was given up by the caller.
    #[error("the join was given up before it ended")]
    Cancelled,
    /// Something was asked of a joined room, and it failed.
    #[error("{what} failed: {source}")]
    Call {
        what: &'static str,
        /// What the engine said.
        source: EngineError,
    },
    /// The room ended before, or while, something was asked of it.
    #[error("{what} needs a connected room, and this one is disconnected")]
    Disconnected { what: &'static str },
    /// A sid that is not a publication of this room.
    #[error("the room has no such publication; it may have been unpublished")]
    UnknownPublication,
    /// A track that was already taken, or never existed.
    #[error("the track is gone; it may have been unsubscribed")]
    UnknownTrack,
    /// Audio that is none.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// More captures wait than a source takes.
    #[error("{0} frames wait to be captured already: await captureFrame before the next one")]
    TooManyCaptures(usize),
    /// The track was closed.
    #[error("the track is closed")]
    TrackClosed,
    /// The source was closed.
    #[error("the audio source is closed")]
    SourceClosed,
    /// The source's tracks were all taken back.
    #[error("the audio source's track was unpublished: publish it again before you capture more")]
    SourceUnpublished,
}

impl RoomError {
    /// What an engine's failure of a call on a joined room means.
    pub fn call(what: &'static str) -> impl FnOnce(EngineError) -> RoomError {
        move |source| match source {
            EngineError::Closed(_) => RoomError::Disconnected { what },
            source => RoomError::Call { what, source },
        }
    }

    fn code(&self) -> Code {
        match self {
            RoomError::Connect(EngineError::Unavailable(_))
            | RoomError::Call {
                source: EngineError::Unavailable(_),
                ..
            } => Code::EngineUnavailable,
            RoomError::Connect(EngineError::Invalid(_))
            | RoomError::Call {
                source: EngineError::Invalid(_),
                ..
            }
            | RoomError::UnknownPublication
            | RoomError::UnknownTrack
            | RoomError::Format(_)
            | RoomError::TooManyCaptures(_) => Code::ConfigInvalid,
            RoomError::Connect(_) => Code::RoomConnectFailed,
            RoomError::Cancelled => Code::Aborted,
            RoomError::Call { .. } => Code::TransportFailed,
            RoomError::Disconnected { .. } => Code::RoomDisconnected,
            RoomError::SourceClosed | RoomError::SourceUnpublished | RoomError::TrackClosed => {
                Code::Closed
            }
        }
    }

    fn is_retryable(&self) -> bool {
        match self {
            RoomError::Connect(source) => {
                matches!(source, EngineError::Refused(_) | EngineError::TimedOut(_))
            }
            RoomError::Call { source, .. } => matches!(source, EngineError::TimedOut(_)),
            _ => false,
        }
    }
}

impl From<RoomError> for Error {
    fn from(error: RoomError) -> Error {
        Error {
            code: error.code(),
            message: error.to_string().into(),
            retryable: error.is_retryable(),
            source: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_crosses_with_the_code_of_who_must_act() {
        let refused = || EngineError::Refused("no".into());
        for (error, code, retryable) in [
            (
                RoomError::Connect(EngineError::Unavailable("no library".into())),
                Code::EngineUnavailable,
                false,
            ),
            (
                RoomError::Connect(EngineError::Invalid("bad url".into())),
                Code::ConfigInvalid,
                false,
            ),
            (RoomError::Connect(refused()), Code::RoomConnectFailed, true),
            (
                RoomError::Connect(EngineError::Denied("bad token".into())),
                Code::RoomConnectFailed,
                false,
            ),
            (RoomError::Cancelled, Code::Aborted, false),
            (
                RoomError::call("publishing")(refused()),
                Code::TransportFailed,
                false,
            ),
            (
                RoomError::call("publishing")(EngineError::TimedOut("late".into())),
                Code::TransportFailed,
                true,
            ),
            (
                RoomError::call("publishing")(EngineError::Closed("gone".into())),
                Code::RoomDisconnected,
                false,
            ),
            (RoomError::UnknownPublication, Code::ConfigInvalid, false),
            (RoomError::SourceClosed, Code::Closed, false),
            (RoomError::TrackClosed, Code::Closed, false),
        ] {
            let error = Error::from(error);
            assert_eq!((error.code, error.retryable), (code, retryable), "{error}");
        }
    }
}
