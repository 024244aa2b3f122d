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
use crate::dispatcher::machine::{Reporter, Say, StatusAnswer, StatusRule, StatusView};
use crate::dispatcher::rest::auth::Presented;
use crate::dispatcher::shared::{JobEntry, Message, Shared, Written};
use crate::id::{JobId, Pii};
use crate::words::JobStatus;

/// The largest body. What is kept of an error is 1 KiB; an agent that sends a whole stack must not lose its status for it.
const MAX_BODY_BYTES: usize = 512 * 1024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How many requests are worked on at a time.
const MAX_REQUESTS: usize = 256;

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
    Ended(StatusView, Say, Reporter),
}

impl App {
    /// The job, if the request may see it. Everything else is "not found". Only a LiveKit token that is good for some room
    /// gets as far as the store: a stranger's requests are answered from memory and never wait in the writer's queue.
    async fn open(&self, job_id: &JobId, headers: &HeaderMap) -> Result<Job, Response> {
        let shared = &self.shared;
        if !shared.restored.load(Ordering::Acquire) {
            return Err(later(StatusCode::SERVICE_UNAVAILABLE, 1, "starting"));
        }
        let presented = Presented::from(headers).ok_or_else(not_found)?;
        let opens = |written: &Written, room: &Pii<String>| {
            presented.opens(&shared.livekit, &written.bearers, &room.0)
        };
        if let Some(entry) = shared.job(job_id) {
            let reporter = opens(&entry.written.lock(), &entry.room);
            let reporter = reporter.ok_or_else(not_found)?;
            return Ok(Job::Live(entry, reporter));
        }
        if let Some(ended) = shared.ended.find(job_id, SystemClock.now_ms()) {
            let reporter = opens(&ended.written, &ended.room).ok_or_else(not_found)?;
            return Ok(Job::Ended(
                ended.written.view.clone(),
                ended.written.say,
                reporter,
            ));
        }
        let room = presented.admin_of(&shared.livekit).ok_or_else(not_found)?;
        let found = shared.store.find(job_id.clone()).await;
        match found.map_err(|_| unavailable())? {
            Some(record) if record.job.room.name.0 == room => Ok(Job::Ended(
                StatusView::from(&record),
                record.say(),
                Reporter::RoomAdmin,
            )),
            _ => Err(not_found()),
        }
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
        Ok(Job::Ended(view, ..)) => stored(StatusCode::OK, &job_id, &view),
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
    let Job::Ended(view, say, reporter) = job else {
        return unavailable();
    };
    match say.judge(reporter, status) {
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
            json!({ "error": "expected at most 512 KiB" }),
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
    use crate::dispatcher::config::{LiveKit, StorePath};
    use crate::dispatcher::job::hash_bearer;
    use crate::dispatcher::machine::Bearer;
    use crate::dispatcher::shared::{EndedJob, Parts};
    use crate::dispatcher::store::Store;
    use crate::id::Secret;
    use crate::net::http::{HttpClient, HttpOptions};
    use axum::http::header::AUTHORIZATION;
    use axum::http::HeaderValue;
    use livekit_token::{AccessToken, VideoGrants};
    use std::collections::BTreeMap;

    const API_SECRET: &str = "a-secret-of-at-least-thirty-two-bytes";

    /// Routes over a store that answers nothing any more, so that whatever needs it is told from what does not.
    async fn without_a_store() -> App {
        let (store, _thread) = Store::open(&StorePath::Memory).unwrap();
        store.close().await;
        let shared = Shared::new(Parts {
            livekit: LiveKit {
                url: "ws://127.0.0.1:1".into(),
                api_key: "key".into(),
                api_secret: Secret::new(API_SECRET.into()),
                public_url: None,
            },
            agents: BTreeMap::new(),
            status_base: "http://127.0.0.1:1".into(),
            max_jobs: 1,
            store,
            http: HttpClient::new(&HttpOptions::default()).unwrap(),
        });
        App {
            shared: Arc::new(shared),
            slots: Arc::new(Semaphore::new(1)),
            started: Instant::now(),
        }
    }

    async fn answered(app: &App, job_id: &str, bearer: &str) -> u16 {
        let mut headers = HeaderMap::new();
        let line = HeaderValue::from_str(&format!("Bearer {bearer}")).unwrap();
        headers.insert(AUTHORIZATION, line);
        match app.open(&JobId(job_id.into()), &headers).await {
            Ok(_) => 200,
            Err(response) => response.status().as_u16(),
        }
    }

    fn ended(at: i64) -> EndedJob {
        EndedJob {
            room: Pii("r".into()),
            written: Written {
                bearers: vec![Bearer {
                    delivery: 1,
                    hash: hash_bearer("bearer"),
                }],
                say: Say {
                    status: JobStatus::Success,
                    delivery: Some(1),
                    cancelled: false,
                },
                view: StatusView {
                    status: JobStatus::Success,
                    error: None,
                    updated_at: at,
                },
            },
            at,
        }
    }

    #[tokio::test]
    async fn f_d18_a_stranger_is_answered_without_the_store_and_an_ended_jobs_agent_too() {
        let app = without_a_store().await;
        assert_eq!(answered(&app, "AJ_1", "bearer").await, 503, "starting");
        app.shared.restored.store(true, Ordering::Release);
        let now = SystemClock.now_ms();
        app.shared
            .ended
            .add(JobId("AJ_0".into()), ended(now - 600_001));
        app.shared.ended.add(JobId("AJ_1".into()), ended(now));
        assert_eq!(answered(&app, "AJ_1", "bearer").await, 200);
        for (job_id, bearer) in [
            ("AJ_1", "other"),
            ("AJ_2", "bearer"),
            ("AJ_0", "bearer"),
            ("AJ_2", "a.b.c"),
        ] {
            assert_eq!(
                answered(&app, job_id, bearer).await,
                404,
                "{job_id} {bearer}"
            );
        }
        let admin = AccessToken::with_api_key("key", API_SECRET)
            .with_ttl(Duration::from_secs(60))
            .with_grants(VideoGrants {
                room_admin: true,
                room: "r".into(),
                ..Default::default()
            })
            .to_jwt()
            .unwrap();
        // This one is not a stranger, and its answer needs the store, which is closed.
        assert_eq!(answered(&app, "AJ_2", &admin).await, 503);
    }

    #[test]
    fn ended_jobs_are_forgotten_with_time_and_beyond_a_number() {
        let jobs = crate::dispatcher::shared::EndedJobs::default();
        let count = crate::dispatcher::shared::ENDED_JOBS;
        for number in 0..=count {
            jobs.add(JobId(format!("AJ_{number}")), ended(1));
        }
        let known = |number: usize| jobs.find(&JobId(format!("AJ_{number}")), 2).is_some();
        assert!(!known(0) && known(1) && known(count));
        jobs.add(JobId("AJ_late".into()), ended(700_000));
        assert!(!known(count));
    }

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
