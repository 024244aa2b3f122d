//! The library's answers to requests.
//!
//! Decides which events are answers, and what became of a request that yields nothing. Refuses to own what an answer
//! holds: whoever asked reads it.

use crate::engine::proto::ffi_event::Message as Event;
use crate::engine::{refusal, EngineError};

/// The request that an event answers, and the reason if it was not done (but of those that yield something).
fn read(event: &Event) -> Option<(u64, Option<&String>)> {
    Some(match event {
        Event::Connect(callback) => (callback.async_id, None),
        Event::PublishTrack(callback) => (callback.async_id, None),
        Event::Disconnect(callback) => (callback.async_id, None),
        Event::UnpublishTrack(callback) => (callback.async_id, callback.error.as_ref()),
        Event::PublishData(callback) => (callback.async_id, callback.error.as_ref()),
        Event::CaptureAudioFrame(callback) => (callback.async_id, callback.error.as_ref()),
        Event::SetLocalMetadata(callback) => (callback.async_id, callback.error.as_ref()),
        Event::SetLocalName(callback) => (callback.async_id, callback.error.as_ref()),
        Event::SetLocalAttributes(callback) => (callback.async_id, callback.error.as_ref()),
        Event::SimulateScenario(callback) => (callback.async_id, callback.error.as_ref()),
        _ => return None,
    })
}

/// The request that an event answers.
pub(super) fn id(event: &Event) -> Option<u64> {
    read(event).map(|(id, _)| id)
}

/// What became of a request that yields nothing but an error.
pub(super) fn done(event: Event) -> Result<(), EngineError> {
    match read(&event) {
        Some((_, None)) => Ok(()),
        Some((_, Some(error))) => Err(refusal::error(error)),
        None => Err(misunderstood()),
    }
}

/// Not done, for the library's reason if it gave one.
pub(super) fn failed<T>(reason: Option<String>) -> Result<T, EngineError> {
    Err(match reason {
        Some(reason) => refusal::error(&reason),
        None => EngineError::Refused("the media library gave no reason".into()),
    })
}

/// The library answered another question.
pub(super) fn misunderstood() -> EngineError {
    EngineError::Refused("the media library gave an answer that does not fit the question".into())
}
