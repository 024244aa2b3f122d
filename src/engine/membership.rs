//! Being in a room: the two handles that mean it.
//!
//! **Nobody stays in a room that nothing here refers to:** a membership dropped without having left leaves in the
//! background. Refuses every use after it has left.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::engine::abi::Handle;
use crate::engine::chores::Chore;
use crate::engine::proto::ffi_request::Message as Ask;
use crate::engine::router::{lock, Router, Terms};
use crate::engine::{proto, EngineError};

const LEAVE_DEADLINE: Duration = Duration::from_secs(10);

pub(super) struct Membership {
    room: u64,
    local: u64,
    /// Room and local participant, until the room is left.
    held: Mutex<Option<[Handle; 2]>>,
    router: Arc<Router>,
}

impl Membership {
    pub(super) fn new(room: Handle, local: Handle) -> Membership {
        Membership {
            room: room.id(),
            local: local.id(),
            router: room.router().clone(),
            held: Mutex::new(Some([room, local])),
        }
    }

    /// The room's handle, whether or not it has been left.
    pub(super) fn room(&self) -> u64 {
        self.room
    }

    /// The local participant's handle.
    pub(super) fn local(&self) -> Result<u64, EngineError> {
        if lock(&self.held).is_none() || !self.router.rooms.is_open(self.room) {
            return Err(EngineError::Closed(
                "the room is no longer connected: join it again to go on".into(),
            ));
        }
        Ok(self.local)
    }

    /// Leaves and waits until the library has let go. Does nothing the second time.
    pub(super) async fn leave(&self) -> Result<(), EngineError> {
        if lock(&self.held).is_none() {
            return Ok(());
        }
        self.router.rooms.leaving(self.room);
        let terms = Terms {
            permit: None,
            leaves: Some(self.room),
        };
        let ask = |id| {
            Ask::Disconnect(proto::DisconnectRequest {
                room_handle: self.room,
                request_async_id: Some(id),
                reason: None,
            })
        };
        let answer = self
            .router
            .ask("leave the room", LEAVE_DEADLINE, terms, ask);
        let answer = answer.await;
        let held = lock(&self.held).take();
        drop(held);
        self.router.rooms.left(&self.router, self.room);
        match answer {
            Err(EngineError::TimedOut(message)) => Err(EngineError::TimedOut(message)),
            // Refused means that the library no longer knows the room.
            _ => Ok(()),
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let held = lock(&self.held).take();
        if let Some(handles) = held {
            self.router
                .later(Chore::Leave(self.room, handles.into_iter().collect()));
        }
    }
}
