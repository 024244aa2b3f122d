//! The dispatcher: turns LiveKit jobs into signed webhooks, and agents' statuses back into LiveKit job updates.
//!
//! Decides the order of starting and stopping. Everything that can be wrong is found before `start` returns, and then
//! nothing is left behind: no socket, no port, no lock on the store. What happens to a job is `machine`'s decision.

mod agents;
mod answer;
pub mod config;
mod events;
mod farewell;
mod job;
pub mod machine;
mod post;
mod rest;
mod room_service;
mod shared;
mod sockets;
pub mod store;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, SystemClock};
use crate::dispatcher::config::Config;
use crate::dispatcher::job::JobTask;
use crate::dispatcher::shared::{
    EndedJob, Parts, Shared, Written, BEARER_AFTER_END_MS, ENDED_JOBS,
};
use crate::dispatcher::sockets::First;
use crate::dispatcher::store::{Store, StoreThread};
use crate::error::{Code, Error};
use crate::net::http::{HttpClient, HttpOptions};
use crate::worker::Reason;

pub use crate::dispatcher::events::{Event, Stamped};

/// How long an ended job is kept in the store.
const KEEP_ENDED_MS: i64 = 24 * 3_600_000;
/// How often older ones are deleted.
const PURGE_EVERY: Duration = Duration::from_secs(3_600);

/// A running dispatcher. Dropping it without `close` ends its tasks at once.
pub struct Dispatcher {
    shared: Arc<Shared>,
    address: SocketAddr,
    drain_timeout: Duration,
    close_server: CancellationToken,
    store_thread: Mutex<Option<StoreThread>>,
}

impl Dispatcher {
    /// Starts everything: opens the store, takes the port, registers every worker socket, takes up the unfinished jobs
    /// of an earlier run. Waits for LiveKit up to the configured start timeout.
    ///
    /// `CONFIG_INVALID` for a wrong API key or secret and a port in use, `STORE_UNAVAILABLE` for the store,
    /// `TRANSPORT_FAILED` (retryable) for a LiveKit that does not answer.
    pub async fn start(config: Config) -> Result<Dispatcher, Error> {
        for warning in &config.warnings {
            tracing::debug!(what = %warning, "the configuration is allowed but not wise");
        }
        let agents = agents::ready(&config.agents)?;
        let http = HttpClient::new(&HttpOptions::default()).map_err(|error| {
            Error::new(Code::TransportFailed, error.to_string()).with_source(error)
        })?;
        let (listener, address) = rest::bind(&config.listen.0, config.listen.1).await?;
        let path = config.store.clone();
        let opened = tokio::task::spawn_blocking(move || Store::open(&path)).await;
        let (store, thread) = opened.map_err(|_| {
            Error::new(
                Code::StoreUnavailable,
                "the store could not be opened: its opening panicked",
            )
        })??;
        let status_base = (config.public_status_url.clone())
            .unwrap_or_else(|| format!("http://{}:{}", config.listen.0, address.port()));
        let shared = Arc::new(Shared::new(Parts {
            livekit: config.livekit,
            agents,
            status_base,
            max_jobs: config.max_jobs,
            store,
            http,
        }));
        let dispatcher = Dispatcher {
            shared,
            address,
            drain_timeout: Duration::from_millis(config.drain_timeout_ms),
            close_server: CancellationToken::new(),
            store_thread: Mutex::new(Some(thread)),
        };
        let started = dispatcher
            .open(listener, Duration::from_millis(config.start_timeout_ms))
            .await;
        match started {
            Ok(()) => Ok(dispatcher),
            Err(error) => {
                dispatcher.close().await;
                Err(error)
            }
        }
    }

    async fn open(&self, listener: TcpListener, patience: Duration) -> Result<(), Error> {
        let shared = &self.shared;
        // Whoever asks before it is known which jobs there are is told to come again, and does not hang.
        shared.tasks.spawn(rest::serve(
            shared.clone(),
            listener,
            self.close_server.clone(),
        ));
        let since = SystemClock.now_ms() - BEARER_AFTER_END_MS;
        for record in shared.store.ended_since(since, ENDED_JOBS).await? {
            let ended = EndedJob {
                room: record.job.room.name.clone(),
                written: Written::of(&record),
                at: record.ended_at.unwrap_or(since),
            };
            shared.ended.add(record.job_id().clone(), ended);
        }
        // Before LiveKit: agents of an earlier run may report at once, and LiveKit hears the load as it hears of a socket.
        for record in shared.store.unfinished().await? {
            JobTask::restored(shared, record)?;
        }
        shared.restored.store(true, Ordering::Release);
        shared.tasks.spawn(purge(shared.clone()));
        let (first, mut firsts) = mpsc::unbounded_channel();
        let sockets = sockets::start(shared, &first)?;
        drop(first);
        let mut last = "it did not answer".to_owned();
        let registered = timeout(patience, wait_for_sockets(&mut firsts, sockets, &mut last)).await;
        registered.unwrap_or_else(|_| {
            let waited = patience.as_millis();
            Err(Error::retryable(
                Code::TransportFailed,
                format!("no connection to livekit.url within {waited} ms: {last}"),
            ))
        })?;
        shared.open.store(true, Ordering::Release);
        Ok(())
    }

    /// Where the status endpoint listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How agents reach the status endpoint, without a trailing slash.
    pub fn status_url(&self) -> &str {
        &self.shared.status_base
    }

    /// How many jobs are open.
    pub fn active_jobs(&self) -> usize {
        self.shared.active()
    }

    /// Waits for events, at most `max` at a time; `None` after `close`.
    pub async fn next_events(&self, max: usize) -> Option<Vec<Stamped>> {
        self.shared.events.next(max).await
    }

    /// Takes no new jobs and waits until every delivery has its outcome, up to the configured drain timeout. Returns
    /// how many deliveries are still open; a restart continues those.
    pub async fn drain(&self) -> usize {
        let shared = &self.shared;
        shared.open.store(false, Ordering::Release);
        for worker in shared.workers() {
            worker.drain().await;
        }
        let mut undelivered = shared.undelivered.subscribe();
        let delivered = async {
            // The sender lives in `shared`, so waiting cannot fail.
            let _ = undelivered.wait_for(|count| *count == 0).await;
            shared.farewells.close();
            shared.farewells.wait().await;
        };
        let _ = timeout(self.drain_timeout, delivered).await;
        let left = *shared.undelivered.borrow();
        left
    }

    /// Ends everything and lets go of the port and the store. Running agents are not affected; deliveries that are not
    /// finished are continued by the next start on the same store. Further calls return at once.
    pub async fn close(&self) {
        let shared = &self.shared;
        shared.open.store(false, Ordering::Release);
        self.close_server.cancel();
        join_all(shared.workers().iter().map(|worker| worker.close())).await;
        shared.stop.cancel();
        shared.tasks.close();
        shared.tasks.wait().await;
        shared.farewells.close();
        shared.farewells.wait().await;
        shared.store.close().await;
        let thread = self.store_thread.lock().take();
        if let Some(thread) = thread {
            // Joining blocks until the file is closed; a panic there leaves nothing to wait for.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
        shared.events.end();
    }
}

impl Dispatcher {
    /// Ends everything without waiting for it: whoever held the dispatcher is gone.
    pub fn abandon(&self) {
        self.close_server.cancel();
        self.shared.stop.cancel();
        self.shared.events.end();
    }
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        self.abandon();
    }
}

async fn wait_for_sockets(
    firsts: &mut mpsc::UnboundedReceiver<First>,
    sockets: usize,
    last: &mut String,
) -> Result<(), Error> {
    let mut registered = BTreeSet::new();
    while registered.len() < sockets {
        match firsts.recv().await {
            Some(First::Registered(number)) => {
                registered.insert(number);
            }
            Some(First::NotYet(reason)) => *last = reason,
            Some(First::Refused(reason)) => return Err(refused(&reason)),
            None => break,
        }
    }
    Ok(())
}

fn refused(reason: &Reason) -> Error {
    Error::new(Code::ConfigInvalid, format!("livekit: {reason}"))
}

async fn purge(shared: Arc<Shared>) {
    let mut every = interval(PURGE_EVERY);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = shared.stop.cancelled() => return,
        }
        if let Err(error) = shared
            .store
            .purge(SystemClock.now_ms() - KEEP_ENDED_MS)
            .await
        {
            tracing::warn!(%error, "old jobs could not be deleted from the store");
        }
    }
}
