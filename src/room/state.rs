//! What a joined room holds, and the task that moves the engine's events into the room's queue: handles are kept by sid
//! before the event that names them is readable, and let go when the event that ends them passes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::engine::{EngineEvent, EnginePublication, EngineTrack, EventReceiver, PublicationInfo};
use crate::room::error::RoomError;
use crate::room::event::RoomEvent;
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
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
        lock(&self.publications).insert(info.sid.clone(), publication);
        info
    }

    pub(crate) fn publication(&self, sid: &str) -> Result<Arc<dyn EnginePublication>, RoomError> {
        let found = lock(&self.publications).get(sid).cloned();
        found.ok_or(RoomError::UnknownPublication)
    }

    pub(crate) fn drop_publication(&self, sid: &str) {
        lock(&self.publications).remove(sid);
    }

    fn rename_publication(&self, from: &str, to: &str) {
        let mut publications = lock(&self.publications);
        if let Some(publication) = publications.remove(from) {
            publications.insert(to.to_owned(), publication);
        }
    }

    fn keep_track(&self, track: Arc<dyn EngineTrack>) -> u32 {
        let handle = self.next_track.fetch_add(1, Ordering::Relaxed);
        lock(&self.tracks).insert(handle, track);
        handle
    }

    pub(crate) fn take_track(&self, handle: u32) -> Result<Arc<dyn EngineTrack>, RoomError> {
        let taken = lock(&self.tracks).remove(&handle);
        taken.ok_or(RoomError::UnknownTrack)
    }

    fn end(&self) {
        self.ended.store(true, Ordering::Release);
        lock(&self.publications).clear();
    }
}

/// Moves events until `Disconnected`, which is made up if the engine's channel ends without one.
pub(crate) async fn pump(shared: Arc<Shared>, mut events: EventReceiver) {
    let mut reason = UNKNOWN_REASON;
    while let Some(event) = events.recv().await {
        if let EngineEvent::Disconnected { reason: told } = event {
            reason = told;
            break;
        }
        let Some(event) = translate(&shared, event) else {
            continue;
        };
        if !shared.queue.push(event).await {
            return;
        }
    }
    shared.end();
    shared.queue.push(RoomEvent::Disconnected { reason }).await;
    shared.queue.finish();
}

/// The engine's event in the room's words, `None` for one that nobody above has a word for.
fn translate(shared: &Shared, event: EngineEvent) -> Option<RoomEvent> {
    Some(match event {
        EngineEvent::LocalTrackUnpublished { sid } => {
            shared.drop_publication(&sid);
            RoomEvent::LocalTrackUnpublished { sid }
        }
        EngineEvent::LocalTrackRepublished { previous_sid, info } => {
            shared.rename_publication(&previous_sid, &info.sid);
            RoomEvent::LocalTrackRepublished {
                previous_sid,
                publication: info,
            }
        }
        EngineEvent::TrackPublished {
            identity,
            publication,
        } => RoomEvent::TrackPublished {
            identity,
            publication: shared.keep_publication(publication),
        },
        EngineEvent::TrackUnpublished { identity, sid } => {
            shared.drop_publication(&sid);
            RoomEvent::TrackUnpublished { identity, sid }
        }
        EngineEvent::TrackSubscribed { identity, track } => RoomEvent::TrackSubscribed {
            identity,
            track: track.info().clone(),
            handle: shared.keep_track(track),
        },
        event => return participant_event(event).map_or_else(|other| room_event(*other), Some),
    })
}

/// `Err` gives back an event that is not about a participant.
fn participant_event(event: EngineEvent) -> Result<RoomEvent, Box<EngineEvent>> {
    Ok(match event {
        EngineEvent::ParticipantConnected { info } => {
            RoomEvent::ParticipantConnected { participant: info }
        }
        EngineEvent::ParticipantActive { identity } => RoomEvent::ParticipantActive { identity },
        EngineEvent::ParticipantDisconnected { identity, reason } => {
            RoomEvent::ParticipantDisconnected { identity, reason }
        }
        EngineEvent::ParticipantsUpdated { participants } => {
            RoomEvent::ParticipantsUpdated { participants }
        }
        EngineEvent::ParticipantMetadataChanged { identity, metadata } => {
            RoomEvent::ParticipantMetadataChanged { identity, metadata }
        }
        EngineEvent::ParticipantNameChanged { identity, name } => {
            RoomEvent::ParticipantNameChanged { identity, name }
        }
        EngineEvent::ParticipantAttributesChanged {
            identity,
            attributes,
            changed,
        } => RoomEvent::ParticipantAttributesChanged {
            identity,
            attributes,
            changed,
        },
        EngineEvent::ParticipantEncryptionStatusChanged {
            identity,
            is_encrypted,
        } => RoomEvent::ParticipantEncryptionStatusChanged {
            identity,
            is_encrypted,
        },
        EngineEvent::ConnectionQualityChanged { identity, quality } => {
            RoomEvent::ConnectionQualityChanged { identity, quality }
        }
        EngineEvent::TrackUnsubscribed { identity, sid } => {
            RoomEvent::TrackUnsubscribed { identity, sid }
        }
        EngineEvent::TrackSubscriptionFailed {
            identity,
            sid,
            error,
        } => RoomEvent::TrackSubscriptionFailed {
            identity,
            sid,
            error,
        },
        EngineEvent::TrackMuted { identity, sid } => RoomEvent::TrackMuted { identity, sid },
        EngineEvent::TrackUnmuted { identity, sid } => RoomEvent::TrackUnmuted { identity, sid },
        event => return Err(Box::new(event)),
    })
}

fn room_event(event: EngineEvent) -> Option<RoomEvent> {
    Some(match event {
        EngineEvent::LocalTrackPublished { sid } => RoomEvent::LocalTrackPublished { sid },
        EngineEvent::LocalTrackSubscribed { sid } => RoomEvent::LocalTrackSubscribed { sid },
        EngineEvent::ActiveSpeakersChanged { identities } => {
            RoomEvent::ActiveSpeakersChanged { identities }
        }
        EngineEvent::RoomMetadataChanged { metadata } => {
            RoomEvent::RoomMetadataChanged { metadata }
        }
        EngineEvent::RoomSidChanged { sid } => RoomEvent::RoomSidChanged { sid },
        EngineEvent::RoomUpdated { info } => RoomEvent::RoomUpdated { room: info },
        EngineEvent::Moved { info } => RoomEvent::Moved { room: info },
        EngineEvent::ConnectionStateChanged { state } => {
            RoomEvent::ConnectionStateChanged { state }
        }
        EngineEvent::DataReceived {
            identity,
            payload,
            topic,
            kind,
        } => RoomEvent::DataReceived {
            identity,
            topic,
            kind,
            length: payload.len(),
            payload,
        },
        EngineEvent::DtmfReceived {
            identity,
            code,
            digit,
        } => RoomEvent::DtmfReceived {
            identity,
            code,
            digit,
        },
        EngineEvent::DataDropped { packets } => RoomEvent::DataDropped { packets },
        EngineEvent::Reconnecting => RoomEvent::Reconnecting,
        EngineEvent::Reconnected => RoomEvent::Reconnected,
        EngineEvent::TokenRefreshed { .. } => RoomEvent::TokenRefreshed,
        _ => return None,
    })
}
