//! Tells the dispatcher how a job fares: `POST {status_url}`, in order per job, tried again while that can help.
//!
//! It decides how often a report is tried and which answers end it. It refuses to let reporting fail a job: whatever
//! happens here ends as a [`Delivery`] to be logged.

use std::collections::HashSet;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::clock::{Clock, SystemClock};
use crate::id::Secret;
use crate::job::Report;
use crate::net::http::{Answer, HttpClient, HttpOptions, NetError};
use crate::retry::{parse_retry_after, Schedule};

/// Waits of about ½, 1, 2, 4, 8, 10 … s, a minute in all: a dispatcher that restarts is back by then.
pub const SCHEDULE: Schedule = Schedule {
    initial_ms: 500,
    max_ms: 10_000,
    max_attempts: 10,
    budget_ms: 60_000,
};

const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// What became of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// There was nothing to report.
    Nothing,
    /// The dispatcher has it.
    Delivered,
    /// Nobody takes reports there (404, 405, 501). Said once an origin: `first`.
    Unsupported {
        /// The first time for this origin: worth a warning.
        first: bool,
        /// The status that said so.
        status: u16,
    },
    /// Tried until it was pointless, or until the agent closed.
    GaveUp {
        /// Why, without URL or token.
        reason: String,
    },
}

/// The connections and the memory that all jobs of one agent share.
#[derive(Debug, Default)]
pub struct StatusClient {
    http: OnceLock<HttpClient>,
    /// Origins that were warned about once.
    warned: Mutex<HashSet<String>>,
    /// Origins that take no reports at all, learnt from a URL of our own making.
    unsupported: Mutex<HashSet<String>>,
    abandoned: CancellationToken,
}

/// Where one job's reports go.
#[derive(Debug)]
pub struct Destination {
    /// The job's status URL.
    pub url: Url,
    /// What authorises the report.
    pub bearer: Secret<String>,
    /// Whether the dispatcher named the URL. It then takes reports, and a 404 is about this job alone.
    pub named: bool,
}

/// The reports of one job, latest last.
#[derive(Debug)]
pub struct JobStatus {
    to: Destination,
    waiting: Mutex<Waiting>,
    /// One at a time, so that reports arrive in order.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: Option<Report>,
    refused: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code panics while it holds one of these, and a set or an option is whole at any time.
    mutex.lock()
}

impl JobStatus {
    /// A job with nothing to report yet.
    pub fn new(to: Destination) -> Self {
        JobStatus {
            to,
            waiting: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Puts a report in line. A terminal one takes the place of a `JS_RUNNING` that did not get through yet.
    pub fn push(&self, report: Report) {
        lock(&self.waiting).next = Some(report);
    }

    /// Whether nothing is in line any more.
    pub fn is_idle(&self) -> bool {
        self.next().is_none()
    }

    fn next(&self) -> Option<Report> {
        let waiting = lock(&self.waiting);
        waiting.next.clone().filter(|_| !waiting.refused)
    }

    /// Takes a report out of the line unless another one took its place meanwhile.
    fn done(&self, report: &Report) {
        let mut waiting = lock(&self.waiting);
        if waiting.next.as_ref() == Some(report) {
            waiting.next = None;
        }
    }
}

impl StatusClient {
    /// A client that has not connected to anything.
    pub fn new() -> Self {
        StatusClient::default()
    }

    /// Gives up every report that is not through yet, now and later.
    pub fn abandon(&self) {
        self.abandoned.cancel();
    }

    /// Delivers what the job has to report and returns when nothing is left to do.
    pub async fn flush(&self, job: &JobStatus) -> Delivery {
        let work = async {
            let _turn = job.turn.lock().await;
            let mut last = Delivery::Nothing;
            while let Some(report) = job.next() {
                last = self.deliver(job, &report).await.unwrap_or(last);
            }
            last
        };
        tokio::select! {
            biased;
            delivery = work => delivery,
            () = self.abandoned.cancelled() => {
                let left = job.next().is_some();
                lock(&job.waiting).refused = true;
                if left { gave_up("the agent closed before the report got through") } else { Delivery::Nothing }
            }
        }
    }

    /// Tries one report by the schedule. `None` = another report took its place.
    async fn deliver(&self, job: &JobStatus, report: &Report) -> Option<Delivery> {
        let origin = job.to.url.origin().ascii_serialization();
        if !job.to.named && lock(&self.unsupported).contains(&origin) {
            job.done(report);
            return Some(Delivery::Unsupported {
                first: false,
                status: 404,
            });
        }
        let began = Instant::now();
        let mut attempt = 0;
        loop {
            attempt += 1;
            let answer = self.attempt(job, report).await;
            let (reason, retry_after_ms) = match judge(&answer) {
                Judgement::Stored => {
                    job.done(report);
                    return Some(Delivery::Delivered);
                }
                Judgement::Unsupported(status) => return Some(self.refused(job, origin, status)),
                Judgement::Refused(reason) => {
                    job.done(report);
                    return Some(gave_up(reason));
                }
                Judgement::Again(reason, retry_after_ms) => (reason, retry_after_ms),
            };
            let elapsed = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            let Some(wait) = SCHEDULE.next_wait(attempt, elapsed, retry_after_ms, Some(random()))
            else {
                job.done(report);
                return Some(gave_up(format!("{reason}, after {attempt} attempts")));
            };
            tokio::time::sleep(Duration::from_millis(wait)).await;
            if job.next().as_ref() != Some(report) {
                return None;
            }
        }
    }

    async fn attempt(&self, job: &JobStatus, report: &Report) -> Result<Answer, NetError> {
        let body = serde_json::to_vec(report).expect("a report is plain strings");
        let bearer = format!("Bearer {}", job.to.bearer.expose());
        let headers = [("authorization".to_owned(), bearer)];
        let http = self.http()?;
        http.post_json(&job.to.url, &headers, Bytes::from(body), ATTEMPT_TIMEOUT)
            .await
    }

    /// Set up at the first report, so that an agent without jobs opens nothing.
    fn http(&self) -> Result<&HttpClient, NetError> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let http = HttpClient::new(&HttpOptions::default())?;
        Ok(self.http.get_or_init(|| http))
    }

    fn refused(&self, job: &JobStatus, origin: String, status: u16) -> Delivery {
        lock(&job.waiting).refused = true;
        if !job.to.named || status != 404 {
            lock(&self.unsupported).insert(origin.clone());
        }
        let first = lock(&self.warned).insert(origin);
        Delivery::Unsupported { first, status }
    }
}

enum Judgement {
    Stored,
    Unsupported(u16),
    Refused(String),
    Again(String, Option<u64>),
}

/// What an answer means for a report. A redirect is never followed: the bearer is for this address alone.
fn judge(answer: &Result<Answer, NetError>) -> Judgement {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if error.retryable() => return Judgement::Again(error.to_string(), None),
        Err(error) => return Judgement::Refused(error.to_string()),
    };
    let status = answer.status;
    match status {
        200..=299 => Judgement::Stored,
        404 | 405 | 501 => Judgement::Unsupported(status),
        408 | 425 | 429 | 500..=599 => {
            let asked = answer.retry_after.as_deref();
            let now = SystemClock.now_ms();
            Judgement::Again(
                format!("status {status}"),
                asked.and_then(|value| parse_retry_after(value, now)),
            )
        }
        409 => Judgement::Refused("the dispatcher has another result for this job".to_owned()),
        _ => Judgement::Refused(format!("status {status}")),
    }
}

fn gave_up(reason: impl Into<String>) -> Delivery {
    Delivery::GaveUp {
        reason: reason.into(),
    }
}

/// From 0 to 1. Without randomness the waits are merely not spread.
fn random() -> f64 {
    getrandom::u32().map_or(1.0, |value| f64::from(value) / f64::from(u32::MAX))
}
