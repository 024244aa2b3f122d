//! The line of events from the library's threads to whoever reads a room. Nobody may wait at its beginning, so what others
//! can fill it with is bounded here.
//!
//! **What tells the state of a room always passes; packets of data pass while few of them wait.** Decides which packets are
//! dropped: the newest, and it counts them. Refuses to drop anything else: the server sets how much of that there is.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::engine::EngineEvent;

/// Packets that may wait.
pub const MOST_PACKETS: usize = 4_096;
/// Bytes of packets that may wait.
pub const MOST_BYTES: usize = 16 << 20;

#[derive(Default)]
struct Load {
    packets: AtomicUsize,
    bytes: AtomicUsize,
    dropped: Arc<AtomicU64>,
}

/// Bytes of a packet of data; nothing for an event that tells a state.
fn weight(event: &EngineEvent) -> Option<usize> {
    match event {
        EngineEvent::DataReceived { payload, .. } => Some(payload.len()),
        EngineEvent::DtmfReceived { .. } => Some(0),
        _ => None,
    }
}

impl Load {
    /// Takes a packet in if there is room for it. Events of one room come one at a time, so looking first is enough.
    fn add(&self, bytes: usize) -> bool {
        let full = self.packets.load(Ordering::Relaxed) >= MOST_PACKETS
            || self.bytes.load(Ordering::Relaxed).saturating_add(bytes) > MOST_BYTES;
        if full {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        self.packets.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        true
    }

    fn remove(&self, bytes: usize) {
        self.packets.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

pub fn line() -> (EventSender, EventReceiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let load = Arc::new(Load::default());
    let sender = EventSender {
        line: sender,
        load: load.clone(),
    };
    let receiver = EventReceiver {
        line: receiver,
        load,
    };
    (sender, receiver)
}

/// The beginning of the line.
pub struct EventSender {
    line: mpsc::UnboundedSender<EngineEvent>,
    load: Arc<Load>,
}

impl EventSender {
    /// Adds an event. Gives back one that is dropped, or that nobody is there to read.
    pub fn send(&self, event: EngineEvent) -> Option<EngineEvent> {
        if weight(&event).is_some_and(|bytes| !self.load.add(bytes)) {
            return Some(event);
        }
        self.line.send(event).err().map(|unread| unread.0)
    }
}

/// The end of the line.
pub struct EventReceiver {
    line: mpsc::UnboundedReceiver<EngineEvent>,
    load: Arc<Load>,
}

impl EventReceiver {
    /// The next event; nothing once the room has ended and all were read.
    pub async fn recv(&mut self) -> Option<EngineEvent> {
        let event = self.line.recv().await?;
        if let Some(bytes) = weight(&event) {
            self.load.remove(bytes);
        }
        Some(event)
    }

    /// How many packets of data were dropped; counts on after the receiver is gone.
    pub fn dropped(&self) -> Arc<AtomicU64> {
        self.load.dropped.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn packet(bytes: usize) -> EngineEvent {
        EngineEvent::DataReceived {
            identity: String::new(),
            payload: Bytes::from(vec![0; bytes]),
            topic: None,
            kind: 1,
        }
    }

    #[tokio::test]
    async fn few_and_small_packets_wait_and_a_packet_read_makes_room_for_another() {
        let (sender, mut receiver) = line();
        assert!(sender.send(packet(MOST_BYTES)).is_none());
        assert!(sender.send(packet(1)).is_some(), "too many bytes");
        receiver.recv().await.expect("a packet");
        for _ in 0..MOST_PACKETS {
            assert!(sender.send(packet(1)).is_none());
        }
        assert!(sender.send(packet(1)).is_some(), "too many packets");
        assert!(sender.send(EngineEvent::Reconnecting).is_none());
        receiver.recv().await.expect("a packet");
        assert!(sender.send(packet(1)).is_none());
        assert_eq!(receiver.dropped().load(Ordering::Relaxed), 2);
    }
}
