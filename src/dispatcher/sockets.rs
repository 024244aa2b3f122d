//! The worker sockets: one per agent name and job type, and what comes in on them.
//!
//! Decides which job a message belongs to. An offer is answered at once: accepted once it is written down, declined
//! when there is no room. It refuses jobs until every socket of the dispatcher is registered.

use std::sync::Arc;

use tokio::sync::mpsc;
use url::Url;

use crate::clock::{Clock, SystemClock};
use crate::contain;
use crate::dispatcher::events::Event;
use crate::dispatcher::job::{JobTask, Offer};
use crate::dispatcher::machine::{Input, Token, TOKEN_LIFE_MS};
use crate::dispatcher::shared::{Message, Shared};
use crate::error::{Code, Error};
use crate::id::JobId;
use crate::token::Claims;
use crate::words::JobStatus;
use crate::worker::{
    Answer, Permissions, Reason, Worker, WorkerEvent, WorkerHandle, WorkerOptions,
};

/// What became of a socket's first connection.
pub enum First {
    /// LiveKit knows the socket with this number.
    Registered(usize),
    /// It cannot be reached yet, and is tried again.
    NotYet(String),
    /// It will not be tried again.
    Refused(Reason),
}

/// Starts every socket. What becomes of each is told through the channel, which lives as long as the start does.
pub fn start(shared: &Arc<Shared>, first: &mpsc::UnboundedSender<First>) -> Result<usize, Error> {
    let url = Url::parse(&shared.livekit.url).map_err(|error| {
        Error::new(Code::ConfigInvalid, "livekit.url cannot be parsed").with_source(error)
    })?;
    let mut count = 0;
    for ready in shared.agents.values() {
        for wanted in &ready.agent.job_types {
            let (worker, events) = Worker::start(WorkerOptions {
                url: url.clone(),
                api_key: shared.livekit.api_key.clone(),
                api_secret: shared.livekit.api_secret.clone(),
                agent_name: ready.agent.name.clone(),
                job_type: *wanted,
                permissions: Permissions::default(),
                max_jobs: u32::try_from(shared.max_jobs).unwrap_or(u32::MAX),
                version: format!("roomhook/{}", env!("CARGO_PKG_VERSION")),
            })?;
            shared.add_worker(worker.clone());
            let socket = Socket {
                shared: shared.clone(),
                worker,
                agent_name: ready.agent.name.clone(),
                job_type: wanted.as_str(),
                number: count,
                first: first.clone(),
            };
            shared.tasks.spawn(socket.run(events));
            count += 1;
        }
    }
    Ok(count)
}

struct Socket {
    shared: Arc<Shared>,
    worker: WorkerHandle,
    agent_name: String,
    job_type: &'static str,
    number: usize,
    first: mpsc::UnboundedSender<First>,
}

impl Socket {
    async fn run(self, mut events: mpsc::Receiver<WorkerEvent>) {
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                () = self.shared.stop.cancelled() => return,
            };
            match event {
                Some(event) => {
                    if contain::future(self.event(event)).await.is_err() {
                        tracing::error!("a message of LiveKit could not be handled");
                    }
                }
                None => return,
            }
        }
    }

    async fn event(&self, event: WorkerEvent) {
        match event {
            WorkerEvent::Offer { job, received_at } => {
                let Some(agent) = self.shared.agents.get(&self.agent_name) else {
                    return;
                };
                let offer = Offer {
                    worker: self.worker.clone(),
                    received_at,
                };
                if !JobTask::offered(&self.shared, agent, offer, (*job).clone()) {
                    self.worker.answer(&job.id, Answer::Decline).await;
                    self.shared.tell_offer(&job, received_at, false);
                }
            }
            WorkerEvent::Assigned { job, token, url } => {
                let claims = Claims::decode(token.expose());
                let expires_at_s = claims.ok().and_then(|claims| claims.expires_at_s);
                let expires_at = match expires_at_s {
                    Some(seconds) => seconds.saturating_mul(1_000),
                    None => SystemClock.now_ms() + TOKEN_LIFE_MS,
                };
                let token = Token { jwt: token, url };
                self.tell_or_end(&job.id, Input::Assigned { token, expires_at })
                    .await;
            }
            WorkerEvent::AssignmentLost { job_id } => {
                self.tell(&job_id, Input::AssignmentLost).await;
            }
            WorkerEvent::Terminated { job_id } => {
                self.tell_or_end(&job_id, Input::Terminated).await;
            }
            WorkerEvent::Registered {
                worker_id,
                server_version,
            } => {
                let _ = self.first.send(First::Registered(self.number));
                self.shared.tell(Event::Registered {
                    agent_name: self.agent_name.clone(),
                    job_type: self.job_type,
                    worker_id: worker_id.0,
                    server_version,
                });
            }
            WorkerEvent::Disconnected {
                reason,
                will_retry_ms,
            } => self.disconnected(reason, will_retry_ms),
            WorkerEvent::Closed => {}
        }
    }

    fn disconnected(&self, reason: Reason, retry_in_ms: Option<u64>) {
        self.shared.tell(Event::Disconnected {
            agent_name: self.agent_name.clone(),
            job_type: self.job_type,
            reason: reason.to_string(),
            retry_in_ms,
        });
        let _ = self.first.send(match retry_in_ms {
            Some(_) => First::NotYet(reason.to_string()),
            None => First::Refused(reason),
        });
    }

    /// Tells a job's task; where there is none, nobody else would tell LiveKit that the job is over.
    async fn tell_or_end(&self, job_id: &JobId, input: Input) {
        if !self.tell(job_id, input).await {
            let late = "the dispatcher had given the job up";
            self.worker
                .update_job(job_id, JobStatus::Failed, late)
                .await;
        }
    }

    /// Tells a job's task; false if there is none.
    async fn tell(&self, job_id: &JobId, input: Input) -> bool {
        match self.shared.job(job_id) {
            Some(entry) => entry.inbox.send(Message::Input(input)).await.is_ok(),
            None => false,
        }
    }
}
