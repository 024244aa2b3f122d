//! One WebSocket for a consumer that reads when it likes: a bounded queue of messages in, pings that notice a dead peer,
//! and a close that always ends.
//!
//! **When the consumer does not read, the peer waits; nothing received is dropped.** Refuses to reconnect: who opens
//! decides whether to open again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::net::ws;
use crate::net::ws::{Frame, Outgoing, SendError, WsError, WsOptions, WsReceiver, WsSender};

/// The limits of one socket.
#[derive(Clone, Debug)]
pub struct DuplexOptions {
    /// Connecting, writing, message size, and the queue of outgoing messages.
    pub ws: WsOptions,
    /// How many received messages wait for the consumer before reading stops. Default: 256.
    pub receive_queue: usize,
    /// How long nothing may arrive before a ping is sent. Default: 10 s.
    pub ping_interval: Duration,
    /// How long nothing may arrive after that ping before the peer counts as dead. Default: 5 s.
    pub pong_timeout: Duration,
    /// How long closing may take. Default: 2 s.
    pub close_timeout: Duration,
}

impl Default for DuplexOptions {
    fn default() -> Self {
        DuplexOptions {
            ws: WsOptions::default(),
            receive_queue: 256,
            ping_interval: Duration::from_secs(10),
            pong_timeout: Duration::from_secs(5),
            close_timeout: Duration::from_secs(2),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    Text(String),
    /// Bytes.
    Binary(Bytes),
}

/// How a socket ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer closed it, with its close code or without one.
    Peer(Option<u16>),
    Local,
    /// The peer did not answer a ping.
    Silent,
    /// The connection failed, or the peer broke the protocol.
    Broken(String),
}

struct Goodbye {
    code: u16,
    reason: String,
}

/// Called after each message that arrived and after the end, for a consumer that looks rather than waits.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// What a consumer that looks finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// These messages, at least one.
    Messages(Vec<Incoming>),
    Nothing,
    /// There will be no more.
    End,
}

/// An open socket. Dropping it cuts the connection.
#[derive(Debug)]
pub struct Duplex {
    sender: WsSender,
    incoming: tokio::sync::Mutex<mpsc::Receiver<Incoming>>,
    goodbye: Mutex<Option<mpsc::Sender<Goodbye>>>,
    end: watch::Receiver<Option<End>>,
}

impl Duplex {
    /// Connects and upgrades. Dropping the future abandons both. `wake` must not block; `cut` ends the connection
    /// without a goodbye.
    pub async fn open(
        url: &Url,
        headers: &[(String, String)],
        options: DuplexOptions,
        wake: Wake,
        cut: CancellationToken,
    ) -> Result<Duplex, WsError> {
        let (sender, receiver) = ws::connect(url, headers, &options.ws).await?;
        let (queue, incoming) = mpsc::channel(options.receive_queue.max(1));
        let (goodbye, goodbyes) = mpsc::channel(1);
        let (ended, end) = watch::channel(None);
        let mut pump = Pump {
            sender: sender.clone(),
            queue,
            goodbyes,
            wake: Arc::clone(&wake),
            cut,
            options,
        };
        tokio::spawn(async move {
            let end = pump.run(receiver).await;
            // Told before the queue closes: whoever sees the last message can ask how it ended.
            ended.send_replace(Some(end));
            drop(pump);
            wake();
        });
        Ok(Duplex {
            sender,
            incoming: tokio::sync::Mutex::new(incoming),
            goodbye: Mutex::new(Some(goodbye)),
            end,
        })
    }

    /// Queues a message without waiting; a full queue drops it and counts it.
    pub fn send(&self, message: Outgoing) -> Result<(), SendError> {
        if self.end.borrow().is_some() {
            return Err(SendError::Ended);
        }
        self.sender.send(message)
    }

    /// Waits until there is room for a message, or the socket has ended.
    pub async fn ready(&self) -> Result<(), SendError> {
        tokio::select! {
            // The writer may outlive the end for a moment: the end counts.
            biased;
            _ = self.ended() => Err(SendError::Ended),
            ready = self.sender.ready() => ready,
        }
    }

    /// How many messages a full queue has dropped.
    pub fn dropped(&self) -> u64 {
        self.sender.dropped()
    }

    /// Everything that has arrived, at most `max` messages; waits for the first one. Empty = there will be no more.
    pub async fn next(&self, max: usize) -> Vec<Incoming> {
        let mut messages = Vec::new();
        self.incoming
            .lock()
            .await
            .recv_many(&mut messages, max.max(1))
            .await;
        messages
    }

    /// What has arrived, at most `max` messages, without waiting.
    pub fn look(&self, max: usize) -> Found {
        // Only another consumer could hold the lock, and then the messages are its own.
        let Ok(mut incoming) = self.incoming.try_lock() else {
            return Found::Nothing;
        };
        let mut messages = Vec::new();
        while messages.len() < max.max(1) {
            match incoming.try_recv() {
                Ok(message) => messages.push(message),
                Err(TryRecvError::Empty) if messages.is_empty() => return Found::Nothing,
                Err(TryRecvError::Disconnected) if messages.is_empty() => return Found::End,
                Err(_) => break,
            }
        }
        Found::Messages(messages)
    }

    /// How it ended, if it has.
    pub fn end(&self) -> Option<End> {
        self.end.borrow().clone()
    }

    /// Waits for its end.
    pub async fn ended(&self) -> End {
        let mut end = self.end.clone();
        let told = end.wait_for(Option::is_some).await.ok();
        // The pump tells the end before it goes; if it could not, it was torn down with the runtime.
        told.and_then(|told| told.clone()).unwrap_or(End::Local)
    }

    /// Says goodbye and returns when the connection is gone, after the close timeout at the latest. Repeating waits for
    /// the same end.
    pub async fn close(&self, code: u16, reason: &str) {
        let goodbye = self.goodbye.lock().take();
        if let Some(goodbye) = goodbye {
            let reason = reason.to_owned();
            // The pump is gone only after it has told the end.
            let _ = goodbye.send(Goodbye { code, reason }).await;
        }
        self.ended().await;
    }
}

struct Pump {
    sender: WsSender,
    queue: mpsc::Sender<Incoming>,
    goodbyes: mpsc::Receiver<Goodbye>,
    wake: Wake,
    cut: CancellationToken,
    options: DuplexOptions,
}

impl Pump {
    async fn run(&mut self, mut receiver: WsReceiver) -> End {
        loop {
            let permit = tokio::select! {
                goodbye = self.goodbyes.recv() => return self.leave(receiver, goodbye).await,
                () = self.cut.cancelled() => return End::Local,
                permit = self.queue.reserve() => permit,
            };
            let Ok(permit) = permit else {
                return End::Local;
            };
            // Time spent waiting for the consumer says nothing about the peer, so the watch starts here.
            let mut heard = Instant::now();
            let mut asked = false;
            let message = loop {
                let patience = if asked {
                    self.options.ping_interval + self.options.pong_timeout
                } else {
                    self.options.ping_interval
                };
                let frame = tokio::select! {
                    goodbye = self.goodbyes.recv() => {
                        drop(permit);
                        return self.leave(receiver, goodbye).await;
                    }
                    () = self.cut.cancelled() => return End::Local,
                    frame = receiver.next() => frame,
                    () = tokio::time::sleep_until(heard + patience) => {
                        if asked {
                            return End::Silent;
                        }
                        asked = true;
                        // A full queue is not silence of the peer; the write timeout watches that.
                        let _ = self.sender.send(Outgoing::Ping);
                        continue;
                    }
                };
                heard = Instant::now();
                asked = false;
                match frame {
                    Ok(Frame::Text(text)) => break Incoming::Text(text),
                    Ok(Frame::Binary(bytes)) => break Incoming::Binary(bytes),
                    Ok(Frame::Ping | Frame::Pong) => {}
                    Err(WsError::Closed(code)) => return End::Peer(code),
                    Err(error) => return End::Broken(error.to_string()),
                }
            };
            permit.send(message);
            (self.wake)();
        }
    }

    async fn leave(&self, receiver: WsReceiver, goodbye: Option<Goodbye>) -> End {
        // No goodbye means that the owner is gone: the connection is cut.
        if let Some(Goodbye { code, reason }) = goodbye {
            receiver
                .close(code, &reason, self.options.close_timeout)
                .await;
        }
        End::Local
    }
}
