//! Being in a room: the two handles that mean it.
//!
//! **Nobody stays in a room that nothing here refers to:** a membership dropped without having left leaves in the
//! background. Refuses every use after it has left.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::engine::core::Core;
use crate::engine::proto::ffi_request::Message as Ask;
use crate::engine::wire::Handle;
use crate::engine::{proto, EngineError};

const LEAVE_DEADLINE: Duration = Duration::from_secs(10);

pub(super) struct Membership {
    room: u64,
    local: u64,
    /// Room and local participant, until the room is left.
    held: Mutex<Option<[Handle; 2]>>,
    core: Arc<Core>,
}

impl Membership {
    /// Takes over the handles of a room that was reached and of the local participant in it.
    pub(super) fn new(core: &Arc<Core>, room: u64, local: u64) -> Membership {
        let held = [room, local].map(|id| Handle::own(&core.wire, id));
        Membership {
            room,
            local,
            held: Mutex::new(Some(held)),
            core: core.clone(),
        }
    }

    /// The room's handle, whether or not it has been left.
    pub(super) fn room(&self) -> u64 {
        self.room
    }

    /// The local participant's handle.
    pub(super) fn local(&self) -> Result<u64, EngineError> {
        if self.held.lock().is_none() || !self.core.rooms.is_open(self.room) {
            return Err(EngineError::Closed(
                "the room is no longer connected: join it again to go on".into(),
            ));
        }
        Ok(self.local)
    }

    /// Leaves and waits until the library has let go. Does nothing the second time.
    pub(super) async fn leave(&self) -> Result<(), EngineError> {
        if self.held.lock().is_none() {
            return Ok(());
        }
        self.core.rooms.leaving(self.room);
        let (core, room) = (self.core.clone(), self.room);
        let leaving = move |_| {
            core.left(room);
            Ok(())
        };
        let wire = &self.core.wire;
        let answer = wire.ask(
            "leave the room",
            LEAVE_DEADLINE,
            None,
            |id| disconnect(room, id),
            leaving,
        );
        let answer = answer.await;
        let held = self.held.lock().take();
        drop(held);
        self.core.left(room);
        match answer {
            Err(EngineError::TimedOut(message)) => Err(EngineError::TimedOut(message)),
            // Refused means that the library no longer knows the room.
            _ => Ok(()),
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let held = self.held.lock().take();
        if let Some(handles) = held {
            leave_later(&self.core, self.room, handles.into());
        }
    }
}

fn disconnect(room: u64, id: u64) -> Ask {
    Ask::Disconnect(proto::DisconnectRequest {
        room_handle: room,
        request_async_id: Some(id),
        reason: None,
    })
}

/// Leaves a room in the background; `handles` are given back once it is left.
pub(super) fn leave_later(core: &Arc<Core>, room: u64, handles: Vec<Handle>) {
    let leaving = core.clone();
    core.wire.later(move || {
        leaving.rooms.leaving(room);
        let core = leaving.clone();
        let asked = leaving.wire.ask_for_nobody(
            "leave the room",
            |id| disconnect(room, id),
            move |_| {
                core.left(room);
                core.wire.later(move || drop(handles));
            },
        );
        if asked.is_err() {
            // Gone already: nothing will answer.
            leaving.left(room);
        }
    });
}
