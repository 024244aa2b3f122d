//! The queue of events from the library's threads to whoever reads a room. Nobody may wait at its beginning, so what others
//! can fill it with is bounded here.
//!
//! **What tells the state of a room always passes; reliable data passes up to a bound in bytes, and whoever reads is told
//! where it was passed; lossy data passes while few packets wait.** Decides which packets are dropped: the newest, and it
//! counts them. Refuses to drop anything else: the server sets how much of that there is. The library reads the data
//! channel whether or not we do, so nothing here can slow a sender down.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::engine::EngineEvent;

/// Lossy packets that may wait.
pub const MOST_LOSSY_PACKETS: usize = 4_096;
/// Bytes of packets that may wait: a thousand of the longest, a quarter of a million of the shortest.
pub const MOST_BYTES: usize = 64 << 20;
/// What a packet takes beside its payload.
const OF_A_PACKET: usize = 256;

const KIND_LOSSY: i32 = 0;

#[derive(Default)]
struct Load {
    lossy: AtomicUsize,
    bytes: AtomicUsize,
    dropped: Arc<AtomicU64>,
    /// Reliable packets dropped since the reader was told the last time.
    gap: AtomicU64,
}

/// A packet of data as this queue sees it.
#[derive(Clone, Copy)]
struct Weight {
    bytes: usize,
    lossy: bool,
}

/// Nothing for an event that tells a state.
fn weight(event: &EngineEvent) -> Option<Weight> {
    let (bytes, lossy) = match event {
        EngineEvent::DataReceived { payload, kind, .. } => (payload.len(), *kind == KIND_LOSSY),
        EngineEvent::DtmfReceived { .. } => (0, false),
        _ => return None,
    };
    let bytes = bytes + OF_A_PACKET;
    Some(Weight { bytes, lossy })
}

impl Load {
    /// Takes a packet in if there is room for it. Events of one room come one at a time, so looking first is enough.
    fn add(&self, packet: Weight) -> bool {
        let waiting = self.bytes.load(Ordering::Relaxed);
        if waiting.saturating_add(packet.bytes) > MOST_BYTES
            || (packet.lossy && self.lossy.load(Ordering::Relaxed) >= MOST_LOSSY_PACKETS)
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        self.bytes.fetch_add(packet.bytes, Ordering::Relaxed);
        self.lossy.fetch_add(packet.lossy.into(), Ordering::Relaxed);
        true
    }

    fn remove(&self, packet: Weight) {
        self.bytes.fetch_sub(packet.bytes, Ordering::Relaxed);
        self.lossy.fetch_sub(packet.lossy.into(), Ordering::Relaxed);
    }
}

/// A queue for the events of one room.
pub fn queue() -> (EventSender, EventReceiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let load = Arc::new(Load::default());
    let sender = EventSender {
        events: sender,
        load: load.clone(),
    };
    let receiver = EventReceiver {
        events: receiver,
        load,
    };
    (sender, receiver)
}

/// The beginning of a queue.
pub struct EventSender {
    events: mpsc::UnboundedSender<EngineEvent>,
    load: Arc<Load>,
}

impl EventSender {
    /// Adds an event. Gives back one that is dropped, or that nobody is there to read.
    pub fn send(&self, event: EngineEvent) -> Option<EngineEvent> {
        if let Some(packet) = weight(&event).filter(|packet| !self.load.add(*packet)) {
            // One notice for all that follow until it is read.
            if !packet.lossy && self.load.gap.fetch_add(1, Ordering::Relaxed) == 0 {
                let notice = EngineEvent::DataDropped { packets: 0 };
                let _ = self.events.send(notice);
            }
            return Some(event);
        }
        self.events.send(event).err().map(|unread| unread.0)
    }
}

/// The end of a queue.
pub struct EventReceiver {
    events: mpsc::UnboundedReceiver<EngineEvent>,
    load: Arc<Load>,
}

impl EventReceiver {
    /// The next event; nothing once the room has ended and all were read.
    pub async fn recv(&mut self) -> Option<EngineEvent> {
        let event = self.events.recv().await?;
        if let Some(packet) = weight(&event) {
            self.load.remove(packet);
        }
        Some(match event {
            EngineEvent::DataDropped { .. } => EngineEvent::DataDropped {
                packets: self.load.gap.swap(0, Ordering::Relaxed),
            },
            event => event,
        })
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

    fn packet(bytes: usize, kind: i32) -> EngineEvent {
        EngineEvent::DataReceived {
            identity: String::new(),
            payload: Bytes::from(vec![0; bytes]),
            length: bytes,
            topic: None,
            kind,
        }
    }

    #[tokio::test]
    async fn few_lossy_packets_wait_and_one_that_is_read_makes_room_for_another() {
        let (sender, mut receiver) = queue();
        for _ in 0..MOST_LOSSY_PACKETS {
            assert!(sender.send(packet(1, 0)).is_none());
        }
        assert!(sender.send(packet(1, 0)).is_some(), "too many packets");
        assert!(sender.send(EngineEvent::Reconnecting).is_none());
        assert!(sender.send(packet(1, 1)).is_none(), "a reliable one");
        receiver.recv().await.expect("a packet");
        assert!(sender.send(packet(1, 0)).is_none());
        assert_eq!(receiver.dropped().load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn f_r14_reliable_data_waits_up_to_a_bound_in_bytes_and_the_reader_is_told_where_it_was_passed(
    ) {
        let (sender, mut receiver) = queue();
        for _ in 0..100_000 {
            assert!(sender.send(packet(1, 1)).is_none());
        }
        while receiver.load.bytes.load(Ordering::Relaxed) > 0 {
            receiver.recv().await.expect("a packet");
        }
        let half = || packet(MOST_BYTES / 2 - OF_A_PACKET, 1);
        assert!(sender.send(half()).is_none() && sender.send(half()).is_none());
        for _ in 0..3 {
            assert!(sender.send(packet(1, 1)).is_some(), "too many bytes");
        }
        receiver.recv().await.expect("a packet");
        assert!(sender.send(packet(1, 1)).is_none());
        receiver.recv().await.expect("a packet");
        let told = receiver.recv().await;
        assert!(matches!(
            told,
            Some(EngineEvent::DataDropped { packets: 3 })
        ));
        let after = receiver.recv().await;
        assert!(matches!(after, Some(EngineEvent::DataReceived { .. })));
        assert_eq!(receiver.dropped().load(Ordering::Relaxed), 3);
    }
}
