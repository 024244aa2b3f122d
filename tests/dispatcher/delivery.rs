//! From LiveKit's dispatch to the agent's POST, along every row of the protocol's table of answers.

use std::time::Duration;

use futures_util::future::join_all;
use roomhook::net::ws;
use roomhook::net::ws::{WsOptions, WsReceiver, WsSender};
use roomhook::webhook::Event;
use serde_json::json;

use crate::bench::{Bench, AGENT};
use crate::receiver::{Receiver, Reply, Request};
use crate::support::{free_tcp_port, LiveKitServer};

/// What LiveKit says about a job's end is only in its log.
async fn livekit_logs(bench: &Bench, text: &str) {
    for _ in 0..250 {
        if bench.server.log().contains(text) {
            return;
        }
        // Polling another process's file; there is no event to wait for.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("LiveKit did not log {text}");
}

#[tokio::test]
async fn a_dispatch_becomes_a_signed_webhook_and_the_statuses_go_back_to_livekit() {
    let mut agent = Receiver::start([]).await;
    let mut bench = Bench::start(&[&agent], json!({})).await;
    let dispatch_id = bench.dispatch("r1").await;
    let request = agent.next().await;
    let job = request.verified();
    assert_eq!(
        (job.event, job.dispatch_id.as_str()),
        (Event::Job, &*dispatch_id)
    );
    assert_eq!(
        (request.path.as_str(), request.text("agent_name")),
        ("/hook", AGENT)
    );
    assert_eq!(request.text("metadata"), "{\"k\":1}");
    assert_eq!(request.body["room"]["name"], "r1");
    assert_eq!(
        request.text("participant_identity"),
        format!("agent-{}", request.text("job_id"))
    );
    assert_eq!(
        request.text("server_url"),
        bench.server.url().as_str().trim_end_matches('/')
    );
    assert_eq!(
        request.header("user-agent"),
        concat!("roomhook/", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(
        request.header("webhook-timestamp"),
        request.header("x-livekit-timestamp")
    );
    assert!(!String::from_utf8_lossy(&request.bytes).contains("turn_password"));
    bench.event("delivered").await;
    assert_eq!(
        bench.kinds(),
        [
            "registered",
            "jobOffered",
            "jobAssigned",
            "attemptStarted",
            "delivered"
        ]
    );

    let (job_id, bearer) = (request.text("job_id"), request.text("status_token"));
    let status_url = format!(
        "{}/api/agents/jobs/{job_id}/status",
        bench.dispatcher.status_url()
    );
    assert_eq!(request.text("status_url"), status_url);
    let running = bench
        .status(job_id, bearer, json!({ "status": "JS_RUNNING" }))
        .await;
    assert_eq!(
        (running.status, &running.json()["status"]),
        (200, &json!("JS_RUNNING"))
    );
    bench.event("jobRunning").await;
    let success = bench
        .status(job_id, bearer, json!({ "status": "JS_SUCCESS" }))
        .await;
    assert_eq!(success.status, 200);
    assert_eq!(bench.event("jobEnded").await["status"], "success");
    livekit_logs(&bench, "\"status\": \"JS_SUCCESS\"").await;
    bench.dispatcher.close().await;
}

#[tokio::test]
async fn a_rejection_goes_to_the_next_endpoint_and_the_last_one_fails_the_job() {
    let (mut first, mut second) = (
        Receiver::start([Reply::Reject("busy")]).await,
        Receiver::start([]).await,
    );
    let mut bench = Bench::start(&[&first, &second], json!({})).await;
    bench.dispatch("r1").await;
    let (a, b) = (first.next().await, second.next().await);
    assert_eq!(a.text("access_token"), b.text("access_token"));
    assert_ne!(a.text("status_token"), b.text("status_token"));
    assert_ne!(a.header("webhook-id"), b.header("webhook-id"));
    assert_eq!(bench.event("rejected").await["reason"], "busy");
    bench.event("delivered").await;

    first.program([Reply::Reject("busy")]);
    second.program([Reply::Reject("full")]);
    bench.dispatch("r2").await;
    let ended = bench.event("jobEnded").await;
    assert_eq!(
        (&ended["status"], &ended["error"]),
        (
            &json!("failed"),
            &json!("endpoint 2 rejected the job: full")
        )
    );
    livekit_logs(&bench, "endpoint 2 rejected the job: full").await;
}

#[tokio::test]
async fn s1_22_an_overloaded_endpoint_is_asked_again_with_the_whole_body_and_a_fresh_signature() {
    let mut agent = Receiver::start([Reply::Status(503), Reply::Status(500)]).await;
    let mut bench = Bench::start(&[&agent], json!({})).await;
    bench.dispatch("r1").await;
    let requests = [agent.next().await, agent.next().await, agent.next().await];
    for (index, request) in requests.iter().enumerate() {
        request.verified();
        assert_eq!(request.body["attempt"], index + 1);
        assert_eq!(
            request.header("webhook-id"),
            requests[0].header("webhook-id")
        );
        assert_eq!(
            request.text("access_token"),
            requests[0].text("access_token")
        );
    }
    assert!(requests[1].at - requests[0].at >= Duration::from_millis(20));
    assert!(requests[2].at - requests[1].at >= Duration::from_millis(40));
    let delivered = bench.event("delivered").await;
    assert_eq!(delivered["attempt"], 3);
    assert!(agent.is_quiet());
}

#[tokio::test]
async fn s1_22_no_retries_means_one_attempt() {
    let mut agent = Receiver::start([Reply::Status(503)]).await;
    let mut bench = Bench::start(&[&agent], json!({ "retry": { "maxRetries": 0 } })).await;
    bench.dispatch("r1").await;
    assert_eq!(bench.event("deliveryExhausted").await["attempts"], 1);
    assert_eq!(bench.event("jobEnded").await["status"], "failed");
    agent.next().await;
    assert!(agent.is_quiet());
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let mut agent = Receiver::start([Reply::RetryAfter(429, "1")]).await;
    let mut bench = Bench::start(&[&agent], json!({})).await;
    bench.dispatch("r1").await;
    let (first, second) = (agent.next().await, agent.next().await);
    assert!(second.at - first.at >= Duration::from_secs(1));
    assert_eq!(bench.event("attemptFailed").await["retryInMs"], 1_000);
}

#[tokio::test]
async fn s1_22_other_4xx_are_not_repeated_and_410_is_never_asked_again() {
    for (status, asked_again) in [(404, true), (410, false)] {
        let (mut first, mut second) = (
            Receiver::start([Reply::Status(status)]).await,
            Receiver::start([]).await,
        );
        let mut bench = Bench::start(&[&first, &second], json!({})).await;
        bench.dispatch("r1").await;
        first.next().await;
        second.next().await;
        bench.event("delivered").await;
        assert_eq!(
            bench.kinds().contains(&"endpointDisabled"),
            !asked_again,
            "{status}"
        );
        bench.dispatch("r2").await;
        bench.event("delivered").await;
        assert_eq!(first.is_quiet(), !asked_again, "{status}");
        bench.dispatcher.close().await;
    }
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_not_followed() {
    let mut elsewhere = Receiver::start([]).await;
    let agent = Receiver::start([Reply::Redirect(elsewhere.url())]).await;
    let mut bench = Bench::start(&[&agent], json!({})).await;
    bench.dispatch("r1").await;
    let ended = bench.event("jobEnded").await;
    assert!(
        ended["error"].as_str().unwrap().contains("redirect"),
        "{ended}"
    );
    assert!(elsewhere.is_quiet());
}

#[tokio::test]
async fn an_endpoint_that_hangs_is_given_up_and_told_so_before_the_next_one_is_asked() {
    let (mut first, mut second) = (
        Receiver::start([Reply::Hang]).await,
        Receiver::start([]).await,
    );
    let more = json!({ "retry": { "maxRetries": 0 }, "agents": [{ "endpoints": [{ "timeoutMs": 100 }] }] });
    let mut bench = Bench::start(&[&first, &second], more).await;
    bench.dispatch("r1").await;
    let hung = first.next().await;
    assert_eq!(hung.body["deadline_ms"], 100);
    second.next().await;
    let farewell = first.next().await;
    assert_eq!(farewell.verified().event, Event::Terminated);
    assert_eq!(farewell.text("reason"), "cancelled");
    let exhausted = bench.event("deliveryExhausted").await;
    assert_eq!(exhausted["reason"], "no complete answer within 100 ms");
}

#[tokio::test]
async fn f_d7_what_is_no_answer_is_asked_for_again_and_an_empty_one_is_a_yes() {
    let mut agent = Receiver::start([Reply::Text("<html>thanks</html>"), Reply::Text("")]).await;
    let mut bench = Bench::start(&[&agent], json!({})).await;
    bench.dispatch("r1").await;
    let (first, second) = (agent.next().await, agent.next().await);
    assert_eq!(
        (&first.body["attempt"], &second.body["attempt"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(bench.event("delivered").await["parsed"], false);
}

#[tokio::test]
async fn f_d7_an_answer_that_says_no_in_its_own_way_goes_to_the_next_endpoint() {
    let no = r#"{"accepted":false,"error":{"code":"busy"},"retry":true}"#;
    let (first, mut second) = (
        Receiver::start([Reply::Text(no)]).await,
        Receiver::start([]).await,
    );
    let mut bench = Bench::start(&[&first, &second], json!({})).await;
    bench.dispatch("r1").await;
    assert_eq!(bench.event("rejected").await["reason"], "busy");
    second.next().await;
}

/// Joins as far as signalling goes, with the token that the agent was sent; leaves when dropped.
async fn join(bench: &Bench, request: &Request) -> (WsSender, WsReceiver) {
    let mut url = bench.server.url().join("/rtc").unwrap();
    url.query_pairs_mut()
        .append_pair("access_token", request.text("access_token"))
        .append_pair("protocol", "15");
    ws::connect(&url, &[], &WsOptions::default())
        .await
        .expect("LiveKit lets it in")
}

#[tokio::test]
async fn f_d3_an_agent_that_is_given_up_leaves_the_room_and_ends_nobody_elses_job() {
    let (mut first, mut second) = (
        Receiver::start([Reply::Hang]).await,
        Receiver::start([]).await,
    );
    let more = json!({ "retry": { "maxRetries": 0 }, "agents": [{ "endpoints": [{ "timeoutMs": 500 }] }] });
    let mut bench = Bench::start(&[&first, &second], more).await;
    bench.dispatch("r1").await;
    let a = first.next().await;
    let (_sender, mut room) = join(&bench, &a).await;
    let b = second.next().await;
    // LiveKit hangs up on who is removed.
    while room.next().await.is_ok() {}
    assert!(bench.server.list_participants("r1").await.is_empty());
    assert_eq!(first.next().await.text("reason"), "cancelled");
    assert_ne!(a.text("status_token"), b.text("status_token"));
    let job_id = a.text("job_id");
    for status in ["JS_RUNNING", "JS_SUCCESS", "JS_FAILED"] {
        let late = bench
            .status(job_id, a.text("status_token"), json!({ "status": status }))
            .await;
        assert_eq!(late.status, 409, "{status}");
    }
    let (_sender, _room) = join(&bench, &b).await;
    for status in ["JS_RUNNING", "JS_SUCCESS"] {
        let heard = bench
            .status(job_id, b.text("status_token"), json!({ "status": status }))
            .await;
        assert_eq!(heard.status, 200, "{status}");
    }
    assert_eq!(bench.event("jobEnded").await["status"], "success");
    let late = bench
        .status(
            job_id,
            a.text("status_token"),
            json!({ "status": "JS_SUCCESS" }),
        )
        .await;
    assert_eq!(late.status, 409, "after the end too");
}

#[tokio::test]
async fn f_d1_an_agent_that_says_yes_and_does_not_come_is_replaced_and_the_last_one_fails_the_job()
{
    let (mut first, mut second) = (Receiver::start([]).await, Receiver::start([]).await);
    let more = json!({ "joinTimeoutMs": 200, "maxJobs": 1 });
    let mut bench = Bench::start(&[&first, &second], more).await;
    bench.dispatch("r1").await;
    let a = first.next().await;
    second.next().await;
    assert_eq!(first.next().await.text("reason"), "cancelled");
    let late = bench
        .status(
            a.text("job_id"),
            a.text("status_token"),
            json!({ "status": "JS_RUNNING" }),
        )
        .await;
    assert_eq!(late.status, 409);
    let ended = bench.event("jobEnded").await;
    assert_eq!(
        ended["error"],
        "endpoint 2 took the job, and no agent reported or joined within 200 ms"
    );
    assert_eq!(bench.dispatcher.active_jobs(), 0);
    assert!(bench.kinds().contains(&"atCapacity"));
}

#[tokio::test]
async fn f_d1_an_agent_that_is_in_the_room_needs_no_status_to_keep_its_job() {
    let (mut first, mut second) = (Receiver::start([]).await, Receiver::start([]).await);
    let more = json!({ "joinTimeoutMs": 1_000, "maxDurationMs": 2_500 });
    let mut bench = Bench::start(&[&first, &second], more).await;
    bench.dispatch("r1").await;
    let request = first.next().await;
    let (_sender, _room) = join(&bench, &request).await;
    // The first thing that happens is the end of its time, not of its patience.
    assert_eq!(first.next().await.text("reason"), "expired");
    assert!(second.is_quiet());
    let last = bench
        .status(
            request.text("job_id"),
            request.text("status_token"),
            json!({ "status": "JS_SUCCESS" }),
        )
        .await;
    assert_eq!(last.status, 200);
    assert_eq!(bench.event("jobEnded").await["status"], "success");
}

#[tokio::test]
async fn f_d2_a_dispatcher_with_room_for_ten_takes_ten_offers_at_once() {
    let agent = Receiver::start([]).await;
    let mut bench = Bench::start(&[&agent], json!({ "maxJobs": 10 })).await;
    bench.server.counts_worker(AGENT).await;
    let rooms: Vec<String> = (0..10).map(|number| format!("r{number}")).collect();
    join_all(rooms.iter().map(|room| bench.dispatch(room))).await;
    for _ in 0..10 {
        bench.event("delivered").await;
    }
    assert_eq!(bench.dispatcher.active_jobs(), 10);
}

#[tokio::test]
async fn an_answer_under_another_identity_than_the_tokens_is_told_and_the_job_is_delivered() {
    let answer = r#"{"accepted":true,"participant_identity":"ai-agent-1"}"#;
    let agent = Receiver::start([Reply::Text(answer)]).await;
    let mut bench = Bench::start(&[&agent], json!({})).await;
    bench.dispatch("r1").await;
    let delivered = bench.event("delivered").await;
    assert_eq!(
        (&delivered["parsed"], &delivered["identityMismatch"]),
        (&json!(true), &json!(true))
    );
    bench.dispatch("r2").await;
    let delivered = bench.event("delivered").await;
    assert_eq!(delivered["identityMismatch"], false);
}

#[tokio::test]
async fn an_unreachable_endpoint_fails_the_job_after_its_attempts() {
    let url = format!("http://127.0.0.1:{}/hook?key=sesame", free_tcp_port());
    let mut bench = Bench::with_urls(&[url], json!({})).await;
    bench.dispatch("r1").await;
    let ended = bench.event("jobEnded").await;
    assert_eq!(ended["status"], "failed");
    let error = ended["error"].as_str().unwrap();
    assert!(
        error.starts_with("endpoint 1 did not take the job after 4 attempts: could not connect"),
        "{error}"
    );
    livekit_logs(&bench, "endpoint 1 did not take the job after 4 attempts").await;
    let shown = serde_json::to_string(&bench.events).unwrap();
    assert!(
        !shown.contains("sesame") && !shown.contains("r1"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_deleted_dispatch_is_told_to_the_agent_that_has_the_job() {
    let mut agent = Receiver::start([]).await;
    let mut bench = Bench::start(&[&agent], json!({})).await;
    let dispatch_id = bench.dispatch("r1").await;
    let request = agent.next().await;
    let (job_id, bearer) = (
        request.text("job_id").to_owned(),
        request.text("status_token").to_owned(),
    );
    bench
        .status(&job_id, &bearer, json!({ "status": "JS_RUNNING" }))
        .await;
    bench.server.delete_dispatch("r1", &dispatch_id).await;
    let farewell = agent.next().await;
    assert_eq!(farewell.verified().event, Event::Terminated);
    assert_eq!(
        (farewell.text("job_id"), farewell.text("reason")),
        (&*job_id, "dispatch_deleted")
    );
    let last = bench
        .status(&job_id, &bearer, json!({ "status": "JS_SUCCESS" }))
        .await;
    assert_eq!(last.status, 200);
    assert_eq!(bench.event("jobEnded").await["status"], "success");
}

#[tokio::test]
async fn a_dispatcher_without_room_declines_and_takes_jobs_again_later() {
    let mut agent = Receiver::start([]).await;
    let server = LiveKitServer::telling_what_it_hears();
    let mut bench = Bench::on(server, &[agent.url()], json!({ "maxJobs": 1 })).await;
    bench.dispatch("r1").await;
    let request = agent.next().await;
    bench.event("delivered").await;
    assert_eq!(bench.dispatcher.active_jobs(), 1);
    let (job_id, bearer) = (request.text("job_id"), request.text("status_token"));
    bench.dispatch("r2").await;
    bench
        .status(
            job_id,
            bearer,
            json!({ "status": "JS_FAILED", "error": "done" }),
        )
        .await;
    assert_eq!(bench.event("jobEnded").await["error"], "done");
    // What is dispatched before LiveKit has heard that there is room again is lost.
    bench.server.knows_of_room().await;
    bench.dispatch("r3").await;
    assert_eq!(agent.next().await.body["room"]["name"], "r3");
}

#[tokio::test]
async fn a_drain_lets_the_delivery_finish_and_takes_nothing_new() {
    let mut agent = Receiver::start([Reply::RetryAfter(503, "1")]).await;
    let mut bench = Bench::start(&[&agent], json!({})).await;
    bench.dispatch("r1").await;
    agent.next().await;
    bench.event("attemptFailed").await;
    let (left, second) = tokio::join!(bench.dispatcher.drain(), agent.next());
    assert_eq!((left, second.body["attempt"].as_u64()), (0, Some(2)));
    bench.dispatch("r2").await;
    bench.event("delivered").await;
    bench.dispatcher.close().await;
    assert!(agent.is_quiet());
}

#[tokio::test]
async fn a_drain_gives_up_after_its_time_and_says_what_is_left() {
    let mut agent = Receiver::start([Reply::Hang]).await;
    let bench = Bench::start(&[&agent], json!({ "drainTimeoutMs": 50 })).await;
    bench.dispatch("r1").await;
    agent.next().await;
    assert_eq!(bench.dispatcher.drain().await, 1);
    bench.dispatcher.close().await;
}
