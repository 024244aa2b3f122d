//! The bounded way to the one writer of a WebSocket: so many messages, so many bytes, and a wait for room.
//!
//! **What is refused is counted, and what is queued is never dropped.** Refuses to wait by itself, and a message that could
//! never be queued.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, Notify};
use tokio_tungstenite::tungstenite::Message;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    Text(String),
    Binary(Bytes),
    Ping,
}

/// Why a message was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The peer does not read fast enough; the message was dropped and counted.
    #[error("the queue of outgoing messages is full")]
    Full,
    /// The message alone is larger than all that may wait; it can never be queued.
    #[error("the message is larger than the queue of outgoing messages")]
    TooLarge,
    /// The connection has ended.
    #[error("the connection has ended")]
    Ended,
}

/// The bytes that wait, and who waits for room.
#[derive(Debug)]
pub(super) struct Room {
    limit: usize,
    waiting: AtomicUsize,
    /// The size of the message that was refused last: room is when it fits.
    wanted: AtomicUsize,
    freed: Notify,
}

impl Room {
    fn fits(&self, waiting: usize, size: usize) -> Option<usize> {
        waiting
            .checked_add(size)
            .filter(|total| *total <= self.limit)
    }

    fn take(&self, size: usize) -> bool {
        let relaxed = Ordering::Relaxed;
        let taken = |waiting| self.fits(waiting, size);
        self.waiting.fetch_update(relaxed, relaxed, taken).is_ok()
    }

    pub(super) fn give_back(&self, size: usize) {
        self.waiting.fetch_sub(size, Ordering::Relaxed);
        self.freed.notify_waiters();
    }

    fn is_enough(&self) -> bool {
        let waiting = self.waiting.load(Ordering::Relaxed);
        self.fits(waiting, self.wanted.load(Ordering::Relaxed))
            .is_some()
    }
}

#[derive(Debug)]
pub(super) struct Queued {
    pub(super) message: Message,
    /// What it takes of the room.
    pub(super) size: usize,
}

/// A queue of so many messages and bytes: its entrance, its exit, and the room that whoever takes out gives back.
pub(super) fn outbox(
    messages: usize,
    bytes: usize,
) -> (WsSender, mpsc::Receiver<Queued>, Arc<Room>) {
    let (queue, exit) = mpsc::channel(messages.max(1));
    let room = Arc::new(Room {
        limit: bytes,
        waiting: AtomicUsize::new(0),
        wanted: AtomicUsize::new(0),
        freed: Notify::new(),
    });
    let sender = WsSender {
        queue,
        room: Arc::clone(&room),
        dropped: Arc::default(),
    };
    (sender, exit, room)
}

/// Queues messages for the one writer. Cloning shares the queue.
#[derive(Clone, Debug)]
pub struct WsSender {
    queue: mpsc::Sender<Queued>,
    room: Arc<Room>,
    dropped: Arc<AtomicU64>,
}

impl WsSender {
    /// Queues a message without waiting.
    pub fn send(&self, message: Outgoing) -> Result<(), SendError> {
        let (size, message) = match message {
            Outgoing::Text(text) => (text.len(), Message::Text(text.into())),
            Outgoing::Binary(bytes) => (bytes.len(), Message::Binary(bytes)),
            Outgoing::Ping => (0, Message::Ping(Bytes::new())),
        };
        if size > self.room.limit {
            return Err(SendError::TooLarge);
        }
        if self.queue.is_closed() {
            return Err(SendError::Ended);
        }
        if !self.room.take(size) {
            return Err(self.full(size));
        }
        match self.queue.try_send(Queued { message, size }) {
            Ok(()) => {
                self.room.wanted.store(0, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                self.room.give_back(size);
                Err(match error {
                    mpsc::error::TrySendError::Full(_) => self.full(size),
                    mpsc::error::TrySendError::Closed(_) => SendError::Ended,
                })
            }
        }
    }

    fn full(&self, size: usize) -> SendError {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        self.room.wanted.store(size, Ordering::Relaxed);
        SendError::Full
    }

    /// Waits until the queue has room for the message that it refused last, or the connection has ended.
    pub async fn ready(&self) -> Result<(), SendError> {
        loop {
            let mut freed = pin!(self.room.freed.notified());
            // Room that is made between the look and the wait must be noticed.
            freed.as_mut().enable();
            let place = self.queue.reserve().await;
            drop(place.map_err(|_| SendError::Ended)?);
            if self.room.is_enough() {
                return Ok(());
            }
            tokio::select! {
                () = freed => {}
                () = self.queue.closed() => return Err(SendError::Ended),
            }
        }
    }

    /// Queues the goodbye, waiting for its place.
    pub(super) async fn say_goodbye(&self, goodbye: Message) -> Result<(), SendError> {
        let goodbye = Queued {
            message: goodbye,
            size: 0,
        };
        self.queue.send(goodbye).await.map_err(|_| SendError::Ended)
    }

    /// How many messages a full queue has dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
