//! What a joined room holds, and the task that moves the engine's events into the room's queue: handles are kept by sid
//! before the event that names them is readable, and let go when the event that ends them passes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::engine::EngineEvent as RoomEvent;
use crate::engine::{EnginePublication, EngineTrack, EventReceiver, PublicationInfo};
use crate::room::error::RoomError;
use crate::room::queue::EventQueue;

const UNKNOWN_REASON: i32 = 0;

type Kept<K, V> = Mutex<HashMap<K, Arc<V>>>;

pub(crate) struct Shared {
    pub(crate) queue: EventQueue,
    publications: Kept<String, dyn EnginePublication>,
    tracks: Kept<u32, dyn EngineTrack>,
    next_track: AtomicU32,
    ended: AtomicBool,
}

impl Shared {
    pub(crate) fn new() -> Shared {
        Shared {
            queue: EventQueue::new(),
            publications: Mutex::default(),
            tracks: Mutex::default(),
            next_track: AtomicU32::new(1),
            ended: AtomicBool::new(false),
        }
    }

    pub(crate) fn check_connected(&self, what: &'static str) -> Result<(), RoomError> {
        if self.ended.load(Ordering::Acquire) {
            return Err(RoomError::Disconnected { what });
        }
        Ok(())
    }

    pub(crate) fn keep_publication(
        &self,
        publication: Arc<dyn EnginePublication>,
    ) -> PublicationInfo {
        let info = publication.info().clone();
        self.publications
            .lock()
            .insert(info.sid.clone(), publication);
        info
    }

    pub(crate) fn publication(&self, sid: &str) -> Result<Arc<dyn EnginePublication>, RoomError> {
        let found = self.publications.lock().get(sid).cloned();
        found.ok_or(RoomError::UnknownPublication)
    }

    pub(crate) fn drop_publication(&self, sid: &str) {
        self.publications.lock().remove(sid);
    }

    fn rename_publication(&self, from: &str, to: &str) {
        let mut publications = self.publications.lock();
        if let Some(publication) = publications.remove(from) {
            publications.insert(to.to_owned(), publication);
        }
    }

    fn keep_track(&self, track: Arc<dyn EngineTrack>) -> u32 {
        let handle = self.next_track.fetch_add(1, Ordering::Relaxed);
        self.tracks.lock().insert(handle, track);
        handle
    }

    pub(crate) fn take_track(&self, handle: u32) -> Result<Arc<dyn EngineTrack>, RoomError> {
        let taken = self.tracks.lock().remove(&handle);
        taken.ok_or(RoomError::UnknownTrack)
    }

    /// Keeps what an event hands over, and lets go of what it ends.
    fn keep(&self, event: &mut RoomEvent) {
        match event {
            RoomEvent::TrackPublished { publication, .. } => {
                self.keep_publication(publication.clone());
            }
            RoomEvent::TrackSubscribed { track, handle, .. } => {
                *handle = self.keep_track(track.clone());
            }
            RoomEvent::LocalTrackUnpublished { sid } | RoomEvent::TrackUnpublished { sid, .. } => {
                self.drop_publication(sid);
            }
            RoomEvent::LocalTrackRepublished {
                previous_sid,
                publication,
            } => self.rename_publication(previous_sid, &publication.sid),
            _ => {}
        }
    }

    fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.publications.lock().clear();
    }
}

/// Moves events until `Disconnected`, which is made up if the engine's channel ends without one.
pub(crate) async fn pump(shared: Arc<Shared>, mut events: EventReceiver) {
    let mut reason = UNKNOWN_REASON;
    while let Some(mut event) = events.recv().await {
        if let RoomEvent::Disconnected { reason: told } = event {
            reason = told;
            break;
        }
        shared.keep(&mut event);
        if !shared.queue.push(event).await {
            return;
        }
    }
    shared.end();
    shared.queue.push(RoomEvent::Disconnected { reason }).await;
    shared.queue.finish();
}
