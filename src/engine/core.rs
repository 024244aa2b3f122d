//! What the objects of the engine share: the wire to the library, and the tables of rooms and of streams.
//!
//! Decides that a room's streams end before the room says that it is over. Refuses to know objects.

use std::sync::Arc;

use crate::engine::proto::DisconnectReason;
use crate::engine::rooms::Rooms;
use crate::engine::streams::Streams;
use crate::engine::wire::{Abi, Wire};

pub(super) struct Core {
    pub(super) wire: Arc<Wire>,
    pub(super) rooms: Rooms,
    pub(super) streams: Streams,
}

impl Core {
    pub(super) fn new(abi: impl Abi + 'static) -> Arc<Core> {
        Arc::new(Core {
            wire: Wire::new(abi),
            rooms: Rooms::default(),
            streams: Streams::default(),
        })
    }

    /// The room has been left.
    pub(super) fn left(&self, room: u64) {
        self.finish(room, Some(DisconnectReason::ClientInitiated));
    }

    /// The room is over, for this reason if there is one. Does nothing the second time.
    pub(super) fn finish(&self, room: u64, reason: Option<DisconnectReason>) {
        if let Some(route) = self.rooms.close(room) {
            self.streams.end_room(room);
            route.end(reason);
        }
    }
}
