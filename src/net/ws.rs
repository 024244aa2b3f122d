//! A WebSocket client that cannot hang: connecting, writing and closing each have a deadline, reading never waits for
//! writing, and the queue of outgoing messages is bounded, in messages and in bytes.
//!
//! Refuses redirects, compression, and messages above the limit. Whether silence means a dead peer is decided by the
//! caller, who is shown pings and pongs for it.

use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::TlsError;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as TungsteniteError, Message};
use tokio_tungstenite::{client_async_tls_with_config, Connector, MaybeTlsStream, WebSocketStream};
use tokio_util::sync::CancellationToken;
use url::{Host, Url};

use crate::address::{self, AddressError, PlainText, Protocol};
use crate::net::outbox::{outbox, Queued, Room};
use crate::net::tls;
use crate::redact::redact;

pub use crate::net::outbox::{Outgoing, SendError, WsSender};

/// How long the peer may take to end the stream after goodbyes were exchanged.
const FAREWELL: Duration = Duration::from_millis(250);

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The limits of one connection.
#[derive(Clone, Debug)]
pub struct WsOptions {
    /// How long resolving, connecting, TLS and the upgrade may take together. Default: 5 s.
    pub connect_timeout: Duration,
    /// How long one message may take to leave; after it the connection counts as broken. Default: 10 s.
    pub write_timeout: Duration,
    /// The largest message taken; a larger one ends the connection. Default: 4 MiB.
    pub max_message_bytes: usize,
    /// How many outgoing messages wait at most. Default: 256.
    pub queue: usize,
    /// How many bytes of outgoing messages wait at most. Default: 4 MiB.
    pub queue_bytes: usize,
}

impl Default for WsOptions {
    fn default() -> Self {
        WsOptions {
            connect_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(10),
            max_message_bytes: 4 * 1024 * 1024,
            queue: 256,
            queue_bytes: 4 * 1024 * 1024,
        }
    }
}

/// Why there is no connection, or no longer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WsError {
    /// The URL cannot be called.
    #[error("the URL {0}")]
    Address(#[from] AddressError),
    /// A header name or value that HTTP does not allow.
    #[error("a request header has a name or value that HTTP does not allow")]
    Header,
    /// Refused, unreachable or unknown name.
    #[error("could not connect: {0}")]
    Connect(String),
    /// The TLS handshake failed.
    #[error("the TLS handshake failed: {0}")]
    Tls(String),
    /// Not connected and upgraded in time; the TCP connection is closed.
    #[error("not connected within {0} ms")]
    Timeout(u128),
    /// The server answered the upgrade with a plain HTTP response.
    #[error("the server refused the WebSocket with HTTP status {}", .0.status)]
    Refused(Refusal),
    /// The peer closed the connection, with its close code or without one (a bare end of the TCP stream).
    #[error("the peer closed the connection ({})", .0.map_or("no close code".to_owned(), |code| format!("code {code}")))]
    Closed(Option<u16>),
    /// The connection failed, or the peer broke the WebSocket protocol.
    #[error("the connection broke: {0}")]
    Broken(String),
}

/// The response of a server that refused the upgrade.
#[derive(Clone, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    /// Its headers, names in lower case; those whose value is no ASCII text are left out.
    pub headers: Vec<(String, String)>,
    /// As much of its body as came with the headers.
    pub body: Vec<u8>,
}

impl fmt::Debug for Refusal {
    // Header values and bodies are not for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// What the peer sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    Text(String),
    Binary(Bytes),
    /// A ping, already answered.
    Ping,
    /// The answer to a ping of ours.
    Pong,
}

/// The reading half, and the owner of the connection: dropping it closes the socket at once.
#[derive(Debug)]
pub struct WsReceiver {
    stream: SplitStream<Stream>,
    sender: WsSender,
    /// The peer's goodbye, with its close code if it gave one.
    goodbye: Option<Option<u16>>,
    stalled: CancellationToken,
    writer: tokio::task::AbortHandle,
}

/// Connects and upgrades. `headers` are added to the upgrade request.
pub async fn connect(
    url: &Url,
    headers: &[(String, String)],
    options: &WsOptions,
) -> Result<(WsSender, WsReceiver), WsError> {
    address::check(url, Protocol::WebSocket, PlainText::Anywhere)?;
    let request = upgrade_request(url, headers)?;
    // Dropping the future drops the socket it holds, so a timeout leaves nothing open.
    let stream = timeout(options.connect_timeout, open(url, request, options))
        .await
        .unwrap_or_else(|_| Err(WsError::Timeout(options.connect_timeout.as_millis())))?;
    let (sink, stream) = stream.split();
    let (sender, messages, room) = outbox(options.queue, options.queue_bytes);
    let stalled = CancellationToken::new();
    let writer = tokio::spawn(write(
        sink,
        messages,
        room,
        options.write_timeout,
        stalled.clone(),
    ));
    let receiver = WsReceiver {
        stream,
        sender: sender.clone(),
        goodbye: None,
        stalled,
        writer: writer.abort_handle(),
    };
    Ok((sender, receiver))
}

impl WsReceiver {
    /// The next frame. Cancel safe: a dropped call loses nothing.
    pub async fn next(&mut self) -> Result<Frame, WsError> {
        loop {
            if let Some(code) = self.goodbye {
                // Reading on is what sends our own goodbye; the peer's end of the stream is not worth a long wait.
                let _ = timeout(FAREWELL, self.stream.next()).await;
                return Err(WsError::Closed(code));
            }
            let message = tokio::select! {
                message = self.stream.next() => message,
                () = self.stalled.cancelled() => {
                    return Err(WsError::Broken("a message could not be written in time".to_owned()));
                }
            };
            match message {
                Some(Ok(Message::Text(text))) => return Ok(Frame::Text(text.to_string())),
                Some(Ok(Message::Binary(bytes))) => return Ok(Frame::Binary(bytes)),
                Some(Ok(Message::Ping(_))) => return Ok(Frame::Ping),
                Some(Ok(Message::Pong(_))) => return Ok(Frame::Pong),
                Some(Ok(Message::Close(frame))) => {
                    self.goodbye = Some(frame.map(|frame| frame.code.into()));
                }
                Some(Ok(Message::Frame(_))) => {}
                Some(Err(TungsteniteError::ConnectionClosed)) | None => {
                    return Err(WsError::Closed(None));
                }
                Some(Err(error)) => return Err(ended(error)),
            }
        }
    }

    /// Says goodbye with this code, waits at most `limit` for queued messages to leave and for the peer's goodbye, and
    /// closes the socket.
    pub async fn close(mut self, code: u16, reason: &str, limit: Duration) {
        let goodbye = Message::Close(Some(CloseFrame {
            code: CloseCode::from(code),
            reason: reason.to_owned().into(),
        }));
        let handshake = async {
            if self.goodbye.is_some() || self.sender.say_goodbye(goodbye).await.is_err() {
                return;
            }
            while let Some(Ok(message)) = self.stream.next().await {
                if message.is_close() {
                    // Goodbyes may cross: then ours is still queued, and reading on is what sends it.
                    if !self.writer.is_finished() {
                        let _ = timeout(FAREWELL, self.stream.next()).await;
                    }
                    return;
                }
            }
        };
        if timeout(limit, handshake).await.is_err() {
            tracing::debug!(
                "the peer did not answer the close in time; the socket is closed anyway"
            );
        }
    }
}

impl Drop for WsReceiver {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

fn upgrade_request(url: &Url, headers: &[(String, String)]) -> Result<Request, WsError> {
    let mut request = url
        .as_str()
        .into_client_request()
        .map_err(|_| WsError::Address(AddressError::Host))?;
    for (name, value) in headers {
        let name = HeaderName::try_from(name).map_err(|_| WsError::Header)?;
        let mut value = HeaderValue::try_from(value).map_err(|_| WsError::Header)?;
        value.set_sensitive(true);
        request.headers_mut().append(name, value);
    }
    Ok(request)
}

async fn open(url: &Url, request: Request, options: &WsOptions) -> Result<Stream, WsError> {
    let connector = if url.scheme() == "wss" {
        let config = tls::client_config(&[]).map_err(|error| WsError::Tls(error.to_string()))?;
        Connector::Rustls(Arc::new(config))
    } else {
        Connector::Plain
    };
    let tcp = dial(url)
        .await
        .map_err(|error| WsError::Connect(error.to_string()))?;
    // Best effort: a platform that refuses these still works, the callers watch for silence themselves.
    let _ = tcp.set_nodelay(true);
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(15))
        .with_interval(Duration::from_secs(5));
    let _ = SockRef::from(&tcp).set_tcp_keepalive(&keepalive);
    let config = WebSocketConfig::default()
        .max_message_size(Some(options.max_message_bytes))
        .max_frame_size(Some(options.max_message_bytes))
        .read_buffer_size(16 * 1024)
        .write_buffer_size(0);
    let (stream, _) = client_async_tls_with_config(request, tcp, Some(config), Some(connector))
        .await
        .map_err(refused)?;
    Ok(stream)
}

async fn dial(url: &Url) -> io::Result<TcpStream> {
    let port = url.port_or_known_default().unwrap_or_default();
    match url.host() {
        Some(Host::Domain(name)) => TcpStream::connect((name, port)).await,
        Some(Host::Ipv4(address)) => TcpStream::connect((address, port)).await,
        Some(Host::Ipv6(address)) => TcpStream::connect((address, port)).await,
        None => Err(io::ErrorKind::InvalidInput.into()),
    }
}

async fn write(
    mut sink: SplitSink<Stream, Message>,
    mut messages: mpsc::Receiver<Queued>,
    room: Arc<Room>,
    limit: Duration,
    stalled: CancellationToken,
) {
    while let Some(Queued { message, size }) = messages.recv().await {
        let goodbye = message.is_close();
        let sent = timeout(limit, sink.send(message)).await;
        room.give_back(size);
        match sent {
            Ok(Ok(())) if !goodbye => {}
            // The reader sees the same failure, or the peer's goodbye, by itself.
            Ok(_) => return,
            Err(_) => {
                stalled.cancel();
                return;
            }
        }
    }
}

fn refused(error: TungsteniteError) -> WsError {
    match error {
        TungsteniteError::Http(response) => WsError::Refused(Refusal {
            status: response.status().as_u16(),
            headers: (response.headers().iter())
                .filter_map(|(name, value)| {
                    Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
                })
                .collect(),
            body: response.into_body().unwrap_or_default(),
        }),
        TungsteniteError::Tls(TlsError::Rustls(error)) => {
            WsError::Tls(redact(&error.to_string(), &[]))
        }
        TungsteniteError::Io(error) => match error.get_ref() {
            Some(inner) if inner.is::<rustls::Error>() => {
                WsError::Tls(redact(&inner.to_string(), &[]))
            }
            _ => WsError::Connect(error.to_string()),
        },
        TungsteniteError::Url(_) => WsError::Address(AddressError::Host),
        other => WsError::Broken(redact(&other.to_string(), &[])),
    }
}

fn ended(error: TungsteniteError) -> WsError {
    use tokio_tungstenite::tungstenite::error::ProtocolError;
    match error {
        // How a process that is killed, and livekit-server in every case, ends a socket.
        TungsteniteError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            WsError::Closed(None)
        }
        TungsteniteError::Io(error) if error.kind() == io::ErrorKind::ConnectionReset => {
            WsError::Closed(None)
        }
        other => WsError::Broken(redact(&other.to_string(), &[])),
    }
}
