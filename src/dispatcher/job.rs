//! The task of one job: feeds its machine and performs what it wants.
//!
//! Decides nothing but how an effect is carried out. It refuses to perform anything out of the machine's order: a record
//! is written, and only then what follows from it.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use livekit_protocol::JobStatus;
use sha2::Digest;
use sha2::Sha256;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::sleep_until;

use crate::clock::Clock;
use crate::clock::SystemClock;
use crate::dispatcher::agents::ReadyAgent;
use crate::dispatcher::answer;
use crate::dispatcher::events::Event;
use crate::dispatcher::farewell;
use crate::dispatcher::machine::Effect;
use crate::dispatcher::machine::Input;
use crate::dispatcher::machine::Machine;
use crate::dispatcher::machine::Notice;
use crate::dispatcher::machine::Output;
use crate::dispatcher::machine::Plan;
use crate::dispatcher::machine::Record;
use crate::dispatcher::machine::Stage;
use crate::dispatcher::machine::StatusAnswer;
use crate::dispatcher::post::JobExtras;
use crate::dispatcher::post::Webhook;
use crate::dispatcher::rest::limit::Bucket;
use crate::dispatcher::shared::JobEntry;
use crate::dispatcher::shared::Message;
use crate::dispatcher::shared::Shared;
use crate::dispatcher::shared::Undelivered;
use crate::dispatcher::shared::Written;
use crate::error::Code;
use crate::error::Error;
use crate::id::JobId;
use crate::id::Secret;
use crate::worker::Acceptance;
use crate::worker::Answer;
use crate::worker::AnswerOutcome;
use crate::worker::Job;
use crate::worker::JobStatus as WireStatus;
use crate::worker::WorkerHandle;

/// How many messages may wait for a job. Requests beyond them are answered "too many".
const INBOX: usize = 64;

/// A status bearer and the hash that is kept of it.
pub struct Bearer {
    /// 256 random bits, for the agent.
    pub secret: Secret<String>,
    /// For the record.
    pub hash: String,
}

impl Bearer {
    /// A fresh one.
    pub fn mint() -> Result<Bearer, Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| {
            Error::new(Code::ConfigInvalid, "the system gives no random numbers").with_source(error)
        })?;
        let secret = URL_SAFE_NO_PAD.encode(bytes);
        Ok(Bearer {
            hash: hash_bearer(&secret),
            secret: Secret::new(secret),
        })
    }
}

/// What is kept of a bearer.
pub fn hash_bearer(bearer: &str) -> String {
    hex::encode(Sha256::digest(bearer.as_bytes()))
}

/// One job's task.
pub struct JobTask {
    shared: Arc<Shared>,
    entry: Arc<JobEntry>,
    inbox: mpsc::Receiver<Message>,
    machine: Machine,
    worker: Option<WorkerHandle>,
    bearer: Secret<String>,
    attempt: Option<AbortHandle>,
    replies: HashMap<u64, oneshot::Sender<StatusAnswer>>,
    tickets: u64,
    undelivered: Option<Undelivered>,
}

fn entry(record: &Record) -> (Arc<JobEntry>, mpsc::Receiver<Message>) {
    let (inbox, queue) = mpsc::channel(INBOX);
    let entry = JobEntry {
        inbox,
        room: record.job.room.name.clone(),
        written: Mutex::new(Written::of(record)),
        bucket: Mutex::new(Bucket::default()),
    };
    (Arc::new(entry), queue)
}

impl JobTask {
    /// Takes a job that LiveKit offers, if there is room for it.
    pub fn offered(
        shared: &Arc<Shared>,
        agent: &ReadyAgent,
        worker: WorkerHandle,
        job: Job,
    ) -> bool {
        let Ok(bearer) = Bearer::mint() else {
            return false;
        };
        let job_id = job.id.clone();
        let identity = agent.agent.identity_for(job_id.as_str());
        let now = shared.clock.now_ms();
        let (machine, out) = Machine::offered(now, job, identity, bearer.hash, agent.plan.clone());
        let (entry, inbox) = entry(machine.record());
        if !shared.admit(&job_id, &entry) {
            return false;
        }
        let task = JobTask::new(shared, entry, inbox, machine, Some(worker), bearer.secret);
        shared.tasks.spawn(task.run(out));
        true
    }

    /// Takes up a job of an earlier run.
    pub fn restored(shared: &Arc<Shared>, record: Record) -> Result<(), Error> {
        let bearer = Bearer::mint()?;
        let job_id = record.job_id().clone();
        let plan = (shared.agents.get(&record.job.agent_name))
            .map_or_else(Plan::default, |agent| agent.plan.clone());
        let (entry, inbox) = entry(&record);
        let (machine, out) = Machine::restored(shared.clock.now_ms(), record, bearer.hash, plan);
        shared.readmit(&job_id, &entry);
        let task = JobTask::new(shared, entry, inbox, machine, None, bearer.secret);
        shared.tasks.spawn(task.run(out));
        Ok(())
    }

    fn new(
        shared: &Arc<Shared>,
        entry: Arc<JobEntry>,
        inbox: mpsc::Receiver<Message>,
        machine: Machine,
        worker: Option<WorkerHandle>,
        bearer: Secret<String>,
    ) -> JobTask {
        JobTask {
            undelivered: Some(Undelivered::count(shared)),
            shared: shared.clone(),
            entry,
            inbox,
            machine,
            worker,
            bearer,
            attempt: None,
            replies: HashMap::new(),
            tickets: 0,
        }
    }

    async fn run(mut self, out: Vec<Output>) {
        let shared = self.shared.clone();
        let job_id = self.job_id();
        for url in shared.gone() {
            self.machine
                .handle(shared.clock.now_ms(), Input::EndpointGone { url });
        }
        let stop = shared.stop.clone();
        tokio::select! {
            () = self.live(out) => {}
            () = stop.cancelled() => {}
        }
        if let Some(attempt) = self.attempt.take() {
            attempt.abort();
        }
        shared.dismiss(&job_id);
    }

    async fn live(&mut self, out: Vec<Output>) {
        if self.perform(out).await {
            return;
        }
        loop {
            let deadline = self
                .machine
                .deadline()
                .map(|at| self.shared.clock.instant(at));
            let input = tokio::select! {
                message = self.inbox.recv() => match message {
                    Some(Message::Input(input)) => input,
                    Some(Message::Status { status, error, reply }) => {
                        self.tickets += 1;
                        self.replies.insert(self.tickets, reply);
                        Input::Status { ticket: self.tickets, status, error }
                    }
                    None => return,
                },
                () = wait(deadline) => Input::Tick,
            };
            let out = self.machine.handle(self.shared.clock.now_ms(), input);
            if self.perform(out).await {
                return;
            }
        }
    }

    /// Performs what the machine wants, and what follows from that; true when the job is over.
    async fn perform(&mut self, out: Vec<Output>) -> bool {
        let mut queue = VecDeque::from(out);
        let mut over = false;
        while let Some(output) = queue.pop_front() {
            let next = match output {
                Output::Persist {
                    sequence,
                    record,
                    durable,
                } => Some(self.persist(sequence, record, durable).await),
                Output::Do(Effect::Forget) => {
                    over = true;
                    None
                }
                Output::Do(effect) => self.effect(effect).await,
            };
            if let Some(input) = next {
                queue.extend(self.machine.handle(self.shared.clock.now_ms(), input));
            }
        }
        if self.machine.record().stage >= Stage::Delivered {
            self.undelivered = None;
        }
        over
    }

    async fn persist(&mut self, sequence: u64, record: Box<Record>, durable: bool) -> Input {
        let written = Written::of(&record);
        let result = self.shared.store.save(record, durable).await;
        let worked = self
            .shared
            .store_works
            .swap(result.is_ok(), Ordering::AcqRel);
        match result {
            Ok(()) => {
                *self
                    .entry
                    .written
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) = written;
                Input::Saved { sequence }
            }
            Err(error) => {
                if worked {
                    tracing::error!(error = %error, "the store does not take records; no jobs are accepted until it does");
                }
                Input::NotSaved { sequence }
            }
        }
    }

    async fn effect(&mut self, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Answer { available } => return self.answer(available).await,
            Effect::Post {
                endpoint,
                delivery,
                attempt,
                timeout_ms,
            } => {
                return self.post(endpoint, delivery, attempt, timeout_ms);
            }
            Effect::CancelAttempt => {
                if let Some(attempt) = self.attempt.take() {
                    attempt.abort();
                }
            }
            Effect::DisableEndpoint { url } => {
                if self.shared.disable(&url) {
                    let endpoint = self.agent().and_then(|agent| {
                        let found = agent
                            .endpoints
                            .iter()
                            .find(|endpoint| endpoint.url.as_str() == url);
                        found.map(|endpoint| endpoint.shown.clone())
                    });
                    let endpoint = endpoint.unwrap_or_default();
                    self.shared.tell(Event::EndpointDisabled { endpoint });
                }
            }
            Effect::PostTerminated {
                endpoint,
                delivery,
                reason,
            } => {
                let webhook = Webhook::terminated(self.machine.record(), delivery, reason);
                let farewell =
                    farewell::send(self.shared.clone(), self.agent_name(), endpoint, webhook);
                self.shared.farewells.spawn(farewell);
            }
            Effect::Report { status, error } => self.report(status, error).await,
            Effect::Reply { ticket, answer } => {
                if let Some(reply) = self.replies.remove(&ticket) {
                    // Whoever asked may have gone; the status is written all the same.
                    let _ = reply.send(answer);
                }
            }
            Effect::Notice(notice) => self.notice(notice),
            Effect::Forget => {}
        }
        None
    }

    async fn answer(&mut self, available: bool) -> Option<Input> {
        let worker = self.worker.as_ref()?;
        let job_id = self.job_id();
        let agent = self.agent().filter(|_| available);
        let answer = match agent {
            Some(ready) => Answer::Accept(Acceptance {
                identity: self.machine.record().identity.0.clone(),
                name: ready.agent.participant_name.clone(),
                metadata: ready.agent.participant_metadata.clone(),
                attributes: ready.agent.participant_attributes.clone(),
            }),
            None => Answer::Decline,
        };
        let accepted = matches!(answer, Answer::Accept(_));
        let outcome = worker.answer(&job_id, answer).await;
        let job = &self.machine.record().job;
        self.shared.tell(Event::JobOffered {
            job_id: job_id.0,
            dispatch_id: job.dispatch_id.0.clone(),
            agent_name: job.agent_name.clone(),
            job_type: job.job_type.as_str(),
            accepted: accepted && outcome == AnswerOutcome::Sent,
        });
        (accepted && outcome == AnswerOutcome::NotWaiting).then_some(Input::AssignmentLost)
    }

    fn post(
        &mut self,
        endpoint: usize,
        delivery: u32,
        attempt: u32,
        timeout_ms: u64,
    ) -> Option<Input> {
        let record = self.machine.record();
        let extras = JobExtras {
            agent_name: &record.job.agent_name,
            server_url: self.server_url(),
            status_url: format!(
                "{}/api/agents/jobs/{}/status",
                self.shared.status_base,
                record.job_id()
            ),
            status_token: &self.bearer,
            attempt,
            deadline_ms: timeout_ms,
        };
        let mut webhook = Webhook::job(record, delivery, extras)?;
        self.shared.tell(Event::AttemptStarted {
            job_id: self.job_id().0,
            endpoint: self.shown(endpoint),
            attempt,
        });
        let (shared, agent_name) = (self.shared.clone(), self.agent_name());
        let inbox = self.entry.inbox.clone();
        let task = self.shared.tasks.spawn(async move {
            let Some(target) = shared
                .agents
                .get(&agent_name)
                .and_then(|agent| agent.endpoints.get(endpoint))
            else {
                return;
            };
            let now_s = SystemClock.now_ms() / 1_000;
            let timeout = Duration::from_millis(timeout_ms);
            let result = webhook.post(&shared.http, target, now_s, timeout).await;
            let outcome = answer::judge(result, SystemClock.now_ms());
            let input = Input::Attempted {
                delivery,
                attempt,
                outcome,
            };
            // The job may be over by now; then nobody needs the outcome.
            let _ = inbox.send(Message::Input(input)).await;
        });
        self.attempt = Some(task.abort_handle());
        None
    }

    async fn report(&self, status: JobStatus, error: Option<String>) {
        let wire = match status {
            JobStatus::JsRunning => WireStatus::Running,
            JobStatus::JsSuccess => WireStatus::Success,
            JobStatus::JsFailed => WireStatus::Failed,
            JobStatus::JsPending => return,
        };
        // A job of an earlier run has no socket any more; LiveKit has forgotten it.
        if let Some(worker) = &self.worker {
            let outcome = worker
                .update_job(&self.job_id(), wire, error.as_deref().unwrap_or_default())
                .await;
            tracing::debug!(job_id = %self.job_id(), ?outcome, "a status was forwarded to LiveKit");
        }
    }

    fn notice(&self, notice: Notice) {
        let job_id = self.job_id().0;
        let event = match notice {
            Notice::Delivered {
                endpoint,
                attempt,
                parsed,
            } => {
                if !parsed {
                    tracing::warn!(
                        job_id,
                        reason = "accepted_unparsed",
                        "an endpoint took a job without a readable answer"
                    );
                }
                let endpoint = self.shown(endpoint);
                Event::Delivered {
                    job_id,
                    endpoint,
                    attempt,
                    parsed,
                }
            }
            Notice::Rejected { endpoint, reason } => Event::Rejected {
                job_id,
                endpoint: self.shown(endpoint),
                reason,
            },
            Notice::AttemptFailed {
                endpoint,
                attempt,
                why,
                retry_in_ms,
            } => {
                let endpoint = self.shown(endpoint);
                Event::AttemptFailed {
                    job_id,
                    endpoint,
                    attempt,
                    reason: why,
                    retry_in_ms,
                }
            }
            Notice::DeliveryExhausted {
                endpoint,
                attempts,
                why,
            } => {
                let endpoint = self.shown(endpoint);
                Event::DeliveryExhausted {
                    job_id,
                    endpoint,
                    attempts,
                    reason: why,
                }
            }
            Notice::Status { .. } => Event::JobRunning { job_id },
            Notice::Ended { status, error } => Event::JobEnded {
                job_id,
                status: status.as_str_name(),
                error,
            },
        };
        self.shared.tell(event);
    }

    fn job_id(&self) -> JobId {
        self.machine.record().job_id().clone()
    }

    fn agent_name(&self) -> String {
        self.machine.record().job.agent_name.clone()
    }

    fn agent(&self) -> Option<&ReadyAgent> {
        self.shared
            .agents
            .get(&self.machine.record().job.agent_name)
    }

    fn shown(&self, endpoint: usize) -> String {
        let endpoint = self.agent().and_then(|agent| agent.endpoints.get(endpoint));
        endpoint
            .map(|endpoint| endpoint.shown.clone())
            .unwrap_or_default()
    }

    /// What the configuration says agents join, else what LiveKit said, else where the dispatcher itself connects.
    fn server_url(&self) -> String {
        let livekit = &self.shared.livekit;
        let said = self
            .machine
            .record()
            .token
            .as_ref()
            .and_then(|token| token.url.clone());
        livekit
            .public_url
            .clone()
            .or(said)
            .unwrap_or_else(|| livekit.url.clone())
    }
}

async fn wait(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
