//! A worker: one socket that is registered with LiveKit for one agent name and one job type, kept up for ever.
//!
//! Decides nothing itself: `machine` decides, `protocol` translates, the task in `driver` performs. Refuses options
//! that cannot work before anything is opened.

mod driver;
pub mod machine;
pub mod protocol;

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use url::Url;

use crate::address::{self, PlainText, Protocol};
use crate::error::{Code, Error};
use crate::id::{JobId, Secret};
use crate::words::{JobStatus, JobType};
use crate::worker::driver::{Command, Driver};
use crate::worker::protocol::Registration;

pub use crate::worker::machine::{AnswerOutcome, Event as WorkerEvent, Reason, UpdateOutcome};
pub use crate::worker::protocol::{Acceptance, Answer, Job, Participant, Permissions, Room};

/// What a worker needs to know.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// LiveKit's URL: `ws`, `wss`, `http` or `https`, with or without a path; `/agent` is appended.
    pub url: Url,
    /// The API key. LiveKit signs the job tokens with it.
    pub api_key: String,
    pub api_secret: Secret<String>,
    /// The agent name; empty for automatic dispatch.
    pub agent_name: String,
    /// The type of jobs. For another type, start another worker.
    pub job_type: JobType,
    /// What the job tokens allow.
    pub permissions: Permissions,
    /// How many jobs at once, at least 1. Beyond them offers are declined and LiveKit is told `WS_FULL`.
    pub max_jobs: u32,
    /// Free text that LiveKit logs.
    pub version: String,
}

#[derive(Debug)]
pub struct Worker;

impl Worker {
    /// Starts a worker on the current tokio runtime. Events come in order and end after `Closed`; read them, because
    /// offers are declined while 256 events wait. Dropping the handle and its clones closes the worker.
    ///
    /// `CONFIG_INVALID` when the options cannot work. What only the server knows comes as an event: a wrong API secret
    /// is `Disconnected` without a retry, then `Closed`, if it is refused before the first registration; later it is
    /// retried about every 30 s, since a server that once took it may do so again.
    pub fn start(
        options: WorkerOptions,
    ) -> Result<(WorkerHandle, mpsc::Receiver<WorkerEvent>), Error> {
        let url = agent_url(&options.url)?;
        if options.api_key.is_empty() || options.api_secret.expose().is_empty() {
            return Err(invalid("the LiveKit API key and secret must not be empty"));
        }
        if options.max_jobs == 0 {
            return Err(invalid("the limit of jobs must be at least 1, not 0"));
        }
        let config = machine::Config {
            registration: Registration {
                agent_name: options.agent_name,
                job_type: options.job_type,
                version: options.version,
                permissions: options.permissions,
            },
            max_jobs: options.max_jobs,
            seed: getrandom::u64().map_err(|error| {
                Error::new(Code::ConfigInvalid, "the system gives no random numbers")
                    .with_source(error)
            })?,
        };
        let (commands, command_queue) = mpsc::channel(64);
        let (active, active_changes) = watch::channel(0);
        let (events, event_queue) = mpsc::channel(256);
        let registered = Arc::new(AtomicBool::new(false));
        let driver = Driver::new(driver::Setup {
            config,
            url,
            api_key: options.api_key,
            api_secret: options.api_secret,
            commands: command_queue,
            active: active_changes,
            events,
            registered: registered.clone(),
        });
        tokio::spawn(driver.run());
        let handle = WorkerHandle {
            commands,
            active: Arc::new(active),
            registered,
        };
        Ok((handle, event_queue))
    }
}

/// Steers a worker. Clones steer the same one. After the worker has closed, every call is harmless.
#[derive(Clone)]
pub struct WorkerHandle {
    commands: mpsc::Sender<Command>,
    active: Arc<watch::Sender<u32>>,
    registered: Arc<AtomicBool>,
}

impl WorkerHandle {
    /// Answers an offer; only the first answer counts.
    pub async fn answer(&self, job_id: &JobId, answer: Answer) -> AnswerOutcome {
        let job_id = job_id.clone();
        self.ask(|reply| Command::Answer {
            job_id,
            answer,
            reply,
        })
        .await
        .unwrap_or(AnswerOutcome::NotWaiting)
    }

    /// Reports a job's status to LiveKit, which keeps nothing but a log line of it. Send the terminal one just before
    /// the agent leaves: LiveKit forgets the job with it. Send it after `Terminated` too: LiveKit holds on to the job
    /// until then.
    pub async fn update_job(
        &self,
        job_id: &JobId,
        status: JobStatus,
        error: &str,
    ) -> UpdateOutcome {
        let (job_id, error) = (job_id.clone(), error.to_owned());
        self.ask(|reply| Command::UpdateJob {
            job_id,
            status,
            error,
            reply,
        })
        .await
        .unwrap_or(UpdateOutcome::NoSocket)
    }

    /// Tells how many jobs the owner has over all workers that share the limit, offers that it has heard of included;
    /// LiveKit's load follows from it.
    pub fn set_active(&self, jobs: u32) {
        self.active.send_replace(jobs);
    }

    /// Takes no new jobs; those running go on. Close when they are done.
    pub async fn drain(&self) {
        let _ = self.commands.send(Command::Drain).await;
    }

    /// Declines what is offered, says goodbye and ends. Returns when the socket is closed.
    pub async fn close(&self) {
        let _ = self.commands.send(Command::Close).await;
        self.commands.closed().await;
    }

    /// Whether LiveKit knows this worker now.
    pub fn is_registered(&self) -> bool {
        self.registered.load(Ordering::Acquire)
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.ok()?;
        answer.await.ok()
    }
}

impl fmt::Debug for WorkerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerHandle")
            .field("registered", &self.is_registered())
            .finish_non_exhaustive()
    }
}

/// Where workers connect: the same place over WebSocket, below it `/agent`.
fn agent_url(url: &Url) -> Result<Url, Error> {
    address::check(url, Protocol::LiveKit, PlainText::Anywhere)
        .map_err(|error| invalid(format!("the LiveKit URL {error}")))?;
    let mut agent = address::over_websocket(url)
        .ok_or_else(|| invalid("the LiveKit URL must begin with wss: or https:"))?;
    let path = format!("{}/agent", url.path().trim_end_matches('/'));
    agent.set_path(&path);
    agent.set_query(None);
    agent.set_fragment(None);
    Ok(agent)
}

fn invalid(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(Code::ConfigInvalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_the_url_leads_to_the_agent_endpoint() {
        for (given, expected) in [
            ("http://127.0.0.1:7880", "ws://127.0.0.1:7880/agent"),
            ("https://x.example/", "wss://x.example/agent"),
            ("ws://x.example/base/?a=b#c", "ws://x.example/base/agent"),
            ("wss://x.example:443", "wss://x.example/agent"),
        ] {
            let url = agent_url(&Url::parse(given).expect("a URL")).expect("accepted");
            assert_eq!(url.as_str(), expected);
        }
    }

    #[test]
    fn urls_that_cannot_work_are_refused_without_showing_them() {
        for given in ["ftp://x.example", "wss://key:hush@x.example", "data:x"] {
            let error = agent_url(&Url::parse(given).expect("a URL")).expect_err("refused");
            assert_eq!(error.code, Code::ConfigInvalid);
            assert!(!error.to_string().contains("x.example"), "{error}");
        }
    }
}
