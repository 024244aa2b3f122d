//! Where the events of each room go.
//!
//! **Every room says `Disconnected` exactly once, and nothing after it.** The library does not promise to say it at all
//! when we leave, so it follows from whatever comes first: its own word, the end of its events, the answer to leaving,
//! or a reconnection that takes too long (the library has no end to some of them). `ConnectionStateChanged` to
//! disconnected always precedes it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle as Runtime;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use crate::engine::proto;
use crate::engine::proto::DisconnectReason;
use crate::engine::queue::{queue, EventReceiver, EventSender};
use crate::engine::{EngineEvent, ParticipantInfo, ParticipantPermission};

/// How long a reconnection may take before the room counts as lost.
pub(super) const RECONNECT_DEADLINE: Duration = Duration::from_secs(60);

const GONE: i32 = proto::ConnectionState::ConnDisconnected as i32;

pub(super) struct Route {
    events: EventSender,
    /// Where deadlines and the like are waited for.
    runtime: Runtime,
    deadline: Option<AbortHandle>,
    leaving: bool,
    /// Whether `ConnectionStateChanged` said that the connection is over.
    told: bool,
    /// Who we are in the room, and whether we may publish data as far as the server has told.
    local: String,
    may_publish_data: bool,
    /// The tracks published in the room, by sid, and the mark that each of them is.
    published: HashMap<String, Arc<AtomicBool>>,
    /// Cancelled when the room has ended.
    ended: CancellationToken,
}

impl Route {
    fn unmark(&mut self, sid: &str) {
        if let Some(mark) = self.published.remove(sid) {
            mark.store(false, Ordering::SeqCst);
        }
    }

    fn stop_deadline(&mut self) {
        if let Some(deadline) = self.deadline.take() {
            deadline.abort();
        }
    }

    /// Says the last things about the room.
    pub(super) fn end(mut self, reason: Option<DisconnectReason>) {
        self.stop_deadline();
        for (_, mark) in self.published.drain() {
            mark.store(false, Ordering::SeqCst);
        }
        let reason = match reason {
            Some(reason) => reason,
            None if self.leaving => DisconnectReason::ClientInitiated,
            None => DisconnectReason::UnknownReason,
        };
        // Nobody may listen any more.
        if !self.told {
            let state = EngineEvent::ConnectionStateChanged { state: GONE };
            let _ = self.events.send(state);
        }
        let reason = reason.into();
        let _ = self.events.send(EngineEvent::Disconnected { reason });
        self.ended.cancel();
    }
}

#[derive(Default)]
pub(super) struct Rooms {
    routes: Mutex<HashMap<u64, Route>>,
}

impl Rooms {
    /// Prepares for the events of a room. Must be called within a tokio runtime.
    pub(super) fn open(&self, room: u64, local: &ParticipantInfo) -> EventReceiver {
        let (events, receiver) = queue();
        let route = Route {
            events,
            runtime: Runtime::current(),
            deadline: None,
            leaving: false,
            told: false,
            local: local.identity.clone(),
            may_publish_data: may_publish_data(local.permission.as_ref()),
            published: HashMap::new(),
            ended: CancellationToken::new(),
        };
        self.routes.lock().insert(room, route);
        receiver
    }

    /// Whether the room has not ended.
    pub(super) fn is_open(&self, room: u64) -> bool {
        self.routes.lock().contains_key(&room)
    }

    /// Whether we may publish data there.
    pub(super) fn may_publish_data(&self, room: u64) -> bool {
        let routes = self.routes.lock();
        routes
            .get(&room)
            .is_some_and(|route| route.may_publish_data)
    }

    /// Where what belongs to the room is waited for, while it lasts.
    pub(super) fn runtime(&self, room: u64) -> Option<Runtime> {
        let routes = self.routes.lock();
        routes.get(&room).map(|route| route.runtime.clone())
    }

    /// Cancelled once the room has ended: nothing that was asked of it will be answered any more.
    pub(super) fn ended(&self, room: u64) -> CancellationToken {
        match self.routes.lock().get(&room) {
            Some(route) => route.ended.clone(),
            None => {
                let over = CancellationToken::new();
                over.cancel();
                over
            }
        }
    }

    /// The sids of the tracks published in the room.
    pub(super) fn published_in(&self, room: u64) -> Vec<String> {
        let routes = self.routes.lock();
        let route = routes.get(&room);
        route.map_or(Vec::new(), |route| {
            route.published.keys().cloned().collect()
        })
    }

    /// Notes that we are about to leave, so that the end needs no other reason.
    pub(super) fn leaving(&self, room: u64) {
        if let Some(route) = self.routes.lock().get_mut(&room) {
            route.leaving = true;
        }
    }

    /// Notes a published track.
    pub(super) fn published(&self, room: u64, sid: &str, mark: Arc<AtomicBool>) {
        match self.routes.lock().get_mut(&room) {
            Some(route) => {
                route.published.insert(sid.to_owned(), mark);
            }
            None => mark.store(false, Ordering::SeqCst),
        }
    }

    /// Notes that a track is no longer published.
    pub(super) fn unpublished(&self, room: u64, sid: &str) {
        if let Some(route) = self.routes.lock().get_mut(&room) {
            route.unmark(sid);
        }
    }

    /// Waits with `deadline` for the end of a reconnection.
    pub(super) fn set_deadline(&self, room: u64, deadline: AbortHandle) {
        match self.routes.lock().get_mut(&room) {
            Some(route) => {
                route.stop_deadline();
                route.deadline = Some(deadline);
            }
            None => deadline.abort(),
        }
    }

    /// Notes what an event says and hands it to whoever reads the room; `false` if the room is not ours.
    pub(super) fn deliver(&self, room: u64, event: EngineEvent) -> bool {
        let mut routes = self.routes.lock();
        let Some(route) = routes.get_mut(&room) else {
            // What the event holds is given back after the lock.
            drop(routes);
            drop(event);
            return false;
        };
        match &event {
            EngineEvent::Reconnected => route.stop_deadline(),
            EngineEvent::ConnectionStateChanged { state } => route.told = *state == GONE,
            EngineEvent::ParticipantPermissionChanged {
                identity,
                permission,
            } if *identity == route.local => {
                route.may_publish_data = may_publish_data(permission.as_ref());
            }
            EngineEvent::LocalTrackUnpublished { sid } => route.unmark(sid),
            EngineEvent::LocalTrackRepublished {
                previous_sid,
                publication,
            } => {
                if let Some(mark) = route.published.remove(previous_sid) {
                    route.published.insert(publication.sid.clone(), mark);
                }
            }
            _ => {}
        }
        let unheard = route.events.send(event);
        drop(routes);
        drop(unheard);
        true
    }

    /// Takes the room out of the table.
    pub(super) fn close(&self, room: u64) -> Option<Route> {
        self.routes.lock().remove(&room)
    }
}

fn may_publish_data(permission: Option<&ParticipantPermission>) -> bool {
    permission.is_none_or(|permission| permission.can_publish_data)
}
