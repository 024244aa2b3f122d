//! The status endpoint over real sockets.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bench::{http, Bench};
use crate::receiver::Receiver;

const JSON: &str = "content-type: application/json\r\n";

/// A bench with one job, its id and its bearer.
async fn with_job() -> (Bench, String, String) {
    let mut agent = Receiver::start([]).await;
    let mut bench = Bench::start(&[&agent], json!({})).await;
    bench.dispatch("r1").await;
    let request = agent.next().await;
    bench.event("delivered").await;
    (
        bench,
        request.text("job_id").to_owned(),
        request.text("status_token").to_owned(),
    )
}

fn path(job_id: &str) -> String {
    format!("/api/agents/jobs/{job_id}/status")
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

#[tokio::test]
async fn a_status_is_stored_repeated_read_and_never_contradicted() {
    let (bench, job_id, token) = with_job().await;
    let address = bench.dispatcher.address();
    let read = || async { http(address, "GET", &path(&job_id), &bearer(&token), b"").await };
    assert_eq!(read().await.json()["status"], "JS_PENDING");
    for _ in 0..2 {
        let answer = bench
            .status(&job_id, &token, json!({ "status": "JS_RUNNING" }))
            .await;
        assert_eq!((answer.status, answer.json()), (200, read().await.json()));
    }
    // F-D10: an agent that sends a whole stack does not lose its status for it.
    let long = "\"".repeat(100_000);
    let failed = bench
        .status(
            &job_id,
            &token,
            json!({ "status": "JS_FAILED", "error": long }),
        )
        .await;
    assert_eq!(failed.json()["error"].as_str().unwrap().len(), 1_024);
    assert_eq!(failed.json()["job_id"], job_id.as_str());
    // The job is over now; its status is still there for a while.
    assert_eq!(read().await.json(), failed.json());
    let again = bench
        .status(&job_id, &token, json!({ "status": "JS_FAILED" }))
        .await;
    assert_eq!((again.status, again.json()), (200, failed.json()));
    for other in ["JS_RUNNING", "JS_SUCCESS"] {
        let conflict = bench
            .status(&job_id, &token, json!({ "status": other }))
            .await;
        assert_eq!((conflict.status, conflict.json()), (409, failed.json()));
    }
}

#[tokio::test]
async fn an_unknown_job_and_a_wrong_token_get_the_same_bytes() {
    let (bench, job_id, token) = with_job().await;
    let address = bench.dispatcher.address();
    for method in ["GET", "POST"] {
        let unknown = http(
            address,
            method,
            &path("AJ_unknown"),
            &(bearer(&token) + JSON),
            b"{}",
        )
        .await;
        assert_eq!(unknown.status, 404);
        for head in [
            bearer("wrong"),
            bearer(""),
            bearer(&bench.server.api_token("r2")),
            bearer(&token) + &bearer(&token),
            String::new(),
        ] {
            let wrong = http(address, method, &path(&job_id), &(head + JSON), b"{}").await;
            assert_eq!(wrong, unknown);
        }
    }
    let elsewhere = http(address, "GET", "/api", "", b"").await;
    assert_eq!(elsewhere.status, 404);
}

#[tokio::test]
async fn a_livekit_token_with_room_admin_opens_the_jobs_of_its_room() {
    let (bench, job_id, _) = with_job().await;
    let admin = bench.server.api_token("r1");
    let answer = bench
        .status(&job_id, &admin, json!({ "status": "JS_RUNNING" }))
        .await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn what_is_not_of_the_documented_form_is_refused_with_its_own_status() {
    let (bench, job_id, token) = with_job().await;
    let address = bench.dispatcher.address();
    let post = |head: String, body: Vec<u8>| {
        let path = path(&job_id);
        async move { http(address, "POST", &path, &head, &body).await }
    };
    let head = bearer(&token) + JSON;
    for (body, field) in [
        ("{", "JSON"),
        ("{\"status\":\"JS_PENDING\"}", "status"),
        ("{\"status\":\"JS_FAILED\",\"error\":1}", "error"),
    ] {
        let answer = post(head.clone(), body.into()).await;
        assert_eq!(answer.status, 400);
        assert!(
            answer.json()["error"].as_str().unwrap().contains(field),
            "{answer:?}"
        );
    }
    assert_eq!(
        post(
            bearer(&token) + "content-type: text/plain\r\n",
            b"{}".to_vec()
        )
        .await
        .status,
        415
    );
    assert_eq!(post(head.clone(), vec![b' '; 513 * 1024]).await.status, 413);
    let put = http(address, "PUT", &path(&job_id), &head, b"{}").await;
    assert_eq!(put.status, 405);
    assert!(
        put.raw.to_lowercase().contains("allow: get,head,post"),
        "{}",
        put.raw
    );
}

#[tokio::test]
async fn a_job_that_reports_too_often_is_told_to_wait() {
    let (bench, job_id, token) = with_job().await;
    let report = || bench.status(&job_id, &token, json!({ "status": "JS_RUNNING" }));
    let mut refused = None;
    for _ in 0..40 {
        let answer = report().await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("a limit");
    assert!(
        refused.raw.to_lowercase().contains("retry-after: 1"),
        "{}",
        refused.raw
    );
}

#[tokio::test]
async fn health_is_about_the_process_and_readiness_about_livekit() {
    let (mut bench, _, _) = with_job().await;
    let address = bench.dispatcher.address();
    let health = http(address, "GET", "/health", "", b"").await.json();
    assert_eq!(
        (&health["status"], &health["activeJobs"]),
        (&json!("healthy"), &json!(1))
    );
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(http(address, "GET", "/ready", "", b"").await.status, 200);
    bench.server.kill();
    bench.event("disconnected").await;
    let ready = http(address, "GET", "/ready", "", b"").await;
    assert_eq!(ready.status, 503);
    assert!(
        ready.json()["reason"]
            .as_str()
            .unwrap()
            .contains("registered"),
        "{ready:?}"
    );
    assert_eq!(http(address, "GET", "/health", "", b"").await.status, 200);
    bench.server.launch();
    bench.event("registered").await;
    assert_eq!(http(address, "GET", "/ready", "", b"").await.status, 200);
}

#[tokio::test]
async fn f_d8_a_connection_without_a_request_is_closed_and_http_2_is_not_spoken() {
    let (bench, _, _) = with_job().await;
    let address = bench.dispatcher.address();
    let began = std::time::Instant::now();
    let sent: [&[u8]; 4] = [
        b"",
        b"P",
        b"GET /health HTTP/1.1\r\nx: ",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    ];
    let mut streams = Vec::new();
    for bytes in sent {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        streams.push(stream);
    }
    for (mut stream, sent) in streams.into_iter().zip(sent) {
        let mut rest = Vec::new();
        let cut = tokio::time::timeout(Duration::from_secs(9), stream.read_to_end(&mut rest)).await;
        assert!(
            cut.is_ok(),
            "{sent:?}: still open after {:?}",
            began.elapsed()
        );
        // An HTTP/2 server would greet with a settings frame.
        assert!(
            rest.is_empty() || rest.starts_with(b"HTTP/1.1 4"),
            "{rest:?}"
        );
    }
}
