//! The task of one job: feeds its machine and performs what it wants.
//!
//! Decides nothing but how an effect is carried out. It refuses to perform anything out of the machine's order: a record
//! is written, and only then what follows from it.

mod effects;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::Arc;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::sleep_until;

use crate::clock::Clock;
use crate::dispatcher::agents::ReadyAgent;
use crate::dispatcher::events::Event;
use crate::dispatcher::machine::{
    Effect, Input, Machine, Output, Plan, Record, Stage, StatusAnswer,
};
use crate::dispatcher::rest::limit::Bucket;
use crate::dispatcher::shared::{JobEntry, Message, Shared, Undelivered, Written};
use crate::error::{Code, Error};
use crate::id::Secret;
use crate::worker::{Job, WorkerHandle};

/// How many messages may wait for a job. Requests beyond them are answered "too many".
const INBOX: usize = 64;

/// A status bearer and the hash that is kept of it.
pub struct Bearer {
    /// 256 random bits, for the agent.
    pub secret: Secret<String>,
    pub hash: String,
}

impl Bearer {
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
    pub fn offered(shared: &Arc<Shared>, agent: &ReadyAgent, offer: Offer, job: Job) -> bool {
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
        let task = JobTask::new(shared, entry, inbox, machine, Some(offer), bearer.secret);
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
        offer: Option<Offer>,
        bearer: Secret<String>,
    ) -> JobTask {
        JobTask {
            undelivered: Some(Undelivered::count(shared)),
            shared: shared.clone(),
            entry,
            inbox,
            machine,
            offer,
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
                    Some(Message::Input(input)) => {
                        if matches!(input, Input::Assigned(_)) {
                            let job_id = self.job_id().0;
                            self.shared.tell(Event::JobAssigned { job_id });
                        }
                        input
                    }
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

async fn wait(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
