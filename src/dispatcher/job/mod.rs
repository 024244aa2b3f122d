//! The task of one job: feeds its machine and performs what it wants.
//!
//! Decides nothing but how an effect is carried out. It refuses to perform anything out of the machine's order: a record
//! is written, and only then what follows from it. A panic ends the job, and nothing else.

mod effects;

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::Arc;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::sleep_until;

use crate::clock::{Clock, SystemClock};
use crate::contain;
use crate::dispatcher::agents::ReadyAgent;
use crate::dispatcher::events::Event;
use crate::dispatcher::machine::{
    Effect, Input, Machine, Output, Plan, Record, Stage, StatusAnswer,
};
use crate::dispatcher::rest::limit::Bucket;
use crate::dispatcher::shared::{JobEntry, Message, Shared, Undelivered, Written};
use crate::error::{Code, Error};
use crate::id::Secret;
use crate::words::JobStatus;
use crate::worker::{Answer, Job, WorkerHandle};

/// How many messages may wait for a job. Requests beyond them are answered "too many".
const INBOX: usize = 64;

/// Status bearers for a job, one an endpoint: 256 random bits each.
struct Bearers(Vec<Secret<String>>);

impl Bearers {
    fn mint(count: usize) -> Result<Bearers, Error> {
        let mut bytes = vec![[0; 32]; count];
        getrandom::fill(bytes.as_flattened_mut()).map_err(|error| {
            Error::new(Code::ConfigInvalid, "the system gives no random numbers").with_source(error)
        })?;
        let secrets = bytes.iter().map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
        Ok(Bearers(secrets.map(Secret::new).collect()))
    }

    fn hashes(&self) -> Vec<String> {
        let secrets = self.0.iter();
        secrets.map(|bearer| hash_bearer(bearer.expose())).collect()
    }
}

/// What is kept of a bearer.
pub fn hash_bearer(bearer: &str) -> String {
    hex::encode(Sha256::digest(bearer.as_bytes()))
}

/// Where a job of this run came from.
pub struct Offer {
    /// The socket that has it.
    pub worker: WorkerHandle,
    /// When it was offered.
    pub received_at: std::time::Instant,
}

pub struct JobTask {
    shared: Arc<Shared>,
    entry: Arc<JobEntry>,
    inbox: mpsc::Receiver<Message>,
    machine: Machine,
    offer: Option<Offer>,
    bearers: Bearers,
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
    pub fn offered(shared: &Arc<Shared>, agent: &ReadyAgent, offer: Offer, job: Job) -> bool {
        let Ok(bearers) = Bearers::mint(agent.plan.endpoints.len()) else {
            return false;
        };
        let job_id = job.id.clone();
        let identity = agent.agent.identity_for(job_id.as_str());
        let now = SystemClock.now();
        let plan = agent.plan.clone();
        let machine = Machine::offered(now, job, identity, bearers.hashes(), plan);
        let (entry, inbox) = entry(machine.record());
        if !shared.admit(&job_id, &entry) {
            return false;
        }
        let task = JobTask::new(shared, entry, inbox, machine, Some(offer), bearers);
        shared.tasks.spawn(task.run());
        true
    }

    /// Takes up a job of an earlier run.
    pub fn restored(shared: &Arc<Shared>, record: Record) -> Result<(), Error> {
        let plan = (shared.agents.get(&record.job.agent_name))
            .map_or_else(Plan::default, |agent| agent.plan.clone());
        let bearers = Bearers::mint(plan.endpoints.len())?;
        let job_id = record.job_id().clone();
        let (entry, inbox) = entry(&record);
        let machine = Machine::restored(SystemClock.now(), record, bearers.hashes(), plan);
        shared.readmit(&job_id, &entry);
        let task = JobTask::new(shared, entry, inbox, machine, None, bearers);
        shared.tasks.spawn(task.run());
        Ok(())
    }

    fn new(
        shared: &Arc<Shared>,
        entry: Arc<JobEntry>,
        inbox: mpsc::Receiver<Message>,
        machine: Machine,
        offer: Option<Offer>,
        bearers: Bearers,
    ) -> JobTask {
        JobTask {
            undelivered: Some(Undelivered::count(shared)),
            shared: shared.clone(),
            entry,
            inbox,
            machine,
            offer,
            bearers,
            attempt: None,
            replies: HashMap::new(),
            tickets: 0,
        }
    }

    async fn run(mut self) {
        let stop = self.shared.stop.clone();
        let stopped = async move { stop.cancelled().await };
        self.run_until(stopped).await;
    }

    async fn run_until(&mut self, stopped: impl Future<Output = ()>) {
        let life = async {
            tokio::select! {
                () = self.live() => {}
                () = stopped => {}
            }
        };
        if contain::future(life).await.is_err() {
            // It may be the record itself that causes it.
            let _ = contain::future(self.crashed()).await;
        }
        self.undelivered = None;
        self.shared.dismiss(&self.job_id());
    }

    /// Ends the job as failed without its machine, which cannot be trusted any more.
    async fn crashed(&mut self) {
        let error = "a bug in the dispatcher ended the job";
        tracing::error!(job_id = %self.job_id(), error);
        if let Some(attempt) = self.attempt.take() {
            attempt.abort();
        }
        let now = SystemClock.now_ms();
        let mut record = self.machine.record().clone();
        record.stage = Stage::Ended;
        record.status = JobStatus::Failed;
        record.error = Some(error.to_owned());
        record.token = None;
        record.updated_at = now;
        record.ended_at = Some(now);
        self.persist(0, Box::new(record), true).await;
        if let Some(offer) = &self.offer {
            offer.worker.answer(&self.job_id(), Answer::Decline).await;
        }
        self.report(JobStatus::Failed, Some(error.to_owned())).await;
        self.shared.tell(Event::JobEnded {
            job_id: self.job_id().0,
            status: JobStatus::Failed.state(),
            error: Some(error.to_owned()),
        });
    }

    async fn live(&mut self) {
        for url in self.shared.gone() {
            let gone = Input::EndpointGone { url };
            self.machine.handle(SystemClock.now(), gone);
        }
        while !self.perform().await {
            let timeout = self.machine.poll_timeout();
            let input = tokio::select! {
                message = self.inbox.recv() => match message {
                    Some(message) => self.input(message),
                    None => return,
                },
                () = wait(timeout) => Input::Tick,
            };
            self.machine.handle(SystemClock.now(), input);
        }
    }

    fn input(&mut self, message: Message) -> Input {
        match message {
            Message::Input(input) => {
                if matches!(input, Input::Assigned { .. }) {
                    let job_id = self.job_id().0;
                    self.shared.tell(Event::JobAssigned { job_id });
                }
                input
            }
            Message::Status {
                reporter,
                status,
                error,
                reply,
            } => {
                self.tickets += 1;
                self.replies.insert(self.tickets, reply);
                Input::Status {
                    ticket: self.tickets,
                    reporter,
                    status,
                    error,
                }
            }
        }
    }

    /// Performs what the machine wants, and what follows from that; true when the job is over.
    async fn perform(&mut self) -> bool {
        let mut over = false;
        while let Some(output) = self.machine.poll_output() {
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
                self.machine.handle(SystemClock.now(), input);
            }
        }
        let is_undelivered = self.machine.record().stage < Stage::Delivered;
        if is_undelivered != self.undelivered.is_some() {
            self.undelivered = is_undelivered.then(|| Undelivered::count(&self.shared));
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
                *self.entry.written.lock() = written;
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
}

async fn wait(until: Option<std::time::Instant>) {
    match until {
        Some(at) => sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
