//! A LiveKit room as the floors above hold it: joined, its events in one bounded queue, its publications and tracks by
//! sid, the audio of its tracks through taps. It refuses to know JavaScript, and to keep a picture of the participants:
//! that is built from the snapshot and the events by whoever reads them.

mod error;
mod event;
mod queue;
mod source;
mod state;
mod stream;

#[cfg(test)]
mod audio_tests;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use tokio::task::JoinHandle;

pub use error::RoomError;
pub use event::{Snapshot, SnapshotParticipant};
pub use queue::EventCounters;
pub use source::{AudioSource, Stopped};
pub use stream::AudioStream;

pub use crate::engine::EngineEvent as RoomEvent;

use crate::engine::{
    ConnectOptions, EngineRoom, EngineTrack, Pending, RoomAnswer, RoomEngine, RoomRequest,
};

use state::Shared;

/// A joined room. Dropping it leaves.
/// **Exactly one `Disconnected` comes, it is the last event, and every call after it fails with `Disconnected`.**
pub struct Room {
    engine: Arc<dyn EngineRoom>,
    shared: Arc<Shared>,
    snapshot: Snapshot,
    /// Packets that did not even reach the queue.
    turned_away: Arc<AtomicU64>,
    pump: JoinHandle<()>,
}

impl Room {
    /// Joins. Dropping the future gives the join up. Call it on a tokio runtime: the room's events are moved by a task.
    pub async fn connect(
        engine: &dyn RoomEngine,
        url: &str,
        token: &str,
        options: ConnectOptions,
    ) -> Result<Room, RoomError> {
        let joined = engine
            .connect(url, token, options)
            .await
            .map_err(RoomError::Connect)?;
        let shared = Arc::new(Shared::new());
        let participants = joined
            .participants
            .into_iter()
            .map(|(participant, publications)| SnapshotParticipant {
                participant,
                publications: publications
                    .into_iter()
                    .map(|publication| shared.keep_publication(publication))
                    .collect(),
            })
            .collect();
        let turned_away = joined.events.dropped();
        let pump = tokio::spawn(state::pump(shared.clone(), joined.events));
        Ok(Room {
            engine: joined.room,
            shared,
            snapshot: Snapshot {
                room: joined.info,
                local: joined.local,
                participants,
            },
            turned_away,
            pump,
        })
    }

    /// The room as it was when it was joined; the events say what changed since.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Waits for events and hands over up to `max` of them. `None` after `Disconnected` was handed over.
    pub async fn next_events(&self, max: usize) -> Option<Vec<RoomEvent>> {
        self.shared.queue.take(max).await
    }

    /// How many events were not delivered one by one.
    pub fn counters(&self) -> EventCounters {
        let mut counters = self.shared.queue.counters();
        counters.dropped += self.turned_away.load(Ordering::Relaxed);
        counters
    }

    /// Leaves. The `Disconnected` event still comes through `next_events`. Repeating is harmless.
    pub async fn disconnect(&self) -> Result<(), RoomError> {
        self.engine
            .disconnect()
            .await
            .map_err(RoomError::call("disconnecting"))
    }

    /// Asks something of the room. What is asked first reaches the media library first: the request is made before this
    /// returns, whenever the answer is waited for.
    pub fn request(
        &self,
        request: RoomRequest,
    ) -> impl Future<Output = Result<RoomAnswer, RoomError>> + Send + 'static {
        let what = name_of(&request);
        let asked = self.ask(what, request);
        let shared = self.shared.clone();
        async move {
            let (answer, taken_back) = asked?;
            let answer = answer.await.map_err(RoomError::call(what))?;
            if let RoomAnswer::Published(publication) = &answer {
                shared.keep_publication(publication.clone());
            }
            if let Some(sid) = taken_back {
                shared.drop_publication(&sid);
            }
            Ok(answer)
        }
    }

    fn ask(
        &self,
        what: &'static str,
        request: RoomRequest,
    ) -> Result<(Pending<RoomAnswer>, Option<String>), RoomError> {
        self.shared.check_connected(what)?;
        let taken_back = match &request {
            RoomRequest::UnpublishTrack { sid, .. } => {
                self.shared.publication(sid)?;
                Some(sid.clone())
            }
            _ => None,
        };
        Ok((self.engine.request(request), taken_back))
    }

    /// Subscribes to a remote publication, or no longer.
    pub fn set_subscribed(&self, sid: &str, subscribed: bool) -> Result<(), RoomError> {
        const WHAT: &str = "changing a subscription";
        self.shared.check_connected(WHAT)?;
        let publication = self.shared.publication(sid)?;
        publication
            .set_subscribed(subscribed)
            .map_err(RoomError::call(WHAT))
    }

    /// The track a `TrackSubscribed` event announced. Each can be taken once.
    pub fn take_track(&self, handle: u32) -> Result<Arc<dyn EngineTrack>, RoomError> {
        self.shared.take_track(handle)
    }
}

/// What a request is called where it failed.
fn name_of(request: &RoomRequest) -> &'static str {
    match request {
        RoomRequest::PublishTrack { .. } => "publishing a track",
        RoomRequest::UnpublishTrack { .. } => "unpublishing a track",
        RoomRequest::PublishData(_) => "publishing data",
        RoomRequest::SetMetadata(_) => "changing the metadata",
        RoomRequest::SetName(_) => "changing the name",
        RoomRequest::SetAttributes(_) => "changing the attributes",
        RoomRequest::SimulateScenario(_) => "simulating a scenario",
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // The engine's room is left when its last reference goes; the pump must not outlive its reader.
        self.shared.queue.abandon();
        self.pump.abort();
    }
}
