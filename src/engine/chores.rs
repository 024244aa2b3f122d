//! What must not be done in the library's callback, done on one thread of our own.
//!
//! Decides nothing. The thread starts with the first chore and ends with the router; refuses to wait for answers.

use std::sync::{mpsc, Arc};

use parking_lot::Mutex;

use crate::engine::abi::Handle;
use crate::engine::router::{lock, Router};

/// One thing to do.
pub(super) enum Chore {
    /// Leave a room nobody holds any more, then give its handles back.
    Leave(u64, Vec<Handle>),
    GiveBack(Vec<Handle>),
}

type Order = (Arc<Router>, Chore);

#[derive(Default)]
pub(super) struct Chores {
    queue: Mutex<Option<mpsc::Sender<Order>>>,
}

fn perform(router: &Arc<Router>, chore: Chore) {
    match chore {
        Chore::Leave(room, handles) => router.leave(room, handles),
        Chore::GiveBack(handles) => drop(handles),
    }
}

fn start() -> Option<mpsc::Sender<Order>> {
    let (sender, receiver) = mpsc::channel::<Order>();
    let work = move || {
        for (router, chore) in receiver {
            perform(&router, chore);
        }
    };
    std::thread::Builder::new()
        .name("roomhook-engine".into())
        .spawn(work)
        .ok()
        .map(|_| sender)
}

impl Chores {
    /// Does it soon. If the process can start no thread it is done here, which the library bears.
    pub(super) fn add(&self, router: &Arc<Router>, chore: Chore) {
        let mut queue = lock(&self.queue);
        if queue.is_none() {
            *queue = start();
        }
        let left = match queue.as_ref() {
            Some(sender) => sender
                .send((router.clone(), chore))
                .err()
                .map(|left| left.0),
            None => Some((router.clone(), chore)),
        };
        drop(queue);
        if let Some((router, chore)) = left {
            perform(&router, chore);
        }
    }
}
