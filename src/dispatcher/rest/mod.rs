//! The status endpoint's server: connections in, requests to the routes.
//!
//! Decides how long a client may take and how many there may be: 5 s for a request's head, 16 KiB of it, 1024
//! connections. It refuses to let a slow client hold a connection for free, and speaks HTTP/1.1 only.

mod auth;
pub mod limit;
mod routes;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
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

/// Serves until it is told to close; then requests under way are finished.
pub async fn serve(shared: Arc<Shared>, listener: TcpListener, close: CancellationToken) {
    let router = routes::router(shared.clone());
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(slot) = connections.clone().acquire_owned().await else {
            return;
        };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection to the status endpoint could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = close.cancelled() => return,
        };
        let (router, close) = (router.clone(), close.clone());
        shared.tasks.spawn(async move {
            connection(router, stream, close).await;
            drop(slot);
        });
    }
}

async fn connection(router: axum::Router, stream: TcpStream, close: CancellationToken) {
    // A status is one small packet each way; waiting to fill a larger one only delays it.
    let _ = stream.set_nodelay(true);
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES);
    let service = TowerToHyperService::new(router);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // A client that breaks its connection off is its own affair.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = close.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = timeout(GOODBYE, connection).await;
        }
    }
}
