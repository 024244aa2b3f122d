//! A gateway socket as JavaScript holds it: opened once, written without waiting, read by pulling whatever has arrived.
//!
//! How an attempt to open ends is a value, not an error: the status of a refused upgrade has to cross too.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use napi::bindgen_prelude::{
    Array, BufferSlice, Function, JsValuesTupleIntoVec, PromiseRaw, Uint8Array,
};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, JsValue, Status};
use napi_derive::napi;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::error::{Code, Error};
use crate::net::duplex::{Duplex, DuplexOptions, End, Found, Incoming, Wake};
use crate::net::ws::{Outgoing, SendError, WsOptions};
use crate::node::convert;
use crate::node::error::{spawn, throw};
use crate::node::inference::pairs;
use crate::node::inference_opened::{failed, opened, InferenceSocketOpened};
use crate::node::runtime::Environment;

/// One hour: no limit of a socket is longer.
const MAX_MS: i64 = 3_600_000;

/// How many messages one call hands over at most.
const BATCH: usize = 64;

/// Where a socket goes and its limits, complete.
#[napi(object)]
pub struct InferenceSocketOptions {
    pub url: String,
    /// Pairs of name and value, as they go on the wire.
    pub headers: Vec<Vec<String>>,
    pub connect_timeout_ms: f64,
    pub write_timeout_ms: f64,
    pub close_timeout_ms: f64,
    pub ping_interval_ms: f64,
    pub pong_timeout_ms: f64,
    pub max_message_bytes: f64,
    pub send_queue: f64,
    pub send_queue_bytes: f64,
    pub receive_queue: f64,
}

/// How a socket ended: `peer` (with `code`, if it sent one), `local`, `silent` or `broken`.
#[napi(object)]
pub struct InferenceSocketEnd {
    pub by: String,
    pub code: Option<u32>,
    pub message: String,
}

type Doorbell = ThreadsafeFunction<(), (), Delivered, Status, false, true, 1>;

/// One call into JavaScript: what has arrived.
struct Delivered(Vec<Incoming>);

impl JsValuesTupleIntoVec for Delivered {
    fn into_vec(self, env: napi::sys::napi_env) -> napi::Result<Vec<napi::sys::napi_value>> {
        Ok(vec![array(&Env::from_raw(env), self.0)?.raw()])
    }
}

fn collect(socket: &OnceLock<Duplex>) -> Vec<Incoming> {
    // A panic here would unwind into Node's own frames and abort.
    let found = catch_unwind(AssertUnwindSafe(|| match socket.get()?.look(BATCH) {
        Found::Messages(messages) => Some(messages),
        Found::Nothing | Found::End => None,
    }));
    found.ok().flatten().unwrap_or_default()
}

fn array<'env>(env: &'env Env, messages: Vec<Incoming>) -> napi::Result<Array<'env>> {
    let length = u32::try_from(messages.len()).unwrap_or(u32::MAX);
    let mut array = env.create_array(length)?;
    for (at, message) in (0..length).zip(messages) {
        match message {
            Incoming::Text(text) => array.set(at, text)?,
            Incoming::Binary(bytes) => array.set(at, BufferSlice::copy_from(env, &bytes)?)?,
        }
    }
    Ok(array)
}

/// One socket. The end of its worker thread cuts the connection.
#[napi]
pub struct InferenceSocketHandle {
    url: Url,
    headers: Vec<(String, String)>,
    options: DuplexOptions,
    socket: Arc<OnceLock<Duplex>>,
    /// Whether a reader found nothing and is to be called.
    waiting: Arc<AtomicBool>,
    cancelled: CancellationToken,
    /// Cuts the connection when the environment ends.
    cut: CancellationToken,
}

#[napi]
impl InferenceSocketHandle {
    /// Checks everything and connects nothing. Throws `CONFIG_INVALID`.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: Env, options: InferenceSocketOptions) -> napi::Result<Self> {
        let cut = Environment::of(&env)?.over.child_token();
        Self::build(options, cut).map_err(throw)
    }

    /// Connects and upgrades. Call it once; never rejects for what the network does. `receive` is called with what has
    /// arrived after `take` found nothing; with nothing, it is to take again.
    #[napi(
        catch_unwind,
        ts_args_type = "receive: (messages: Array<string | Buffer>) => void"
    )]
    pub fn open<'env>(
        &self,
        env: &'env Env,
        receive: Function<'_, (), ()>,
    ) -> napi::Result<PromiseRaw<'env, InferenceSocketOpened>> {
        let wake = self.doorbell(receive)?;
        let (url, headers, options) =
            (self.url.clone(), self.headers.clone(), self.options.clone());
        let (socket, cancelled) = (Arc::clone(&self.socket), self.cancelled.clone());
        let cut = self.cut.clone();
        let attempt = async move {
            let attempt = tokio::select! {
                () = cancelled.cancelled() => return Ok(opened("cancelled", None, "cancelled")),
                () = cut.cancelled() => return Ok(opened("cancelled", None, "cancelled")),
                attempt = Duplex::open(&url, &headers, options, wake, cut.clone()) => attempt,
            };
            Ok(match attempt {
                Ok(duplex) => match socket.set(duplex) {
                    Ok(()) => opened("open", None, ""),
                    Err(_second) => opened("failed", None, "the socket was opened before"),
                },
                Err(error) => failed(&error),
            })
        };
        spawn(env, attempt, |_, opened| Ok(opened))
    }

    /// Abandons an attempt to open.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.cancelled.cancel();
    }

    /// Queues a text: 0 queued, 1 the queue is full and it was dropped, 2 the socket has ended, 3 it is larger than the
    /// queue.
    #[napi(catch_unwind)]
    pub fn send_text(&self, text: String) -> u32 {
        self.send(Outgoing::Text(text))
    }

    /// Queues bytes, copied; answers as `sendText`.
    #[napi(catch_unwind)]
    pub fn send_binary(&self, bytes: Uint8Array) -> u32 {
        self.send(Outgoing::Binary(bytes::Bytes::copy_from_slice(&bytes)))
    }

    /// How many messages a full queue has dropped.
    #[napi(getter, catch_unwind)]
    pub fn dropped(&self) -> f64 {
        self.socket.get().map_or(0, Duplex::dropped) as f64
    }

    /// What has arrived, at most 64 messages; null when there will be no more. Nothing: `receive` will be called.
    #[napi(catch_unwind, ts_return_type = "Array<string | Buffer> | null")]
    pub fn take<'env>(&self, env: &'env Env) -> napi::Result<Option<Array<'env>>> {
        let Some(duplex) = self.socket.get() else {
            return Ok(None);
        };
        let mut found = duplex.look(BATCH);
        if found == Found::Nothing {
            self.waiting.store(true, Ordering::SeqCst);
            // What arrived between the look and the note has rung no bell.
            found = duplex.look(BATCH);
            if found != Found::Nothing {
                self.waiting.store(false, Ordering::SeqCst);
            }
        }
        match found {
            Found::Messages(messages) => array(env, messages).map(Some),
            Found::Nothing => array(env, Vec::new()).map(Some),
            Found::End => Ok(None),
        }
    }

    /// Says goodbye; resolves when the connection is gone, after the close timeout at the latest.
    #[napi(catch_unwind)]
    pub fn close<'env>(
        &self,
        env: &'env Env,
        code: f64,
        reason: String,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let code: u16 = convert::integer(code, "code", 1_000..=4_999).map_err(throw)?;
        self.cancelled.cancel();
        let socket = Arc::clone(&self.socket);
        let goodbye = async move {
            if let Some(duplex) = socket.get() {
                duplex.close(code, &reason).await;
            }
            Ok(())
        };
        spawn(env, goodbye, |_, ()| Ok(()))
    }

    /// Waits until there is room for a message: false when the socket has ended instead.
    #[napi(catch_unwind)]
    pub fn ready<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, bool>> {
        let socket = Arc::clone(&self.socket);
        let wait = async move {
            Ok(match socket.get() {
                Some(duplex) => duplex.ready().await.is_ok(),
                None => false,
            })
        };
        spawn(env, wait, |_, ready| Ok(ready))
    }

    /// Waits for the end of a socket that is open; until then the process stays alive.
    #[napi(catch_unwind)]
    pub fn ended<'env>(
        &self,
        env: &'env Env,
    ) -> napi::Result<PromiseRaw<'env, InferenceSocketEnd>> {
        let socket = Arc::clone(&self.socket);
        let wait = async move {
            Ok(match socket.get() {
                Some(duplex) => end_of(duplex.ended().await),
                None => end_of(End::Local),
            })
        };
        spawn(env, wait, |_, end| Ok(end))
    }
}

fn end_of(end: End) -> InferenceSocketEnd {
    let (by, code, message) = match end {
        End::Peer(code) => ("peer", code.map(u32::from), String::new()),
        End::Local => ("local", None, String::new()),
        End::Silent => ("silent", None, "the peer answered no ping".to_owned()),
        End::Broken(why) => ("broken", None, why),
    };
    let by = by.to_owned();
    InferenceSocketEnd { by, code, message }
}

impl InferenceSocketHandle {
    fn build(given: InferenceSocketOptions, cut: CancellationToken) -> Result<Self, Error> {
        let url = Url::parse(&given.url)
            .map_err(|_| Error::new(Code::ConfigInvalid, "the socket's URL cannot be parsed"))?;
        let duration = |value: f64, path: &str| {
            convert::integer(value, path, 1..=MAX_MS).map(Duration::from_millis)
        };
        let options = DuplexOptions {
            ws: WsOptions {
                connect_timeout: duration(given.connect_timeout_ms, "connectTimeoutMs")?,
                write_timeout: duration(given.write_timeout_ms, "writeTimeoutMs")?,
                max_message_bytes: convert::integer(
                    given.max_message_bytes,
                    "maxMessageBytes",
                    1..=64 << 20,
                )?,
                queue: convert::integer(given.send_queue, "sendQueue", 1..=65_536)?,
                queue_bytes: convert::integer(
                    given.send_queue_bytes,
                    "sendQueueBytes",
                    1..=64 << 20,
                )?,
            },
            receive_queue: convert::integer(given.receive_queue, "receiveQueue", 1..=65_536)?,
            ping_interval: duration(given.ping_interval_ms, "pingIntervalMs")?,
            pong_timeout: duration(given.pong_timeout_ms, "pongTimeoutMs")?,
            close_timeout: duration(given.close_timeout_ms, "closeTimeoutMs")?,
        };
        Ok(InferenceSocketHandle {
            url,
            headers: pairs(given.headers),
            options,
            socket: Arc::default(),
            waiting: Arc::default(),
            cancelled: CancellationToken::new(),
            cut,
        })
    }

    /// Rings only for a reader who waits. It holds no reference that keeps the process alive: `ended` does that.
    fn doorbell(&self, receive: Function<'_, (), ()>) -> napi::Result<Wake> {
        // Weak: the connection holds the bell, and must not hold itself.
        let socket = Arc::downgrade(&self.socket);
        let doorbell: Doorbell = receive
            .build_threadsafe_function::<()>()
            .max_queue_size::<1>()
            .callee_handled::<false>()
            .weak::<true>()
            .build_callback(move |_| {
                Ok(Delivered(
                    socket
                        .upgrade()
                        .map_or_else(Vec::new, |socket| collect(&socket)),
                ))
            })?;
        let waiting = Arc::clone(&self.waiting);
        Ok(Arc::new(move || {
            if waiting.swap(false, Ordering::SeqCst) {
                // Refused only while one is under way, which then collects, or when the environment ends.
                doorbell.call((), ThreadsafeFunctionCallMode::NonBlocking);
            }
        }))
    }

    fn send(&self, message: Outgoing) -> u32 {
        match self.socket.get().map(|duplex| duplex.send(message)) {
            Some(Ok(())) => 0,
            Some(Err(SendError::Full)) => 1,
            Some(Err(SendError::Ended)) | None => 2,
            Some(Err(SendError::TooLarge)) => 3,
        }
    }
}

impl Drop for InferenceSocketHandle {
    fn drop(&mut self) {
        self.cancelled.cancel();
        self.cut.cancel();
    }
}
