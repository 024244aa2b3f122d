//! Tells the dispatcher how a job fares: `POST {status_url}`, in order per job, tried again while that can help
//! (docs/webhook-protocol.md §4).
//!
//! It decides how long a report is tried and which answers end it. It refuses to let reporting fail a job: whatever
//! happens here ends as a [`Delivery`] to be logged.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::clock::{Clock, SystemClock};
use crate::id::Secret;
use crate::job::Report;
use crate::net::http::{Answer, HttpClient, HttpOptions, NetError};
use crate::retry::{parse_retry_after, Schedule};

const HOUR_MS: u64 = 3_600_000;
const MINUTE_MS: u64 = 60_000;

/// How long reports are tried.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For `JS_RUNNING`, which the terminal status makes needless.
    pub running: Schedule,
    /// For the terminal status, if the job's token lives that long.
    pub ended: Schedule,
}

impl Patience {
    /// Waits of about ½, 1, 2, 4, 8 … s; `JS_RUNNING` for a minute, the terminal status for an hour.
    pub const PROTOCOL: Patience = Patience {
        running: Schedule {
            initial_ms: 500,
            max_ms: 10_000,
            max_attempts: u32::MAX,
            budget_ms: MINUTE_MS,
        },
        ended: Schedule {
            initial_ms: 500,
            max_ms: 30_000,
            max_attempts: u32::MAX,
            budget_ms: HOUR_MS,
        },
    };
}

/// After so many attempts, about a minute, a warning says that a report is still on its way.
const SLOW_ATTEMPT: u32 = 8;

const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// What became of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// There was nothing to report.
    Nothing,
    /// The dispatcher has it.
    Delivered,
    /// Nobody takes reports at an address of our own making (404, 405, 501). Said once an origin: `first`.
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
#[derive(Debug)]
pub struct StatusClient {
    http: OnceLock<HttpClient>,
    patience: Patience,
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
    /// Whether the dispatcher named the URL. Reports are taken there, and any answer but 2xx, 409 and 410 may be a
    /// proxy's.
    pub named: bool,
    /// How long the job's token could live, which bounds how long a terminal status is tried. Milliseconds.
    pub token_life_ms: u64,
}

/// The reports of one job, latest last.
#[derive(Debug)]
pub struct JobStatus {
    to: Destination,
    next: Mutex<Option<Report>>,
    abandoned: AtomicBool,
    /// Rung when another report takes the place of the one that is being tried.
    replaced: Notify,
    /// One at a time, so that reports arrive in order.
    turn: tokio::sync::Mutex<()>,
}

impl JobStatus {
    /// A job with nothing to report yet.
    pub fn new(to: Destination) -> Self {
        JobStatus {
            to,
            next: Mutex::default(),
            abandoned: AtomicBool::new(false),
            replaced: Notify::new(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Puts a report in line. A terminal one takes the place of a `JS_RUNNING` that did not get through yet.
    pub fn push(&self, report: Report) {
        *self.next.lock() = Some(report);
        self.replaced.notify_waiters();
    }

    /// Whether nothing is in line any more.
    pub fn is_idle(&self) -> bool {
        self.next().is_none()
    }

    fn next(&self) -> Option<Report> {
        let next = self.next.lock().clone();
        next.filter(|_| !self.abandoned.load(Ordering::Acquire))
    }

    /// Takes a report out of the line unless another one took its place meanwhile.
    fn done(&self, report: &Report) {
        let mut next = self.next.lock();
        if next.as_ref() == Some(report) {
            *next = None;
        }
    }
}

impl StatusClient {
    /// A client that has not connected to anything.
    pub fn new(patience: Patience) -> Self {
        StatusClient {
            http: OnceLock::new(),
            patience,
            unsupported: Mutex::default(),
            abandoned: CancellationToken::new(),
        }
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
                job.abandoned.store(true, Ordering::Release);
                if left { gave_up("the agent closed before the report got through") } else { Delivery::Nothing }
            }
        }
    }

    /// Tries one report by the schedule. `None` = another report took its place.
    async fn deliver(&self, job: &JobStatus, report: &Report) -> Option<Delivery> {
        let schedule = self.schedule(job, report);
        let began = Instant::now();
        let mut attempt = 0;
        loop {
            if let Some(unsupported) = self.unsupported(job, None) {
                job.done(report);
                return Some(unsupported);
            }
            attempt += 1;
            let (reason, retry_after_ms) =
                match judge(&self.attempt(job, report).await, job.to.named) {
                    Judgement::Stored => {
                        job.done(report);
                        return Some(Delivery::Delivered);
                    }
                    Judgement::Unsupported(status) => {
                        job.done(report);
                        return self.unsupported(job, Some(status));
                    }
                    Judgement::Refused(reason) => {
                        job.done(report);
                        return Some(gave_up(reason));
                    }
                    Judgement::Again(reason, retry_after_ms) => (reason, retry_after_ms),
                };
            if attempt == SLOW_ATTEMPT && report.is_terminal() {
                tracing::warn!(
                    reason,
                    attempt,
                    "a job status does not get through; it is tried on"
                );
            }
            let replaced = job.replaced.notified();
            if job.next().as_ref() != Some(report) {
                return None;
            }
            let elapsed = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            let Some(wait) = schedule.next_wait(attempt, elapsed, retry_after_ms, Some(random()))
            else {
                job.done(report);
                return Some(gave_up(format!("{reason}, after {attempt} attempts")));
            };
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(wait)) => {}
                () = replaced => return None,
            }
        }
    }

    fn schedule(&self, job: &JobStatus, report: &Report) -> Schedule {
        if !report.is_terminal() {
            return self.patience.running;
        }
        let ended = self.patience.ended;
        Schedule {
            budget_ms: ended.budget_ms.min(job.to.token_life_ms.max(MINUTE_MS)),
            ..ended
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

    /// What is known, or learnt now by a status, of an address that the dispatcher did not name.
    fn unsupported(&self, job: &JobStatus, learnt: Option<u16>) -> Option<Delivery> {
        if job.to.named {
            return None;
        }
        let origin = job.to.url.origin().ascii_serialization();
        let mut unsupported = self.unsupported.lock();
        let first = match learnt {
            Some(_) => unsupported.insert(origin),
            None if unsupported.contains(&origin) => false,
            None => return None,
        };
        let status = learnt.unwrap_or(404);
        Some(Delivery::Unsupported { first, status })
    }
}

enum Judgement {
    Stored,
    Unsupported(u16),
    Refused(String),
    Again(String, Option<u64>),
}

/// What an answer means for a report. A redirect is never followed: the bearer is for this address alone.
fn judge(answer: &Result<Answer, NetError>, named: bool) -> Judgement {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if error.retryable() => return Judgement::Again(error.to_string(), None),
        Err(error) => return Judgement::Refused(error.to_string()),
    };
    let status = answer.status;
    match status {
        200..=299 => Judgement::Stored,
        409 => Judgement::Refused("the dispatcher has another result for this job".to_owned()),
        410 => Judgement::Refused("the dispatcher takes no reports of this job".to_owned()),
        404 | 405 | 501 if !named => Judgement::Unsupported(status),
        _ if named || matches!(status, 408 | 425 | 429 | 500..) => {
            let asked = answer.retry_after.as_deref();
            let now = SystemClock.now_ms();
            Judgement::Again(
                format!("status {status}"),
                asked.and_then(|value| parse_retry_after(value, now)),
            )
        }
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
