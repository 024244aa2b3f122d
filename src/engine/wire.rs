//! The wire to the media library: requests out, answers back to whoever waits, and the count of what is held.
//!
//! **What is asked first reaches the library first, and every handle it hands over is given back exactly once, also when
//! nobody waits any more.** Refuses to know what a message means, and handle 0, which the library uses for "none".

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{mpsc, Arc};
use std::time::Duration;

use parking_lot::Mutex;
use prost::Message as _;
use tokio::sync::{oneshot, OwnedSemaphorePermit};

use crate::engine::proto;
use crate::engine::proto::ffi_event::Message as Event;
use crate::engine::proto::ffi_request::Message as Ask;
use crate::engine::proto::ffi_response::Message as Reply;
use crate::engine::EngineError;

/// The library numbers its handles from 1 up; our ids never meet them.
const FIRST_ID: u64 = 1 << 40;

/// The two calls the rest of the engine makes, as a trait: tests script the library's side of them.
pub(super) trait Abi: Send + Sync {
    /// Sends an encoded `FfiRequest`; the encoded `FfiResponse`, or nothing if the library refused (it tells no reason).
    fn request(&self, message: &[u8]) -> Option<Vec<u8>>;
    /// Gives a handle back.
    fn drop_handle(&self, handle: u64) -> bool;
}

impl<T: Abi> Abi for Arc<T> {
    fn request(&self, message: &[u8]) -> Option<Vec<u8>> {
        T::request(self, message)
    }

    fn drop_handle(&self, handle: u64) -> bool {
        T::drop_handle(self, handle)
    }
}

/// One of the library's objects, given back when dropped.
pub(super) struct Handle {
    wire: Arc<Wire>,
    id: u64,
}

impl Handle {
    /// Takes ownership of a handle that the library handed over.
    pub(super) fn own(wire: &Arc<Wire>, id: u64) -> Handle {
        wire.handles.fetch_add(1, Ordering::Relaxed);
        Handle {
            wire: wire.clone(),
            id,
        }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.wire.handles.fetch_sub(1, Ordering::Relaxed);
        self.wire.give_back(self.id);
    }
}

type Waiter = Box<dyn FnOnce(Event) + Send>;
type Errand = Box<dyn FnOnce() + Send>;

pub(super) struct Wire {
    abi: Box<dyn Abi>,
    next_id: AtomicU64,
    waiters: Mutex<HashMap<u64, Waiter>>,
    handles: AtomicI64,
    errands: Mutex<Option<mpsc::Sender<Errand>>>,
}

impl Wire {
    pub(super) fn new(abi: impl Abi + 'static) -> Arc<Wire> {
        Arc::new(Wire {
            abi: Box::new(abi),
            next_id: AtomicU64::new(FIRST_ID),
            waiters: Mutex::default(),
            handles: AtomicI64::new(0),
            errands: Mutex::default(),
        })
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

    /// One request that the library answers later. **It is made before this returns.** `read` makes of the answer what
    /// the future resolves with; it runs on a thread of the library, and also when the future is gone, so that what the
    /// answer holds is given back. `permit` is given back when the answer is there, or the deadline has passed.
    pub(super) fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        what: &'static str,
        deadline: Duration,
        permit: Option<OwnedSemaphorePermit>,
        ask: impl FnOnce(u64) -> Ask,
        read: impl FnOnce(Event) -> Result<T, EngineError> + Send + 'static,
    ) -> impl Future<Output = Result<T, EngineError>> + Send + 'static {
        let (sender, receiver) = oneshot::channel();
        let permit = Arc::new(Mutex::new(permit));
        let kept = permit.clone();
        let asked = self.ask_for_nobody(what, ask, move |event| {
            let answer = read(event);
            drop(kept.lock().take());
            let _ = sender.send(answer);
        });
        async move {
            asked?;
            match tokio::time::timeout(deadline, receiver).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Err(EngineError::Closed("the media library gave up".into())),
                Err(_) => {
                    drop(permit.lock().take());
                    Err(EngineError::TimedOut(format!(
                        "the media library did not {what} within {} ms",
                        deadline.as_millis()
                    )))
                }
            }
        }
    }

    /// A request whose answer nobody waits for; `then` gets it. Fails if there will be none.
    pub(super) fn ask_for_nobody(
        &self,
        what: &str,
        ask: impl FnOnce(u64) -> Ask,
        then: impl FnOnce(Event) + Send + 'static,
    ) -> Result<(), EngineError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        // An answer can come before the response to its request.
        self.waiters.lock().insert(id, Box::new(then));
        let called = self.call(what, ask(id));
        if called.is_err() {
            let waiter = self.waiters.lock().remove(&id);
            drop(waiter);
        }
        called.map(drop)
    }

    /// Hands an answer to whoever waits for it; gives it back if nobody does.
    pub(super) fn answered(&self, id: u64, answer: Event) -> Option<Event> {
        let waiter = self.waiters.lock().remove(&id);
        match waiter {
            Some(waiter) => {
                waiter(answer);
                None
            }
            None => Some(answer),
        }
    }

    /// Does what must not be done in the library's callback, soon, on one thread of our own. If the process can start no
    /// thread it is done here, which the library bears.
    pub(super) fn later(&self, errand: impl FnOnce() + Send + 'static) {
        let mut errands = self.errands.lock();
        if errands.is_none() {
            *errands = start();
        }
        let left: Option<Errand> = match errands.as_ref() {
            Some(sender) => sender.send(Box::new(errand)).err().map(|left| left.0),
            None => Some(Box::new(errand)),
        };
        drop(errands);
        if let Some(errand) = left {
            errand();
        }
    }
}

/// The thread for errands; it ends with the wire.
fn start() -> Option<mpsc::Sender<Errand>> {
    let (sender, receiver) = mpsc::channel::<Errand>();
    let work = move || {
        for errand in receiver {
            errand();
        }
    };
    std::thread::Builder::new()
        .name("roomhook-engine".into())
        .spawn(work)
        .ok()
        .map(|_| sender)
}
