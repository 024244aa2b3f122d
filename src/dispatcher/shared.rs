//! What every part of a running dispatcher shares: configuration, store, connections, the table of live jobs.
//!
//! Decides whether there is room for another job, and counts what a drain has to wait for. It refuses to hold a lock
//! across a wait.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::{Clock, SystemClock};
use crate::dispatcher::agents::ReadyAgent;
use crate::dispatcher::config::LiveKit;
use crate::dispatcher::events::{Event, Events};
use crate::dispatcher::machine::{Bearer, Input, Record, Reporter, Say, StatusAnswer, StatusView};
use crate::dispatcher::rest::limit::Bucket;
use crate::dispatcher::store::Store;
use crate::id::{JobId, Pii};
use crate::net::http::HttpClient;
use crate::worker::{Job, WorkerHandle};

/// What a job's task is told.
pub enum Message {
    Input(Input),
    /// The agent reports, and waits for the answer.
    Status {
        reporter: Reporter,
        status: crate::words::JobStatus,
        error: Option<String>,
        /// Where the answer goes.
        reply: oneshot::Sender<StatusAnswer>,
    },
}

/// A live job, as everybody but its own task sees it.
pub struct JobEntry {
    pub inbox: mpsc::Sender<Message>,
    /// Its room, for tokens that are good for a room.
    pub room: Pii<String>,
    /// What is written down of it.
    pub written: Mutex<Written>,
    /// How often it may report.
    pub bucket: Mutex<Bucket>,
}

/// The part of a written record that requests are answered from.
#[derive(Clone)]
pub struct Written {
    pub bearers: Vec<Bearer>,
    /// What a report is judged by.
    pub say: Say,
    pub view: StatusView,
}

impl Written {
    /// What requests may know of a record.
    pub fn of(record: &Record) -> Written {
        Written {
            bearers: record.bearers.clone(),
            say: record.say(),
            view: StatusView::from(record),
        }
    }
}

/// How long an ended job's bearer still opens its status, in milliseconds.
pub const BEARER_AFTER_END_MS: i64 = 600_000;
/// How many ended jobs are remembered, about 20 MB of them; the oldest are forgotten first.
pub const ENDED_JOBS: usize = 50_000;

/// An ended job, as requests see it.
pub struct EndedJob {
    pub room: Pii<String>,
    pub written: Written,
    /// When it ended, in Unix milliseconds.
    pub at: i64,
}

/// The jobs that ended a short while ago: an agent whose answer was lost asks again, and a stranger who asks for one must
/// not reach the store.
#[derive(Default)]
pub struct EndedJobs(Mutex<Ended>);

#[derive(Default)]
struct Ended {
    jobs: HashMap<JobId, Arc<EndedJob>>,
    /// The oldest first.
    order: VecDeque<(i64, JobId)>,
}

impl EndedJobs {
    /// Remembers a job. Jobs come in the order of their ends.
    pub fn add(&self, job_id: JobId, ended: EndedJob) {
        let mut memory = self.0.lock();
        while let Some((at, _)) = memory.order.front() {
            if memory.order.len() < ENDED_JOBS && at + BEARER_AFTER_END_MS > ended.at {
                break;
            }
            if let Some((_, oldest)) = memory.order.pop_front() {
                memory.jobs.remove(&oldest);
            }
        }
        memory.order.push_back((ended.at, job_id.clone()));
        memory.jobs.insert(job_id, Arc::new(ended));
    }

    /// A job that ended shortly before `now_ms`.
    pub fn find(&self, job_id: &JobId, now_ms: i64) -> Option<Arc<EndedJob>> {
        let ended = self.0.lock().jobs.get(job_id).cloned();
        ended.filter(|ended| ended.at + BEARER_AFTER_END_MS > now_ms)
    }
}

pub struct Shared {
    pub livekit: LiveKit,
    pub agents: BTreeMap<String, ReadyAgent>,
    /// How agents reach the status endpoint, without a trailing slash.
    pub status_base: String,
    /// How many jobs may be open.
    pub max_jobs: usize,
    pub store: Store,
    /// Whether the last write succeeded.
    pub store_works: AtomicBool,
    pub http: HttpClient,
    /// News for the program.
    pub events: Events,
    /// Whether the jobs of an earlier run are back: until then no request can tell which jobs there are.
    pub restored: AtomicBool,
    /// Whether jobs are taken.
    pub open: AtomicBool,
    /// How many offers were declined because there was no room.
    pub declined: AtomicU64,
    /// Whether the limit of jobs was reached, and that was said.
    full: AtomicBool,
    pub stop: CancellationToken,
    /// Job tasks, attempts, sockets, requests.
    pub tasks: TaskTracker,
    /// Farewells to endpoints; a drain waits for them.
    pub farewells: TaskTracker,
    /// How many jobs are neither delivered nor over.
    pub undelivered: watch::Sender<usize>,
    jobs: Mutex<HashMap<JobId, Arc<JobEntry>>>,
    pub ended: EndedJobs,
    gone: Mutex<BTreeSet<String>>,
    workers: Mutex<Vec<WorkerHandle>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

/// What `Shared` is made of.
pub struct Parts {
    pub livekit: LiveKit,
    pub agents: BTreeMap<String, ReadyAgent>,
    /// How agents reach the status endpoint, without a trailing slash.
    pub status_base: String,
    /// How many jobs may be open.
    pub max_jobs: u32,
    pub store: Store,
    pub http: HttpClient,
}

impl Shared {
    /// Nothing is open yet.
    pub fn new(parts: Parts) -> Shared {
        Shared {
            livekit: parts.livekit,
            agents: parts.agents,
            status_base: parts.status_base,
            max_jobs: parts.max_jobs as usize,
            store: parts.store,
            store_works: AtomicBool::new(true),
            http: parts.http,
            events: Events::default(),
            restored: AtomicBool::new(false),
            open: AtomicBool::new(false),
            declined: AtomicU64::new(0),
            full: AtomicBool::new(false),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            farewells: TaskTracker::new(),
            undelivered: watch::Sender::new(0),
            jobs: Mutex::default(),
            ended: EndedJobs::default(),
            gone: Mutex::default(),
            workers: Mutex::default(),
        }
    }

    pub fn tell(&self, event: Event) {
        self.events.push(wall_ms(), event);
    }

    /// Tells the program what became of an offer.
    pub fn tell_offer(&self, job: &Job, received_at: std::time::Instant, accepted: bool) {
        let answered_in_ms = received_at.elapsed().as_secs_f64() * 1_000.0;
        let offer = Event::JobOffered {
            job_id: job.id.0.clone(),
            dispatch_id: job.dispatch_id.0.clone(),
            agent_name: job.agent_name.clone(),
            job_type: job.job_type.as_str(),
            accepted,
            answered_in_ms,
        };
        self.events.push(wall_ms() - answered_in_ms, offer);
    }

    pub fn job(&self, job_id: &JobId) -> Option<Arc<JobEntry>> {
        lock(&self.jobs).get(job_id).cloned()
    }

    /// How many jobs are open.
    pub fn active(&self) -> usize {
        lock(&self.jobs).len()
    }

    /// Enters a new job, unless there is no room, none are taken, or it is there already.
    pub fn admit(&self, job_id: &JobId, entry: &Arc<JobEntry>) -> bool {
        let mut jobs = lock(&self.jobs);
        if !self.open.load(Ordering::Acquire) || jobs.contains_key(job_id) {
            return false;
        }
        if jobs.len() >= self.max_jobs {
            self.declined.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        jobs.insert(job_id.clone(), entry.clone());
        drop(jobs);
        self.tell_load();
        true
    }

    /// Enters a job of an earlier run, whether or not there is room.
    pub fn readmit(&self, job_id: &JobId, entry: &Arc<JobEntry>) {
        lock(&self.jobs).insert(job_id.clone(), entry.clone());
        self.tell_load();
    }

    /// Takes a job out.
    pub fn dismiss(&self, job_id: &JobId) {
        let mut jobs = lock(&self.jobs);
        if let Some(entry) = jobs.remove(job_id) {
            let ended = EndedJob {
                room: entry.room.clone(),
                written: entry.written.lock().clone(),
                at: SystemClock.now_ms(),
            };
            self.ended.add(job_id.clone(), ended);
        }
        drop(jobs);
        self.tell_load();
    }

    /// Tells LiveKit the load, and the program when the limit is reached; again only after a tenth was free meanwhile.
    fn tell_load(&self) {
        let workers = lock(&self.workers);
        // Counted under the workers' lock, so that the last count is the last one told.
        let active = self.active();
        for worker in workers.iter() {
            worker.set_active(u32::try_from(active).unwrap_or(u32::MAX));
        }
        drop(workers);
        if active < self.max_jobs - self.max_jobs / 10 {
            self.full.store(false, Ordering::Release);
        } else if active >= self.max_jobs && !self.full.swap(true, Ordering::AcqRel) {
            self.tell(Event::AtCapacity {
                active_jobs: active,
                max_jobs: self.max_jobs,
            });
        }
    }

    pub fn add_worker(&self, worker: WorkerHandle) {
        lock(&self.workers).push(worker);
        self.tell_load();
    }

    pub fn workers(&self) -> Vec<WorkerHandle> {
        lock(&self.workers).clone()
    }

    /// Endpoints that answered 410.
    pub fn gone(&self) -> BTreeSet<String> {
        lock(&self.gone).clone()
    }

    /// Sends nothing more to an endpoint, and tells every job that waits for it. False if that was known.
    pub fn disable(&self, url: &str) -> bool {
        if !lock(&self.gone).insert(url.to_owned()) {
            return false;
        }
        for entry in lock(&self.jobs).values() {
            // A job whose queue is full has better things to do: it finds out by its own next attempt.
            let _ = entry.inbox.try_send(Message::Input(Input::EndpointGone {
                url: url.to_owned(),
            }));
        }
        true
    }
}

/// The wall clock in Unix milliseconds, with a fraction.
fn wall_ms() -> f64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0.0, |since| since.as_micros() as f64 / 1_000.0)
}

/// Counts a job as undelivered for as long as it lives.
pub struct Undelivered(Arc<Shared>);

impl Undelivered {
    pub fn count(shared: &Arc<Shared>) -> Undelivered {
        shared.undelivered.send_modify(|count| *count += 1);
        Undelivered(shared.clone())
    }
}

impl Drop for Undelivered {
    fn drop(&mut self) {
        self.0.undelivered.send_modify(|count| *count -= 1);
    }
}
