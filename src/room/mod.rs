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

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use tokio::task::JoinHandle;

pub use error::RoomError;
pub use event::{RoomEvent, Snapshot, SnapshotParticipant};
pub use queue::EventCounters;
pub use source::{AudioSource, Stopped};
pub use stream::AudioStream;

use crate::engine::{
    ConnectOptions, DataPacket, EngineRoom, EngineTrack, PublicationInfo, PublishOptions,
    RoomEngine,
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

    /// Publishes a local track.
    pub async fn publish_track(
        &self,
        track: &dyn EngineTrack,
        options: PublishOptions,
    ) -> Result<PublicationInfo, RoomError> {
        const WHAT: &str = "publishing a track";
        self.shared.check_connected(WHAT)?;
        let published = self.engine.publish_track(track, options).await;
        let publication = published.map_err(RoomError::call(WHAT))?;
        Ok(self.shared.keep_publication(publication))
    }

    /// Takes a local track back; `stop` also stops the track.
    pub async fn unpublish_track(&self, sid: &str, stop: bool) -> Result<(), RoomError> {
        const WHAT: &str = "unpublishing a track";
        self.shared.check_connected(WHAT)?;
        self.shared.publication(sid)?;
        let unpublished = self.engine.unpublish_track(sid, stop).await;
        unpublished.map_err(RoomError::call(WHAT))?;
        self.shared.drop_publication(sid);
        Ok(())
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

    /// Sends a data packet.
    pub async fn publish_data(&self, packet: DataPacket) -> Result<(), RoomError> {
        const WHAT: &str = "publishing data";
        self.shared.check_connected(WHAT)?;
        let sent = self.engine.publish_data(packet).await;
        sent.map_err(RoomError::call(WHAT))
    }

    /// Changes the local participant's metadata.
    pub async fn set_metadata(&self, metadata: &str) -> Result<(), RoomError> {
        const WHAT: &str = "changing the metadata";
        self.shared.check_connected(WHAT)?;
        let changed = self.engine.set_metadata(metadata).await;
        changed.map_err(RoomError::call(WHAT))
    }

    /// Changes the local participant's name.
    pub async fn set_name(&self, name: &str) -> Result<(), RoomError> {
        const WHAT: &str = "changing the name";
        self.shared.check_connected(WHAT)?;
        let changed = self.engine.set_name(name).await;
        changed.map_err(RoomError::call(WHAT))
    }

    /// Changes the local participant's attributes; an empty value removes one.
    pub async fn set_attributes(
        &self,
        attributes: HashMap<String, String>,
    ) -> Result<(), RoomError> {
        const WHAT: &str = "changing the attributes";
        self.shared.check_connected(WHAT)?;
        let changed = self.engine.set_attributes(attributes).await;
        changed.map_err(RoomError::call(WHAT))
    }

    /// Makes the library act out a fault (LiveKit's `SimulateScenarioKind`). For tests.
    pub async fn simulate_scenario(&self, scenario: i32) -> Result<(), RoomError> {
        const WHAT: &str = "simulating a scenario";
        self.shared.check_connected(WHAT)?;
        let simulated = self.engine.simulate_scenario(scenario).await;
        simulated.map_err(RoomError::call(WHAT))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // The engine's room is left when its last reference goes; the pump must not outlive its reader.
        self.shared.queue.abandon();
        self.pump.abort();
    }
}
