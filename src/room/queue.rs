//! The bounded queue between a room and whoever reads its events. Lifecycle events wait for room, periodic ones replace
//! the unread one about the same thing, lossy data gives way to newer lossy data; what was not delivered is counted.

use std::collections::VecDeque;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use crate::engine::EngineEvent as RoomEvent;
use crate::room::event::Pressure;

/// Events kept until they are read.
const CAPACITY: usize = 1_024;

/// How many events were not delivered one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventCounters {
    /// Periodic events replaced by a newer one before they were read.
    pub coalesced: u64,
    /// Data packets dropped because nobody read: lossy ones first, beyond a second bound all.
    pub dropped: u64,
}

#[derive(Default)]
struct Inner {
    events: VecDeque<RoomEvent>,
    counters: EventCounters,
    finished: bool,
    abandoned: bool,
}

/// The queue. **Events are read in order; once finished and read to the end, it answers `None` for ever.**
pub(crate) struct EventQueue {
    inner: Mutex<Inner>,
    capacity: usize,
    readable: Notify,
    writable: Notify,
}

impl EventQueue {
    pub(crate) fn new() -> EventQueue {
        EventQueue::with_capacity(CAPACITY)
    }

    fn with_capacity(capacity: usize) -> EventQueue {
        EventQueue {
            inner: Mutex::default(),
            capacity,
            readable: Notify::new(),
            writable: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// Adds an event, waiting for room if it must not be lost. `false` when nobody will ever read it.
    pub(crate) async fn push(&self, event: RoomEvent) -> bool {
        let mut event = event;
        loop {
            let writable = self.writable.notified();
            match self.lock().offer(event, self.capacity) {
                Offered::Taken => break,
                Offered::Abandoned => return false,
                Offered::Full(refused) => event = *refused,
            }
            writable.await;
        }
        self.readable.notify_one();
        true
    }

    /// No more events will come.
    pub(crate) fn finish(&self) {
        self.lock().finished = true;
        self.readable.notify_one();
    }

    /// Nobody will read any more; a waiting `push` gives up.
    pub(crate) fn abandon(&self) {
        self.lock().abandoned = true;
        self.writable.notify_one();
    }

    /// Waits for events and takes up to `max` of them, in order. `None` once there will be no more.
    pub(crate) async fn take(&self, max: usize) -> Option<Vec<RoomEvent>> {
        loop {
            {
                let mut inner = self.lock();
                if !inner.events.is_empty() {
                    let count = inner.events.len().min(max.max(1));
                    let taken = inner.events.drain(..count).collect();
                    self.writable.notify_one();
                    return Some(taken);
                }
                if inner.finished {
                    // Another reader may be waiting for the same news.
                    self.readable.notify_one();
                    return None;
                }
            }
            self.readable.notified().await;
        }
    }

    pub(crate) fn counters(&self) -> EventCounters {
        self.lock().counters
    }
}

enum Offered {
    Taken,
    Full(Box<RoomEvent>),
    Abandoned,
}

impl Inner {
    fn offer(&mut self, event: RoomEvent, capacity: usize) -> Offered {
        if self.abandoned {
            return Offered::Abandoned;
        }
        let pressure = Pressure::of(&event);
        if let Pressure::Replace(_) = pressure {
            if self.remove_like(&pressure) {
                self.counters.coalesced += 1;
            }
        }
        if self.events.len() >= capacity {
            if pressure != Pressure::Drop {
                return Offered::Full(Box::new(event));
            }
            self.counters.dropped += 1;
            if !self.remove_like(&pressure) {
                return Offered::Taken;
            }
        }
        self.events.push_back(event);
        Offered::Taken
    }

    fn remove_like(&mut self, pressure: &Pressure) -> bool {
        let found = self
            .events
            .iter()
            .position(|event| Pressure::of(event) == *pressure);
        found.and_then(|at| self.events.remove(at)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::sync::Arc;

    fn sid(number: usize) -> RoomEvent {
        RoomEvent::RoomSidChanged {
            sid: number.to_string(),
        }
    }

    fn speakers(who: &str) -> RoomEvent {
        RoomEvent::ActiveSpeakersChanged {
            identities: vec![who.into()],
        }
    }

    fn quality(who: &str, quality: i32) -> RoomEvent {
        RoomEvent::ConnectionQualityChanged {
            identity: who.into(),
            quality,
        }
    }

    fn lossy(byte: u8) -> RoomEvent {
        RoomEvent::DataReceived {
            identity: String::new(),
            topic: None,
            kind: 0,
            length: 1,
            payload: Bytes::from(vec![byte]),
        }
    }

    async fn texts(queue: &EventQueue) -> Vec<String> {
        let events = queue.take(usize::MAX).await.expect("there are events");
        events
            .iter()
            .map(|event| match event {
                RoomEvent::RoomSidChanged { sid } => sid.clone(),
                RoomEvent::ActiveSpeakersChanged { identities } => identities.join(","),
                RoomEvent::ConnectionQualityChanged { identity, quality } => {
                    format!("{identity}={quality}")
                }
                RoomEvent::DataReceived { payload, .. } => format!("data {}", payload[0]),
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[tokio::test]
    async fn the_newest_periodic_event_replaces_the_unread_one_and_comes_last() {
        let queue = EventQueue::new();
        for event in [
            speakers("alice"),
            quality("alice", 1),
            quality("bob", 1),
            sid(1),
            speakers("bob"),
            quality("alice", 2),
        ] {
            assert!(queue.push(event).await);
        }
        assert_eq!(texts(&queue).await, ["bob=1", "1", "bob", "alice=2"]);
        assert_eq!(queue.counters().coalesced, 2);
    }

    #[tokio::test]
    async fn lifecycle_events_wait_for_room_and_none_is_lost() {
        let queue = Arc::new(EventQueue::with_capacity(2));
        let writer = queue.clone();
        let writing = tokio::spawn(async move {
            for number in 0..100 {
                assert!(writer.push(sid(number)).await);
            }
            writer.finish();
        });
        let mut read = Vec::new();
        while let Some(events) = queue.take(3).await {
            assert!(events.len() <= 2, "more than the capacity was kept");
            read.extend(events.iter().map(|event| match event {
                RoomEvent::RoomSidChanged { sid } => sid.parse::<usize>().expect("a number"),
                other => panic!("{other:?}"),
            }));
        }
        writing.await.expect("the writer ends");
        assert_eq!(read, (0..100).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn lossy_data_gives_way_to_newer_lossy_data_and_is_counted() {
        let queue = EventQueue::with_capacity(2);
        for event in [sid(1), lossy(1), lossy(2), lossy(3)] {
            assert!(queue.push(event).await);
        }
        assert_eq!(queue.counters().dropped, 2);
        assert_eq!(texts(&queue).await, ["1", "data 3"]);
    }

    #[tokio::test]
    async fn a_finished_queue_is_read_to_the_end_and_then_answers_none_to_everybody() {
        let queue = EventQueue::new();
        queue.push(sid(1)).await;
        queue.finish();
        assert_eq!(texts(&queue).await, ["1"]);
        let (first, second) = tokio::join!(queue.take(1), queue.take(1));
        assert!(first.is_none() && second.is_none());
    }

    #[tokio::test]
    async fn a_writer_waiting_for_a_reader_that_is_gone_gives_up() {
        let queue = Arc::new(EventQueue::with_capacity(1));
        assert!(queue.push(sid(1)).await);
        let writer = queue.clone();
        let waiting = tokio::spawn(async move { writer.push(sid(2)).await });
        tokio::task::yield_now().await;
        queue.abandon();
        assert!(!waiting.await.expect("the writer ends"));
    }
}
