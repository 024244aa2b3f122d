//! The status endpoint's server: connections in, requests to the routes.
//!
//! Decides how long a client may take and how many there may be: 5 s for a request's head, counted from the moment the
//! connection is accepted or the last answer was given, 16 KiB of it, 1024 connections. When they are all taken, the
//! oldest one that has not asked for anything makes room. It speaks HTTP/1 only.

mod auth;
pub mod limit;
mod routes;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use hyper::server::conn::http1::Builder;
use hyper::service::{service_fn, Service};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::dispatcher::shared::Shared;
use crate::error::{Code, Error};

const MAX_CONNECTIONS: usize = 1_024;
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// How long requests under way may take once the server closes.
const GOODBYE: Duration = Duration::from_secs(2);
/// A pause after the system refuses a connection (out of file descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub async fn bind(host: &str, port: u16) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |error: std::io::Error| {
        let what = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                "is in use by another program; stop that one or listen elsewhere".to_owned()
            }
            std::io::ErrorKind::AddrNotAvailable => "is not an address of this machine".to_owned(),
            std::io::ErrorKind::PermissionDenied => {
                "needs more rights; take a port above 1023".to_owned()
            }
            _ => format!("cannot be listened on: {error}"),
        };
        Error::new(Code::ConfigInvalid, format!("listen: {host}:{port} {what}")).with_source(error)
    };
    let listener = TcpListener::bind(format!("{host}:{port}"))
        .await
        .map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// What a connection is doing: whoever has asked for nothing yet is the first to go, and whoever is being answered stays.
const NEW: u8 = 0;
const IDLE: u8 = 1;
const BUSY: u8 = 2;

/// One connection, as the loop that accepts them sees it. It is gone when the connection is.
struct Seat {
    doing: AtomicU8,
    /// Ends it when another one needs its place.
    leave: CancellationToken,
}

/// The connections, oldest first.
#[derive(Default)]
struct House(VecDeque<Weak<Seat>>);

impl House {
    /// Ends the oldest connection without a request, new ones first; false while every one of them has one.
    fn make_room(&mut self) -> bool {
        let oldest = |wanted| {
            let is = |seat: Arc<Seat>| seat.doing.load(Ordering::Acquire) == wanted;
            self.0
                .iter()
                .position(|seat| seat.upgrade().is_some_and(is))
        };
        let Some(at) = oldest(NEW).or_else(|| oldest(IDLE)) else {
            return false;
        };
        if let Some(seat) = self.0.remove(at).and_then(|seat| seat.upgrade()) {
            seat.leave.cancel();
        }
        true
    }

    /// A place for one more; `None` while every one of them has a request.
    fn seat(&mut self) -> Option<Arc<Seat>> {
        if self.0.len() >= MAX_CONNECTIONS {
            self.0.retain(|seat| seat.strong_count() > 0);
        }
        if self.0.len() >= MAX_CONNECTIONS && !self.make_room() {
            return None;
        }
        let seat = Arc::new(Seat {
            doing: AtomicU8::new(NEW),
            leave: CancellationToken::new(),
        });
        self.0.push_back(Arc::downgrade(&seat));
        Some(seat)
    }
}

/// Serves until it is told to close; then requests under way are finished.
pub async fn serve(shared: Arc<Shared>, listener: TcpListener, close: CancellationToken) {
    let router = routes::router(shared.clone());
    let mut house = House::default();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, as a rule.
                    house.make_room();
                    tracing::warn!(%error, "a connection to the status endpoint could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = close.cancelled() => return,
        };
        // Every one of them is at work, and soon done with it: whoever is turned away comes again.
        let Some(seat) = house.seat() else { continue };
        let (router, close) = (router.clone(), close.clone());
        shared.tasks.spawn(connection(router, stream, seat, close));
    }
}

async fn connection(
    router: axum::Router,
    stream: TcpStream,
    seat: Arc<Seat>,
    close: CancellationToken,
) {
    // A status is one small packet each way; waiting to fill a larger one only delays it.
    let _ = stream.set_nodelay(true);
    let routes = TowerToHyperService::new(router);
    let service = service_fn(|request| {
        seat.doing.store(BUSY, Ordering::Release);
        let (answer, seat) = (routes.call(request), &seat);
        async move {
            let answer = answer.await;
            seat.doing.store(IDLE, Ordering::Release);
            answer
        }
    });
    let connection = Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // A client that breaks its connection off is its own affair.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = seat.leave.cancelled() => {}
        () = close.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = timeout(GOODBYE, connection).await;
        }
    }
}
