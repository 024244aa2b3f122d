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

use crate::engine::chores::Chore;
use crate::engine::events::Meaning;
use crate::engine::line::{line, EventReceiver, EventSender};
use crate::engine::proto::DisconnectReason;
use crate::engine::router::{lock, Router};
use crate::engine::streams::Origin;
use crate::engine::{events, proto, EngineEvent, ParticipantInfo, ParticipantPermission};

/// How long a reconnection may take before the room counts as lost.
pub(super) const RECONNECT_DEADLINE: Duration = Duration::from_secs(60);

const GONE: i32 = proto::ConnectionState::ConnDisconnected as i32;

struct Route {
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
}

#[derive(Default)]
pub(super) struct Rooms {
    routes: Mutex<HashMap<u64, Route>>,
}

impl Rooms {
    /// Prepares for the events of a room. Must be called within a tokio runtime.
    pub(super) fn open(&self, room: u64, local: &ParticipantInfo) -> EventReceiver {
        let (events, receiver) = line();
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
        lock(&self.routes).insert(room, route);
        receiver
    }

    /// Whether the room has not ended.
    pub(super) fn is_open(&self, room: u64) -> bool {
        lock(&self.routes).contains_key(&room)
    }

    /// Whether we may publish data there.
    pub(super) fn may_publish_data(&self, room: u64) -> bool {
        let routes = lock(&self.routes);
        routes
            .get(&room)
            .is_some_and(|route| route.may_publish_data)
    }

    /// Where what belongs to the room is waited for, while it lasts.
    pub(super) fn runtime(&self, room: u64) -> Option<Runtime> {
        let routes = lock(&self.routes);
        routes.get(&room).map(|route| route.runtime.clone())
    }

    /// Cancelled once the room has ended: nothing that was asked of it will be answered any more.
    pub(super) fn ended(&self, room: u64) -> CancellationToken {
        match lock(&self.routes).get(&room) {
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
        let routes = lock(&self.routes);
        let route = routes.get(&room);
        route.map_or(Vec::new(), |route| {
            route.published.keys().cloned().collect()
        })
    }

    /// Notes that we are about to leave, so that the end needs no other reason.
    pub(super) fn leaving(&self, room: u64) {
        if let Some(route) = lock(&self.routes).get_mut(&room) {
            route.leaving = true;
        }
    }

    /// The room has been left.
    pub(super) fn left(&self, router: &Router, room: u64) {
        self.finish(router, room, Some(DisconnectReason::ClientInitiated));
    }

    /// Notes a published track.
    pub(super) fn published(&self, room: u64, sid: &str, mark: Arc<AtomicBool>) {
        match lock(&self.routes).get_mut(&room) {
            Some(route) => {
                route.published.insert(sid.to_owned(), mark);
            }
            None => mark.store(false, Ordering::SeqCst),
        }
    }

    /// Notes that a track is no longer published.
    pub(super) fn unpublished(&self, room: u64, sid: &str) {
        if let Some(route) = lock(&self.routes).get_mut(&room) {
            route.unmark(sid);
        }
    }

    /// An event of a room, on a thread of the library.
    pub(super) fn receive(&self, router: &Arc<Router>, event: proto::RoomEvent) {
        let room = event.room_handle;
        let Some(message) = event.message else {
            return;
        };
        match events::meaning(router, room, message) {
            Meaning::Event(event) => self.deliver(router, room, event),
            Meaning::Ended(reason) => self.finish(router, room, reason),
            Meaning::Nothing => {}
        }
    }

    fn deliver(&self, router: &Arc<Router>, room: u64, event: EngineEvent) {
        match &event {
            EngineEvent::TrackUnsubscribed { sid, .. } => router.streams.end_track(room, sid),
            EngineEvent::ParticipantDisconnected { identity, .. } => {
                router.streams.end_participant(room, identity);
            }
            _ => {}
        }
        let mut routes = lock(&self.routes);
        let Some(route) = routes.get_mut(&room) else {
            // What the event holds is given back after the lock.
            drop(routes);
            return drop(event);
        };
        match &event {
            EngineEvent::TrackSubscribed { identity, track } => {
                router.streams.begin_track(Origin {
                    room: Some(room),
                    identity: identity.clone(),
                    sid: track.info().sid.clone(),
                });
            }
            EngineEvent::Reconnecting => {
                route.stop_deadline();
                route.deadline = Some(watch(&route.runtime, router, room));
            }
            EngineEvent::Reconnected => route.stop_deadline(),
            EngineEvent::ConnectionStateChanged { state } => route.told = *state == GONE,
            EngineEvent::ParticipantPermissionChanged {
                identity,
                permission,
            } if *identity == route.local => {
                route.may_publish_data = may_publish_data(permission.as_ref());
            }
            EngineEvent::LocalTrackUnpublished { sid } => route.unmark(sid),
            EngineEvent::LocalTrackRepublished { previous_sid, info } => {
                if let Some(mark) = route.published.remove(previous_sid) {
                    route.published.insert(info.sid.clone(), mark);
                }
            }
            _ => {}
        }
        let unheard = route.events.send(event);
        drop(routes);
        drop(unheard);
    }

    fn finish(&self, router: &Router, room: u64, reason: Option<DisconnectReason>) {
        let route = lock(&self.routes).remove(&room);
        let Some(mut route) = route else { return };
        route.stop_deadline();
        let sids: Vec<String> = route.published.keys().cloned().collect();
        for sid in sids {
            route.unmark(&sid);
        }
        router.streams.end_room(room);
        let reason = match reason {
            Some(reason) => reason,
            None if route.leaving => DisconnectReason::ClientInitiated,
            None => DisconnectReason::UnknownReason,
        };
        // Nobody may listen any more.
        if !route.told {
            let state = EngineEvent::ConnectionStateChanged { state: GONE };
            let _ = route.events.send(state);
        }
        let reason = reason.into();
        let _ = route.events.send(EngineEvent::Disconnected { reason });
        route.ended.cancel();
    }
}

fn may_publish_data(permission: Option<&ParticipantPermission>) -> bool {
    permission.is_none_or(|permission| permission.can_publish_data)
}

/// Gives the room up when the deadline passes.
fn watch(runtime: &Runtime, router: &Arc<Router>, room: u64) -> AbortHandle {
    let router = Arc::downgrade(router);
    let wait = async move {
        tokio::time::sleep(RECONNECT_DEADLINE).await;
        let Some(router) = router.upgrade() else {
            return;
        };
        let reason = DisconnectReason::ConnectionTimeout;
        router.rooms.finish(&router, room, Some(reason));
        router.later(Chore::Leave(room, Vec::new()));
    };
    runtime.spawn(wait).abort_handle()
}
