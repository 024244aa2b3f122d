//! A scripted media library for the engine's own tests: answers requests as told and counts what is given back.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use prost::Message as _;

use crate::engine::core::Core;
use crate::engine::dispatch;
use crate::engine::proto;
use crate::engine::proto::ffi_event::Message as Event;
use crate::engine::proto::ffi_request::Message as Ask;
use crate::engine::proto::ffi_response::Message as Reply;
use crate::engine::proto::room_event::Message as RoomMessage;
use crate::engine::wire::Abi;

type Answerer = Box<dyn Fn(&Ask) -> Option<Reply> + Send + Sync>;

pub(super) struct Script {
    answer: Answerer,
    requests: Mutex<Vec<Ask>>,
    dropped: Mutex<HashMap<u64, u32>>,
    changed: Condvar,
    next: AtomicU64,
}

/// Locks for scripted state; a failed test may poison them.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// What a library answers that accepts everything and hands out fresh handles.
fn accept(handle: u64, ask: &Ask) -> Reply {
    let owned = proto::FfiOwnedHandle { id: handle };
    match ask {
        Ask::NewAudioSource(_) => Reply::NewAudioSource(proto::NewAudioSourceResponse {
            source: proto::OwnedAudioSource {
                handle: owned,
                ..Default::default()
            },
        }),
        Ask::CreateAudioTrack(_) => Reply::CreateAudioTrack(proto::CreateAudioTrackResponse {
            track: proto::OwnedTrack {
                handle: owned,
                ..Default::default()
            },
        }),
        Ask::NewAudioStream(_) => Reply::NewAudioStream(proto::NewAudioStreamResponse {
            stream: proto::OwnedAudioStream {
                handle: owned,
                ..Default::default()
            },
        }),
        // Nobody reads the others.
        _ => Reply::SetSubscribed(proto::SetSubscribedResponse {}),
    }
}

impl Script {
    /// A library that accepts every request, and its core.
    pub(super) fn accepting() -> (Arc<Script>, Arc<Core>) {
        Script::with(|_| None)
    }

    /// As `accepting`, but `answer` may answer first.
    pub(super) fn with(
        answer: impl Fn(&Ask) -> Option<Reply> + Send + Sync + 'static,
    ) -> (Arc<Script>, Arc<Core>) {
        let script = Arc::new(Script {
            answer: Box::new(answer),
            requests: Mutex::default(),
            dropped: Mutex::default(),
            changed: Condvar::new(),
            next: AtomicU64::new(1_000),
        });
        let core = Core::new(script.clone());
        (script, core)
    }

    fn wait<T>(&self, what: &str, found: impl Fn() -> Option<T>) -> T {
        let mut dropped = lock(&self.dropped);
        loop {
            if let Some(found) = found() {
                return found;
            }
            let (guard, timeout) = self
                .changed
                .wait_timeout(dropped, Duration::from_secs(10))
                .unwrap();
            dropped = guard;
            assert!(!timeout.timed_out(), "waited for {what} in vain");
        }
    }

    /// The requests so far.
    pub(super) fn requests(&self) -> Vec<Ask> {
        lock(&self.requests).clone()
    }

    /// Waits for the `count`-th request that `wanted` answers something for.
    pub(super) fn request<T>(
        &self,
        what: &str,
        count: usize,
        wanted: impl Fn(&Ask) -> Option<T>,
    ) -> T {
        self.wait(what, || {
            lock(&self.requests)
                .iter()
                .filter_map(&wanted)
                .nth(count - 1)
        })
    }

    /// Waits until the handle is given back, and fails if it is twice.
    pub(super) fn given_back(&self, handle: u64) {
        let mut dropped = lock(&self.dropped);
        while !dropped.contains_key(&handle) {
            let (guard, timeout) = self
                .changed
                .wait_timeout(dropped, Duration::from_secs(10))
                .unwrap();
            dropped = guard;
            assert!(!timeout.timed_out(), "handle {handle} was never given back");
        }
        assert_eq!(dropped[&handle], 1, "handle {handle} was given back twice");
    }

    /// Whether the handle has been given back.
    pub(super) fn has_back(&self, handle: u64) -> bool {
        lock(&self.dropped).contains_key(&handle)
    }
}

impl Abi for Script {
    fn request(&self, message: &[u8]) -> Option<Vec<u8>> {
        let ask = proto::FfiRequest::decode(message).unwrap().message.unwrap();
        let handle = self.next.fetch_add(1, Ordering::Relaxed);
        let reply = (self.answer)(&ask).unwrap_or_else(|| accept(handle, &ask));
        lock(&self.requests).push(ask);
        // Taken so that a waiter is either before its check or already waiting.
        let _dropped = lock(&self.dropped);
        self.changed.notify_all();
        let response = proto::FfiResponse {
            message: Some(reply),
        };
        Some(response.encode_to_vec())
    }

    fn drop_handle(&self, handle: u64) -> bool {
        let mut dropped = lock(&self.dropped);
        *dropped.entry(handle).or_default() += 1;
        self.changed.notify_all();
        dropped[&handle] == 1
    }
}

/// Lets the library say something.
pub(super) fn say(core: &Arc<Core>, event: Event) {
    let event = proto::FfiEvent {
        message: Some(event),
    };
    dispatch::receive(core, &event.encode_to_vec());
}

/// Lets the library say something about a room.
pub(super) fn say_in(core: &Arc<Core>, room: u64, message: RoomMessage) {
    let event = proto::RoomEvent {
        room_handle: room,
        message: Some(message),
    };
    say(core, Event::RoomEvent(event));
}

/// A handle as messages carry it.
pub(super) fn handle(id: u64) -> proto::FfiOwnedHandle {
    proto::FfiOwnedHandle { id }
}

/// The answer to a join: room 1, local participant 2, one participant 3 with one publication 4.
pub(super) fn joined(async_id: u64) -> Event {
    use proto::connect_callback::{Message, ParticipantWithTracks};
    let participant = |id, identity: &str| proto::OwnedParticipant {
        handle: handle(id),
        info: proto::ParticipantInfo {
            identity: identity.into(),
            ..Default::default()
        },
    };
    let result = proto::connect_callback::Result {
        room: proto::OwnedRoom {
            handle: handle(1),
            ..Default::default()
        },
        local_participant: participant(2, "us"),
        participants: vec![ParticipantWithTracks {
            participant: participant(3, "them"),
            publications: vec![proto::OwnedTrackPublication {
                handle: handle(4),
                ..Default::default()
            }],
        }],
    };
    Event::Connect(proto::ConnectCallback {
        async_id,
        message: Some(Message::Result(result)),
    })
}
