//! Tracks being published or taken back in a room, and the moment from which none may be.
//!
//! **A room is not left while the library changes what is published in it.** Taking a track back in a room that is just
//! being closed fails half way, and the library then keeps the track, its source and six threads for ever. Refuses every
//! change after the room has begun to be left; decides how long the changes under way are waited for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::engine::EngineError;

/// Two for each change. More than can be under way: a room has room for fewer tracks.
const MOST: u32 = 10_000;
/// How long leaving waits for changes. Taking a track back takes 50 ms; a publication may hang on a lost connection.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

pub(super) struct PublishGate(Arc<Semaphore>);

impl PublishGate {
    pub(super) fn new() -> PublishGate {
        PublishGate(Arc::new(Semaphore::new(MOST as usize)))
    }

    /// Begins a change, unless the room has begun to be left.
    pub(super) fn begin(&self) -> Result<Change, EngineError> {
        let permits = self.0.clone().try_acquire_many_owned(2);
        permits
            .map(Change)
            .map_err(|_| EngineError::Closed("the room is being left".into()))
    }

    /// Lets no change begin any more, and waits for those under way. `false` if they took too long.
    pub(super) async fn end(&self) -> bool {
        // What is free is taken at once, so none that comes later begins.
        let settled = tokio::time::timeout(PATIENCE, self.0.acquire_many(MOST)).await;
        self.0.close();
        settled.is_ok()
    }
}

/// A change under way: until it is dropped, and until the library has answered.
pub(super) struct Change(OwnedSemaphorePermit);

impl Change {
    /// What the answer gives back; once.
    pub(super) fn until_answered(&mut self) -> Option<OwnedSemaphorePermit> {
        self.0.split(1)
    }
}
