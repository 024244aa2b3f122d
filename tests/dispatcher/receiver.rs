//! A programmable agent: answers as it is told, in order, and shows every request it got.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::Router;
use roomhook::secret::SecretOptions;
use roomhook::webhook::{Headers, Notification, Verifier, VerifierOptions};
use serde_json::{json, Value};
use tokio::sync::mpsc;

pub const SECRET: &str = "a-webhook-secret-of-thirty-two-bytes!";

/// What to answer.
#[derive(Clone, Debug)]
pub enum Reply {
    Accept,
    Reject(&'static str),
    Status(u16),
    RetryAfter(u16, &'static str),
    Redirect(String),
    Text(&'static str),
    /// Never.
    Hang,
}

/// One request as it came.
#[derive(Debug)]
pub struct Request {
    pub at: Instant,
    pub path: String,
    pub headers: HeaderMap,
    pub bytes: Bytes,
    pub body: Value,
}

impl Request {
    pub fn text(&self, field: &str) -> &str {
        self.body[field]
            .as_str()
            .unwrap_or_else(|| panic!("{field}: {}", self.body))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().expect("ASCII")
    }

    /// Verifies it as roomhook's own receiver does.
    pub fn verified(&self) -> Notification {
        let options = VerifierOptions::new(vec![SecretOptions::new(SECRET)]);
        let verifier = Verifier::new(options).expect("a verifier");
        let lines = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().expect("ASCII")));
        let now_ms = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("this century")
            .as_millis() as i64;
        verifier
            .verify(&Headers::from_lines(lines), &self.bytes, now_ms)
            .expect("a valid webhook")
    }
}

struct Inner {
    replies: Mutex<VecDeque<Reply>>,
    seen: mpsc::UnboundedSender<Request>,
}

/// The agent's server. Once the programmed replies are used up it accepts.
pub struct Receiver {
    pub address: SocketAddr,
    inner: Arc<Inner>,
    requests: mpsc::UnboundedReceiver<Request>,
}

impl Receiver {
    pub async fn start(replies: impl IntoIterator<Item = Reply>) -> Receiver {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        let (seen, requests) = mpsc::unbounded_channel();
        let inner = Arc::new(Inner {
            replies: Mutex::new(replies.into_iter().collect()),
            seen,
        });
        let router = Router::new().fallback(answer).with_state(inner.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Receiver {
            address,
            inner,
            requests,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub fn program(&self, replies: impl IntoIterator<Item = Reply>) {
        self.inner.replies.lock().unwrap().extend(replies);
    }

    /// The next request; fails the test if none comes.
    pub async fn next(&mut self) -> Request {
        tokio::time::timeout(Duration::from_secs(10), self.requests.recv())
            .await
            .expect("a request within 10 s")
            .expect("the receiver lives")
    }

    /// Whether a request waits to be looked at.
    pub fn is_quiet(&mut self) -> bool {
        self.requests.try_recv().is_err()
    }
}

async fn answer(
    State(inner): State<Arc<Inner>>,
    uri: Uri,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    let reply = inner
        .replies
        .lock()
        .unwrap()
        .pop_front()
        .unwrap_or(Reply::Accept);
    let _ = inner.seen.send(Request {
        at: Instant::now(),
        path: uri.path().to_owned(),
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
        headers,
        bytes,
    });
    let status = |code| StatusCode::from_u16(code).expect("a status");
    match reply {
        Reply::Accept => axum::Json(json!({ "accepted": true })).into_response(),
        Reply::Reject(reason) => {
            axum::Json(json!({ "accepted": false, "error": reason })).into_response()
        }
        Reply::Status(code) => status(code).into_response(),
        Reply::RetryAfter(code, seconds) => {
            (status(code), [("retry-after", seconds)]).into_response()
        }
        Reply::Redirect(to) => (StatusCode::TEMPORARY_REDIRECT, [("location", to)]).into_response(),
        Reply::Text(text) => text.into_response(),
        Reply::Hang => std::future::pending().await,
    }
}
