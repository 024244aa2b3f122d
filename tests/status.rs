//! Reporting a job's status to a dispatcher that answers as it is told to, over real sockets.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::Router;
use roomhook::agent::status::{Delivery, Destination, JobStatus, Patience, StatusClient};
use roomhook::id::Secret;
use roomhook::job::{Outcome, Report};
use roomhook::retry::Schedule;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use url::Url;

type Seen = (String, String);

#[derive(Clone)]
struct Desk {
    answers: Arc<Mutex<VecDeque<u16>>>,
    seen: mpsc::UnboundedSender<Seen>,
}

async fn desk(answers: &[u16]) -> (Url, mpsc::UnboundedReceiver<Seen>) {
    let (seen, requests) = mpsc::unbounded_channel();
    let state = Desk {
        answers: Arc::new(Mutex::new(answers.iter().copied().collect())),
        seen,
    };
    let app = Router::new().route("/status", post(take)).with_state(state);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let url = Url::parse(&format!("http://127.0.0.1:{port}/status")).expect("a URL");
    (url, requests)
}

async fn take(
    State(desk): State<Desk>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, &'static str) {
    let bearer = headers["authorization"].to_str().expect("ASCII").to_owned();
    let _ = desk.seen.send((bearer, body));
    let next = desk.answers.lock().expect("whole").pop_front();
    let status = StatusCode::from_u16(next.unwrap_or(200)).expect("a status");
    (status, "{}")
}

fn job(url: &Url, named: bool) -> JobStatus {
    JobStatus::new(Destination {
        url: url.clone(),
        bearer: Secret::new("status-token".to_owned()),
        named,
        token_life_ms: 3_600_000,
    })
}

/// The protocol's patience, in much shorter waits.
const PATIENCE: Patience = Patience {
    running: Schedule {
        initial_ms: 1,
        max_ms: 2,
        ..Patience::PROTOCOL.running
    },
    ended: Schedule {
        initial_ms: 1,
        max_ms: 2,
        ..Patience::PROTOCOL.ended
    },
};

fn client() -> StatusClient {
    StatusClient::new(PATIENCE)
}

fn success() -> Report {
    Report::Ended(Outcome::Success)
}

async fn bodies(requests: &mut mpsc::UnboundedReceiver<Seen>, count: usize) -> Vec<String> {
    let mut bodies = Vec::new();
    for _ in 0..count {
        let (bearer, body) = requests.recv().await.expect("the desk is open");
        assert_eq!(bearer, "Bearer status-token");
        bodies.push(body);
    }
    assert!(requests.try_recv().is_err(), "more requests than expected");
    bodies
}

#[tokio::test]
async fn s1_14_a_desk_that_answers_503_twice_gets_the_status_once_more_and_in_order() {
    let (url, mut requests) = desk(&[503, 503, 200, 200]).await;
    let (client, job) = (client(), job(&url, true));
    job.push(Report::Running);
    assert_eq!(client.flush(&job).await, Delivery::Delivered);
    job.push(success());
    assert_eq!(client.flush(&job).await, Delivery::Delivered);
    assert_eq!(client.flush(&job).await, Delivery::Nothing);
    let running = r#"{"status":"JS_RUNNING"}"#;
    assert_eq!(
        bodies(&mut requests, 4).await,
        [running, running, running, r#"{"status":"JS_SUCCESS"}"#]
    );
}

#[tokio::test]
async fn a_terminal_status_takes_the_place_of_a_running_one_that_did_not_get_through() {
    let (url, mut requests) = desk(&[503]).await;
    let client = Arc::new(client());
    let job = Arc::new(job(&url, true));
    job.push(Report::Running);
    let first = tokio::spawn({
        let (client, job) = (client.clone(), job.clone());
        async move { client.flush(&job).await }
    });
    requests.recv().await.expect("the first attempt");
    job.push(Report::Ended(Outcome::Failed {
        error: "no answer".to_owned(),
    }));
    assert_eq!(client.flush(&job).await, Delivery::Nothing);
    assert_eq!(first.await.expect("no panic"), Delivery::Delivered);
    assert_eq!(
        bodies(&mut requests, 1).await,
        [r#"{"status":"JS_FAILED","error":"no answer"}"#]
    );
}

#[tokio::test]
async fn s1_14_an_address_of_our_own_making_without_a_desk_is_one_warning_and_no_failure() {
    let (url, mut requests) = desk(&[404, 404, 404]).await;
    let client = client();
    let (one, two) = (job(&url, false), job(&url, false));
    one.push(Report::Running);
    let unsupported = |first| Delivery::Unsupported { first, status: 404 };
    assert_eq!(client.flush(&one).await, unsupported(true));
    one.push(success());
    assert_eq!(client.flush(&one).await, unsupported(false));
    two.push(Report::Running);
    assert_eq!(client.flush(&two).await, unsupported(false));
    assert_eq!(bodies(&mut requests, 1).await.len(), 1);
}

#[tokio::test]
async fn f_d6_what_a_proxy_answers_at_the_dispatchers_own_url_is_temporary() {
    for status in [301, 400, 401, 403, 404, 405, 413, 429, 501, 503] {
        let (url, mut requests) = desk(&[status; 30]).await;
        let (client, job) = (client(), job(&url, true));
        job.push(success());
        assert_eq!(client.flush(&job).await, Delivery::Delivered, "{status}");
        bodies(&mut requests, 31).await;
    }
}

#[tokio::test]
async fn f_d6_a_refused_running_never_suppresses_the_end() {
    for (status, times) in [(400, 4), (403, 4), (404, 4), (409, 1), (410, 1)] {
        let (url, mut requests) = desk(&[status; 4][..times]).await;
        let running_gives_up = Patience {
            running: Schedule {
                max_attempts: 4,
                ..PATIENCE.running
            },
            ..PATIENCE
        };
        let (client, job) = (StatusClient::new(running_gives_up), job(&url, true));
        job.push(Report::Running);
        assert!(matches!(client.flush(&job).await, Delivery::GaveUp { .. }));
        while requests.try_recv().is_ok() {}
        job.push(success());
        assert_eq!(client.flush(&job).await, Delivery::Delivered, "{status}");
        assert_eq!(
            bodies(&mut requests, 1).await,
            [r#"{"status":"JS_SUCCESS"}"#]
        );
    }
}

#[tokio::test]
async fn f_d6_a_terminal_status_does_not_wait_for_the_running_that_is_being_tried() {
    let (url, mut requests) = desk(&[404]).await;
    let patient = Schedule {
        initial_ms: 3_600_000,
        max_ms: 3_600_000,
        ..PATIENCE.running
    };
    let client = Arc::new(StatusClient::new(Patience {
        running: Schedule {
            budget_ms: u64::MAX,
            ..patient
        },
        ..PATIENCE
    }));
    let job = Arc::new(job(&url, true));
    job.push(Report::Running);
    let first = tokio::spawn({
        let (client, job) = (client.clone(), job.clone());
        async move { client.flush(&job).await }
    });
    requests.recv().await.expect("the first attempt");
    job.push(success());
    assert_eq!(first.await.expect("no panic"), Delivery::Delivered);
    bodies(&mut requests, 1).await;
}

#[tokio::test]
async fn f_d6_a_terminal_status_is_tried_as_long_as_its_token_could_live_and_an_hour_at_most() {
    let ended = Patience::PROTOCOL.ended;
    assert_eq!(ended.budget_ms, 3_600_000);
    // 75 s of refusals were too much once.
    let waited: u64 = (1..)
        .map_while(|attempt| ended.next_wait(attempt, 0, None, None))
        .take(10)
        .sum();
    assert!(waited > 75_000, "{waited}");
    assert!(ended.next_wait(1_000, 3_500_000, None, None).is_some());
    assert!(ended.next_wait(1_000, 3_599_999, None, None).is_none());
}

#[tokio::test]
async fn only_409_and_410_are_final() {
    for status in [409, 410] {
        let (url, mut requests) = desk(&[status]).await;
        let (client, job) = (client(), job(&url, true));
        job.push(success());
        assert!(
            matches!(client.flush(&job).await, Delivery::GaveUp { .. }),
            "{status}"
        );
        bodies(&mut requests, 1).await;
    }
}

#[tokio::test]
async fn a_closing_agent_gives_up_what_cannot_get_through() {
    let (url, mut requests) = desk(&[503, 503, 503, 503, 503, 503]).await;
    let client = Arc::new(client());
    let job = Arc::new(job(&url, true));
    job.push(success());
    let flush = tokio::spawn({
        let (client, job) = (client.clone(), job.clone());
        async move { client.flush(&job).await }
    });
    requests.recv().await.expect("the first attempt");
    client.abandon();
    assert!(matches!(
        flush.await.expect("no panic"),
        Delivery::GaveUp { .. }
    ));
    assert_eq!(client.flush(&job).await, Delivery::Nothing);
}
