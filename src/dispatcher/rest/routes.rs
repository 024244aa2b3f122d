//! The status endpoint's routes (docs/webhook-protocol.md §4), health and readiness.
//!
//! Decides the answer to each request. It refuses in this order: too many, not allowed (the same bytes as an unknown
//! job), too often, not JSON, too large, not of this form. A status is answered after it is written, never before.

use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{to_bytes, Body};
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{json, Value};
use tokio::sync::{oneshot, Semaphore};
use tokio::time::{timeout, Instant};

use crate::clock::{Clock, SystemClock};
use crate::dispatcher::machine::{Record, Reporter, StatusAnswer, StatusRule, StatusView};
use crate::dispatcher::rest::auth::Presented;
use crate::dispatcher::shared::{JobEntry, Message, Shared};
use crate::id::JobId;
use crate::words::JobStatus;

/// The largest body: a status and 1 KiB of error, with room for escapes.
const MAX_BODY_BYTES: usize = 16 * 1024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How many requests are worked on at a time.
const MAX_REQUESTS: usize = 256;
/// How long an ended job's bearer still opens its status.
const BEARER_AFTER_END_MS: i64 = 600_000;

/// What the routes share.
#[derive(Clone)]
pub struct App {
    shared: Arc<Shared>,
    slots: Arc<Semaphore>,
    started: Instant,
}

pub fn router(shared: Arc<Shared>) -> Router {
    let app = App {
        shared,
        slots: Arc::new(Semaphore::new(MAX_REQUESTS)),
        started: Instant::now(),
    };
    Router::new()
        .route("/api/agents/jobs/{job_id}/status", get(read).post(report))
        .route("/health", get(health))
        .route("/ready", get(ready))
        .fallback(|| async { not_found() })
        .with_state(app)
}

fn answer(status: StatusCode, body: Value) -> Response {
    (status, Json(body)).into_response()
}

fn not_found() -> Response {
    answer(StatusCode::NOT_FOUND, json!({ "error": "not found" }))
}

fn bad(message: impl Into<String>) -> Response {
    answer(StatusCode::BAD_REQUEST, json!({ "error": message.into() }))
}

fn later(status: StatusCode, seconds: u64, message: &str) -> Response {
    let headers = [(RETRY_AFTER, seconds.to_string())];
    (status, headers, Json(json!({ "error": message }))).into_response()
}

fn unavailable() -> Response {
    later(
        StatusCode::SERVICE_UNAVAILABLE,
        1,
        "the status could not be stored; try again",
    )
}

fn stored(status: StatusCode, job_id: &str, view: &StatusView) -> Response {
    let mut body = json!({
        "job_id": job_id,
        "status": view.status.as_str(),
        "updated_at": view.updated_at,
    });
    if let Some(error) = &view.error {
        body["error"] = json!(error);
    }
    answer(status, body)
}

/// A job that the request may see.
enum Job {
    Live(Arc<JobEntry>, Reporter),
    Ended(Box<Record>, Reporter),
}

impl App {
    /// The job, if the request may see it. Everything else is "not found".
    async fn open(&self, job_id: &JobId, headers: &HeaderMap) -> Result<Job, Response> {
        let presented = Presented::from(headers).ok_or_else(not_found)?;
        let livekit = &self.shared.livekit;
        if let Some(entry) = self.shared.job(job_id) {
            let bearers = entry.written.lock().bearers.clone();
            let reporter = presented.opens(livekit, &bearers, &entry.room.0);
            return reporter
                .map(|reporter| Job::Live(entry, reporter))
                .ok_or_else(not_found);
        }
        let found = self
            .shared
            .store
            .find(job_id.clone())
            .await
            .map_err(|_| unavailable())?;
        let record = found.ok_or_else(not_found)?;
        let fresh =
            (record.ended_at).is_some_and(|at| at + BEARER_AFTER_END_MS > SystemClock.now_ms());
        let bearers = if fresh { &*record.bearers } else { &[] };
        let reporter = presented.opens(livekit, bearers, &record.job.room.name.0);
        reporter
            .map(|reporter| Job::Ended(Box::new(record), reporter))
            .ok_or_else(not_found)
    }

    async fn report_live(
        &self,
        entry: &JobEntry,
        reporter: Reporter,
        job_id: &str,
        status: JobStatus,
        error: Option<String>,
    ) -> Option<Response> {
        let (reply, answer) = oneshot::channel();
        let message = Message::Status {
            reporter,
            status,
            error,
            reply,
        };
        match entry.inbox.try_send(message) {
            Ok(()) => {}
            Err(tokio::sync::mpsc::error::TrySendError::Full(_)) => return Some(unavailable()),
            Err(tokio::sync::mpsc::error::TrySendError::Closed(_)) => return None,
        }
        // No answer: the job ended between the look-up and the message.
        Some(match answer.await.ok()? {
            StatusAnswer::Stored(view) => stored(StatusCode::OK, job_id, &view),
            StatusAnswer::Conflict(view) => conflict(job_id, &view),
            StatusAnswer::Unavailable => unavailable(),
        })
    }

    /// Every worker socket is registered, jobs are taken, and the store takes records.
    fn not_ready(&self) -> Option<&'static str> {
        if !self.shared.open.load(Ordering::Acquire) {
            Some("no jobs are taken: the dispatcher starts or drains")
        } else if !self
            .shared
            .workers()
            .iter()
            .all(|worker| worker.is_registered())
        {
            Some("not every worker socket is registered with LiveKit")
        } else if !self.shared.store_works.load(Ordering::Acquire) {
            Some("the store does not take records")
        } else {
            None
        }
    }
}

fn conflict(job_id: &str, view: &StatusView) -> Response {
    stored(StatusCode::CONFLICT, job_id, view)
}

async fn read(State(app): State<App>, Path(job_id): Path<String>, headers: HeaderMap) -> Response {
    let Ok(_slot) = app.slots.try_acquire() else {
        return later(StatusCode::TOO_MANY_REQUESTS, 1, "too many requests");
    };
    match app.open(&JobId(job_id.clone()), &headers).await {
        Ok(Job::Live(entry, _)) => {
            if let Some(response) = too_often(&entry) {
                return response;
            }
            let written = entry.written.lock();
            stored(StatusCode::OK, &job_id, &written.view)
        }
        Ok(Job::Ended(record, _)) => stored(StatusCode::OK, &job_id, &StatusView::from(&*record)),
        Err(response) => response,
    }
}

async fn report(
    State(app): State<App>,
    Path(job_id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Ok(_slot) = app.slots.try_acquire() else {
        return later(StatusCode::TOO_MANY_REQUESTS, 1, "too many requests");
    };
    let id = JobId(job_id.clone());
    let mut job = match app.open(&id, &headers).await {
        Ok(job) => job,
        Err(response) => return response,
    };
    if let Job::Live(entry, _) = &job {
        if let Some(response) = too_often(entry) {
            return response;
        }
    }
    let (status, error) = match read_body(&headers, body).await {
        Ok(report) => report,
        Err(response) => return response,
    };
    if let Job::Live(entry, reporter) = &job {
        if let Some(response) = app
            .report_live(entry, *reporter, &job_id, status, error)
            .await
        {
            return response;
        }
        job = match app.open(&id, &headers).await {
            Ok(job) => job,
            Err(response) => return response,
        };
    }
    let Job::Ended(record, reporter) = job else {
        return unavailable();
    };
    let view = StatusView::from(&*record);
    match record.judge(reporter, status) {
        StatusRule::Repeat => stored(StatusCode::OK, &job_id, &view),
        StatusRule::Apply | StatusRule::Conflict => conflict(&job_id, &view),
    }
}

fn too_often(entry: &JobEntry) -> Option<Response> {
    let mut bucket = entry.bucket.lock();
    let seconds = bucket.take(Instant::now()).err()?;
    Some(later(
        StatusCode::TOO_MANY_REQUESTS,
        seconds,
        "too many requests for this job",
    ))
}

async fn read_body(
    headers: &HeaderMap,
    body: Body,
) -> Result<(JobStatus, Option<String>), Response> {
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        let body = json!({ "error": "expected Content-Type: application/json" });
        return Err(answer(StatusCode::UNSUPPORTED_MEDIA_TYPE, body));
    }
    let too_large = || {
        answer(
            StatusCode::PAYLOAD_TOO_LARGE,
            json!({ "error": "expected at most 16 KiB" }),
        )
    };
    let bytes = match timeout(BODY_TIMEOUT, to_bytes(body, MAX_BODY_BYTES)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => return Err(too_large()),
        Err(_) => {
            let body = json!({ "error": "the body did not arrive in time" });
            return Err(answer(StatusCode::REQUEST_TIMEOUT, body));
        }
    };
    parse(&bytes).map_err(bad)
}

fn parse(bytes: &[u8]) -> Result<(JobStatus, Option<String>), String> {
    let body: Value =
        serde_json::from_slice(bytes).map_err(|_| "the body is not JSON".to_owned())?;
    let Some(body) = body.as_object() else {
        return Err("the body must be an object".to_owned());
    };
    if let Some(unknown) = body
        .keys()
        .find(|key| !["status", "error"].contains(&key.as_str()))
    {
        let shown: String = unknown
            .chars()
            .filter(|c| !c.is_control())
            .take(40)
            .collect();
        return Err(format!("{shown}: not a known field"));
    }
    const STATUSES: &str = "status: expected JS_RUNNING, JS_SUCCESS or JS_FAILED";
    let status = body.get("status").and_then(Value::as_str).ok_or(STATUSES)?;
    let status = JobStatus::parse(status)
        .filter(|status| *status != JobStatus::Pending)
        .ok_or(STATUSES)?;
    let error = match body.get("error") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()).filter(|text| !text.is_empty()),
        Some(_) => return Err("error: expected a text".to_owned()),
    };
    if error.is_some() && status != JobStatus::Failed {
        return Err("error: goes with JS_FAILED only".to_owned());
    }
    Ok((status, error))
}

async fn health(State(app): State<App>) -> Response {
    answer(
        StatusCode::OK,
        json!({
            "status": "healthy",
            "timestamp": SystemClock.now_ms() / 1_000,
            "version": env!("CARGO_PKG_VERSION"),
            "uptime": app.started.elapsed().as_secs(),
            "activeJobs": app.shared.active(),
            "maxJobs": app.shared.max_jobs,
            "declinedOffers": app.shared.declined.load(Ordering::Relaxed),
        }),
    )
}

async fn ready(State(app): State<App>) -> Response {
    match app.not_ready() {
        None => answer(StatusCode::OK, json!({ "ready": true })),
        Some(reason) => answer(
            StatusCode::SERVICE_UNAVAILABLE,
            json!({ "ready": false, "reason": reason }),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_of_exactly_the_documented_form() {
        let ok = |text: &str| parse(text.as_bytes()).unwrap();
        assert_eq!(ok(r#"{"status":"JS_RUNNING"}"#), (JobStatus::Running, None));
        assert_eq!(
            ok(r#"{"status":"JS_SUCCESS","error":null}"#),
            (JobStatus::Success, None)
        );
        assert_eq!(
            ok(r#"{"status":"JS_FAILED","error":"x"}"#),
            (JobStatus::Failed, Some("x".into()))
        );
        for (text, field) in [
            ("", "not JSON"),
            ("[]", "object"),
            ("{}", "status:"),
            (r#"{"status":"JS_PENDING"}"#, "status:"),
            (r#"{"status":"running"}"#, "status:"),
            (r#"{"status":1}"#, "status:"),
            (r#"{"status":"JS_FAILED","error":1}"#, "error:"),
            (r#"{"status":"JS_RUNNING","error":"x"}"#, "error:"),
            (r#"{"status":"JS_RUNNING","state":"x"}"#, "state:"),
        ] {
            assert!(
                parse(text.as_bytes()).unwrap_err().contains(field),
                "{text}"
            );
        }
    }
}
