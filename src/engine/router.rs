//! The one owner of the library's callback and request path.
//!
//! Decides where each of the library's messages goes: an answer to its waiter, a room's event to that room, a frame to
//! its stream. **Every handle the library hands over is given back exactly once, also when nobody waits any more.**
//! Refuses to do work in the callback: it decodes, copies and enqueues; whatever can wait is left to `chores`.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use prost::Message as _;
use tokio::sync::{oneshot, OwnedSemaphorePermit};

use crate::engine::abi::{Abi, Handle};
use crate::engine::answer::Answer;
use crate::engine::chores::{Chore, Chores};
use crate::engine::proto::ffi_event::Message as Event;
use crate::engine::proto::ffi_request::Message as Ask;
use crate::engine::proto::ffi_response::Message as Reply;
use crate::engine::rooms::Rooms;
use crate::engine::streams::Streams;
use crate::engine::{answer, logs, proto, refusal, EngineError};

/// The library numbers its handles from 1 up; our ids never meet them.
const FIRST_ID: u64 = 1 << 40;

/// Locks that only guard tables stay usable after a panic elsewhere.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

/// Who gets an answer.
enum Recipient {
    /// A future; the permit is given back when the answer is there, even if the future is not.
    Future(oneshot::Sender<Answer>, Option<OwnedSemaphorePermit>),
    /// Nobody: these are given back once the answer is there.
    Nobody(Vec<Handle>),
}

struct Waiter {
    recipient: Recipient,
    /// The room that is left once the answer is there.
    leaves: Option<u64>,
}

/// What a waiting request brings along.
#[derive(Default)]
pub(super) struct Terms {
    /// Given back when the answer is there.
    pub(super) permit: Option<OwnedSemaphorePermit>,
    /// The room that the request leaves.
    pub(super) leaves: Option<u64>,
}

pub(super) struct Router {
    abi: Box<dyn Abi>,
    next_id: AtomicU64,
    waiters: Mutex<HashMap<u64, Waiter>>,
    handles: AtomicI64,
    chores: Chores,
    pub(super) rooms: Rooms,
    pub(super) streams: Streams,
}

impl Router {
    pub(super) fn new(abi: impl Abi + 'static) -> Arc<Router> {
        Arc::new(Router {
            abi: Box::new(abi),
            next_id: AtomicU64::new(FIRST_ID),
            waiters: Mutex::default(),
            handles: AtomicI64::new(0),
            chores: Chores::default(),
            rooms: Rooms::default(),
            streams: Streams::default(),
        })
    }

    pub(super) fn handle_taken(&self) {
        self.handles.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn handle_dropped(&self, id: u64) {
        self.handles.fetch_sub(1, Ordering::Relaxed);
        self.give_back(id);
    }

    /// Gives back a handle that was never wrapped (a frame's, for instance).
    pub(super) fn give_back(&self, id: u64) {
        if id != 0 && !self.abi.drop_handle(id) {
            tracing::debug!("the media library did not know a handle that was given back");
        }
    }

    /// How many of the library's objects are held now.
    pub(super) fn open_handles(&self) -> i64 {
        self.handles.load(Ordering::Relaxed)
    }

    /// Does `chore` on a thread that may block.
    pub(super) fn later(self: &Arc<Self>, chore: Chore) {
        self.chores.add(self, chore);
    }

    /// One request that the library answers at once.
    pub(super) fn call(&self, what: &str, ask: Ask) -> Result<Reply, EngineError> {
        let request = proto::FfiRequest { message: Some(ask) };
        let refused = || EngineError::Refused(format!("the media library refused to {what}"));
        let response = self
            .abi
            .request(&request.encode_to_vec())
            .ok_or_else(refused)?;
        proto::FfiResponse::decode(response.as_slice())
            .ok()
            .and_then(|response| response.message)
            .ok_or_else(refused)
    }

    /// One request that the library answers later. **It is made before this returns**, so what is called first reaches the
    /// library first. The future may be dropped: a late answer is then given back.
    pub(super) fn ask(
        self: &Arc<Self>,
        what: &'static str,
        deadline: Duration,
        terms: Terms,
        ask: impl FnOnce(u64) -> Ask,
    ) -> impl Future<Output = Result<Answer, EngineError>> + Send + 'static {
        let (sender, receiver) = oneshot::channel();
        let id = self.wait(Waiter {
            recipient: Recipient::Future(sender, terms.permit),
            leaves: terms.leaves,
        });
        let called = self.call(what, ask(id));
        if called.is_err() {
            drop(self.forget(id));
        }
        let router = self.clone();
        async move {
            called?;
            match tokio::time::timeout(deadline, receiver).await {
                Ok(Ok(Answer::Failed(reason))) => Err(refusal::error(&reason)),
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(_)) => Err(EngineError::Closed("the media library gave up".into())),
                Err(_) => {
                    drop(router.forget(id));
                    Err(EngineError::TimedOut(format!(
                        "the media library did not {what} within {} ms",
                        deadline.as_millis()
                    )))
                }
            }
        }
    }

    /// Leaves a room without anybody waiting; `handles` are given back once it is left.
    pub(super) fn leave(self: &Arc<Self>, room: u64, handles: Vec<Handle>) {
        self.rooms.leaving(room);
        let id = self.wait(Waiter {
            recipient: Recipient::Nobody(handles),
            leaves: Some(room),
        });
        let ask = Ask::Disconnect(proto::DisconnectRequest {
            room_handle: room,
            request_async_id: Some(id),
            reason: None,
        });
        if self.call("leave the room", ask).is_err() {
            // Gone already: nothing will answer.
            drop(self.forget(id));
            self.rooms.left(self, room);
        }
    }

    fn wait(&self, waiter: Waiter) -> u64 {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        lock(&self.waiters).insert(id, waiter);
        id
    }

    fn forget(&self, id: u64) -> Option<Waiter> {
        lock(&self.waiters).remove(&id)
    }

    /// Everything the library has to say arrives here, on threads of the library.
    pub(super) fn receive(self: &Arc<Self>, data: &[u8]) {
        if logs::unwanted(data) {
            return;
        }
        let Ok(event) = proto::FfiEvent::decode(data) else {
            tracing::error!("an event of the media library could not be decoded and is lost");
            return;
        };
        match event.message {
            None => {}
            Some(Event::RoomEvent(event)) => self.rooms.receive(self, event),
            Some(Event::AudioStreamEvent(event)) => self.streams.receive(self, event),
            Some(Event::Logs(batch)) => logs::forward(batch),
            Some(Event::Panic(_)) => {
                tracing::error!("the media library closed a room that was not taken over in time");
            }
            Some(event) => {
                if let Some((id, answer)) = answer::of(self, event) {
                    self.answered(id, answer);
                }
            }
        }
    }

    fn answered(self: &Arc<Self>, id: u64, answer: Answer) {
        let Some(waiter) = self.forget(id) else {
            return;
        };
        if let Some(room) = waiter.leaves {
            self.rooms.left(self, room);
        }
        match waiter.recipient {
            Recipient::Future(sender, permit) => {
                drop(permit);
                // If the future is gone, the answer and what it holds are dropped here.
                let _ = sender.send(answer);
            }
            Recipient::Nobody(handles) => self.later(Chore::GiveBack(handles)),
        }
    }
}
