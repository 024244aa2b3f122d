//! Outbound HTTP: one POST, one answer, bounded in time and size.
//!
//! Follows no redirect, uses no proxy from the environment, decompresses nothing, sends no request twice, and puts
//! neither URLs nor header values into its errors.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Frame, SizeHint};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{redirect, Client, Response};
use url::Url;

use crate::address::{self, AddressError, PlainText, Protocol};
use crate::net::tls;
use crate::redact::redact;

/// What every request of one client has in common.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// How long resolving, connecting and TLS may take together. Default: 2 s.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept. Default: 4 s, just under the 5 s after which Node's own server closes
    /// it, so that a request rarely meets a connection that is going away.
    pub idle_timeout: Duration,
    /// How many bytes of an answer are read. Default: 4 MiB: LiveKit allows 512 KiB in a metadata field, and JSON can make
    /// six bytes of one.
    pub max_answer_bytes: usize,
}

impl Default for HttpOptions {
    fn default() -> Self {
        HttpOptions {
            connect_timeout: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(4),
            max_answer_bytes: 4 * 1024 * 1024,
        }
    }
}

/// What came back. Any status is an answer, 3xx and 5xx too.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// `Retry-After` as sent: seconds or an HTTP date.
    pub retry_after: Option<String>,
    /// The body; `None` when it was longer than the limit, in which case the connection was dropped.
    pub body: Option<Bytes>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// The URL cannot be called.
    #[error("the URL {0}")]
    Address(#[from] AddressError),
    /// A header name or value that HTTP does not allow.
    #[error("a request header has a name or value that HTTP does not allow")]
    Header,
    /// No connection: refused, unreachable, unknown name, or the connect timeout passed. Nothing was sent.
    #[error("could not connect: {0}")]
    Connect(String),
    /// The TLS handshake failed. Nothing was sent.
    #[error("the TLS handshake failed: {0}")]
    Tls(String),
    /// The time was over before the request was written: no connection was free, or none came about. Nothing was sent.
    #[error("the request could not be sent within {0} ms")]
    NotSent(u128),
    /// No complete answer in time. The other side may have acted on the request.
    #[error("no complete answer within {0} ms")]
    Timeout(u128),
    /// The connection broke, or what came is not HTTP. The other side may have acted on the request.
    #[error("the connection broke before a complete answer: {0}")]
    Broken(String),
}

impl NetError {
    /// Whether the same request can succeed later without a change.
    pub fn retryable(&self) -> bool {
        !matches!(self, NetError::Address(_) | NetError::Header)
    }

    /// Whether it is certain that the other side saw nothing of the request.
    pub fn nothing_sent(&self) -> bool {
        !matches!(self, NetError::Timeout(_) | NetError::Broken(_))
    }
}

/// A pool of kept-alive connections with one set of limits. Cloning shares the pool.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: Client,
    max_answer_bytes: usize,
}

impl HttpClient {
    /// Sets up the pool; nothing is connected yet.
    pub fn new(options: &HttpOptions) -> Result<Self, NetError> {
        let tls = tls::client_config(&["h2", "http/1.1"])
            .map_err(|error| NetError::Tls(error.to_string()))?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .user_agent(concat!("roomhook/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(options.connect_timeout)
            .pool_idle_timeout(options.idle_timeout)
            // As many as were in flight: a burst of webhooks finds its connections again instead of opening them anew.
            // `idle_timeout` is what ends them.
            .pool_max_idle_per_host(usize::MAX)
            .tcp_keepalive(Duration::from_secs(15))
            .build()
            .map_err(|error| NetError::Tls(reason(&error)))?;
        Ok(HttpClient {
            client,
            max_answer_bytes: options.max_answer_bytes,
        })
    }

    /// Sends `body` as JSON and reads the answer, all within `timeout`. `Content-Type: application/json` unless the
    /// headers say otherwise; a header given twice is sent twice.
    pub async fn post_json(
        &self,
        url: &Url,
        headers: &[(String, String)],
        body: Bytes,
        timeout: Duration,
    ) -> Result<Answer, NetError> {
        address::check(url, Protocol::Http, PlainText::Anywhere)?;
        let headers = header_map(headers)?;
        let written = Arc::new(AtomicBool::new(false));
        let body = reqwest::Body::wrap(Watched {
            bytes: Some(body),
            written: Arc::clone(&written),
        });
        let exchange = async {
            let request = self.client.post(url.clone()).headers(headers).body(body);
            let response = request.send().await.map_err(|error| classify(&error))?;
            self.read(response).await
        };
        tokio::time::timeout(timeout, exchange)
            .await
            .unwrap_or_else(|_| {
                Err(match written.load(Ordering::Acquire) {
                    true => NetError::Timeout(timeout.as_millis()),
                    false => NetError::NotSent(timeout.as_millis()),
                })
            })
    }

    async fn read(&self, mut response: Response) -> Result<Answer, NetError> {
        let mut answer = Answer {
            status: response.status().as_u16(),
            retry_after: response
                .headers()
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
            body: None,
        };
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| classify(&error))? {
            if body.len() + chunk.len() > self.max_answer_bytes {
                return Ok(answer);
            }
            body.extend_from_slice(&chunk);
        }
        answer.body = Some(body.freeze());
        Ok(answer)
    }
}

/// A body that remembers whether it was taken. The HTTP library takes it with the head, once there is a connection for
/// them and before anything of the two is written.
struct Watched {
    bytes: Option<Bytes>,
    written: Arc<AtomicBool>,
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.written.store(true, Ordering::Release);
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, Bytes::len) as u64)
    }
}

fn header_map(headers: &[(String, String)]) -> Result<HeaderMap, NetError> {
    let mut map = HeaderMap::with_capacity(headers.len() + 1);
    for (name, value) in headers {
        let name = HeaderName::try_from(name).map_err(|_| NetError::Header)?;
        let mut value = HeaderValue::try_from(value).map_err(|_| NetError::Header)?;
        value.set_sensitive(true);
        map.append(name, value);
    }
    map.entry(CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("application/json"));
    Ok(map)
}

fn classify(error: &reqwest::Error) -> NetError {
    if error.is_builder() {
        NetError::Header
    } else if error.is_connect() && error.is_timeout() {
        NetError::Connect("no answer within the connect timeout".to_owned())
    } else if !error.is_connect() {
        NetError::Broken(reason(error))
    } else if find::<rustls::Error>(error).is_some() {
        NetError::Tls(reason(error))
    } else {
        NetError::Connect(reason(error))
    }
}

/// The innermost cause in words, cut and cleaned: a certificate alone can name thousands of hosts. The outer layers would
/// repeat the URL.
fn reason(error: &(dyn StdError + 'static)) -> String {
    if let Some(tls) = find::<rustls::Error>(error) {
        return redact(&tls.to_string(), &[]);
    }
    let mut innermost = error;
    while let Some(next) = innermost.source() {
        innermost = next;
    }
    if innermost.is::<reqwest::Error>() {
        return "no further detail".to_owned();
    }
    redact(&innermost.to_string(), &[])
}

/// The first error of this type in the chain, also inside `io::Error`, which hides what it wraps from `source`.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(current) = next {
        if let Some(found) = current.downcast_ref::<T>() {
            return Some(found);
        }
        let wrapped = current
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
            .map(|inner| inner as &(dyn StdError + 'static));
        next = wrapped.or_else(|| current.source());
    }
    None
}
