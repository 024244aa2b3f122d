//! A worker and a server that misbehaves: hangs up, falls silent, floods, talks nonsense. Time passes only when
//! the test says so.
#![allow(clippy::panic)] // helpers of tests may panic as the tests do

mod support;

use std::collections::HashMap;

use futures_util::SinkExt;
use livekit_protocol::server_message::Message as FromServer;
use livekit_protocol::worker_message::Message as FromWorker;
use livekit_protocol::{AvailabilityRequest, JobAssignment, JobTermination};
use livekit_token::{TokenVerifier, VideoGrants};
use roomhook::id::Secret;
use roomhook::words::JobType;
use roomhook::worker::{Permissions, Reason, WorkerEvent, WorkerOptions};
use support::clock::StoppedClock;
use support::raw::{job, RawPeer, RawServer};
use support::worker::TestWorker;
use support::{API_KEY, API_SECRET};
use tokio_tungstenite::tungstenite::Message;

fn options(server: &RawServer) -> WorkerOptions {
    WorkerOptions {
        url: server.url.clone(),
        api_key: API_KEY.to_owned(),
        api_secret: Secret::new(API_SECRET.to_owned()),
        agent_name: "cook".to_owned(),
        job_type: JobType::Room,
        permissions: Permissions::default(),
        max_jobs: 10_000,
        version: "test".to_owned(),
    }
}

async fn registered(server: &RawServer) -> (TestWorker, RawPeer) {
    let mut worker = TestWorker::started(options(server));
    let peer = server.accept_registered().await;
    assert!(matches!(
        worker.next().await,
        WorkerEvent::Registered { .. }
    ));
    (worker, peer)
}

#[tokio::test]
async fn a_server_that_accepts_and_hangs_up_is_not_hammered() {
    let clock = StoppedClock::new();
    let server = RawServer::start().await;
    let mut worker = TestWorker::started(options(&server));
    let (mut connections, mut passed) = (0, 0);
    while passed < 60_000 {
        drop(server.accept_registered().await);
        connections += 1;
        assert!(matches!(
            worker.next().await,
            WorkerEvent::Registered { .. }
        ));
        let (_, retry) = worker.disconnected().await;
        let wait = retry.expect("another attempt");
        clock.advance(wait).await;
        passed += wait;
    }
    assert!(
        (8..=17).contains(&connections),
        "{connections} connections in a minute"
    );
}

#[tokio::test]
async fn every_connection_uses_a_fresh_short_token_that_grants_nothing_but_being_a_worker() {
    let clock = StoppedClock::new();
    let server = RawServer::start().await;
    let mut worker = TestWorker::started(options(&server));
    for _ in 0..2 {
        let (peer, authorization) = server.accept().await;
        let token = authorization.strip_prefix("Bearer ").expect("a bearer");
        let claims = TokenVerifier::with_api_key(API_KEY, API_SECRET)
            .verify(token)
            .expect("a valid token");
        assert!(claims.exp - claims.nbf <= 300);
        assert_eq!(claims.sub, "");
        let only_agent = VideoGrants {
            agent: true,
            ..Default::default()
        };
        assert_eq!(claims.video, only_agent);
        drop(peer);
        let (_, retry) = worker.disconnected().await;
        clock.advance(retry.expect("another attempt")).await;
    }
}

#[tokio::test]
async fn a_server_that_falls_silent_is_given_up_15_s_after_its_last_frame() {
    let clock = StoppedClock::new();
    let server = RawServer::start().await;
    let (mut worker, mut peer) = registered(&server).await;
    clock.advance(5_000).await;
    assert!(matches!(peer.next().await, Some(FromWorker::Ping(_))));
    // A sign of life that is known to have arrived.
    peer.offer("AJ_1").await;
    worker.offer().await;
    clock.advance(14_900).await;
    assert!(matches!(peer.next().await, Some(FromWorker::Ping(_))));
    assert!(worker.is_quiet() && worker.handle.is_registered());
    clock.advance(100).await;
    let (reason, retry) = worker.disconnected().await;
    assert_eq!(reason, Reason::Silent);
    assert!(retry.is_some());
}

#[tokio::test]
async fn a_registration_without_an_answer_is_given_up_after_10_s() {
    let clock = StoppedClock::new();
    let server = RawServer::start().await;
    let mut worker = TestWorker::started(options(&server));
    let (mut peer, _) = server.accept().await;
    assert!(matches!(peer.next().await, Some(FromWorker::Register(_))));
    clock.advance(10_000).await;
    let (reason, _) = worker.disconnected().await;
    assert_eq!(reason, Reason::NotRegistered);
    // The socket is closed, not left to hang.
    assert!(peer.next().await.is_none());
}

#[tokio::test]
async fn an_owner_that_reads_nothing_gets_its_offers_declined_each_exactly_once() {
    let clock = StoppedClock::new();
    let server = RawServer::start().await;
    let (mut worker, mut peer) = registered(&server).await;
    for number in 1..=1000 {
        peer.offer(&format!("AJ_{number}")).await;
    }
    let mut declined: HashMap<String, u32> = HashMap::new();
    // 256 wait in the channel and 256 in the outbox; who comes later hears at once.
    while !declined.contains_key("AJ_1000") {
        decline(&mut peer, &mut declined).await;
    }
    assert!(
        (450..=550).contains(&declined.len()),
        "{} at once",
        declined.len()
    );
    clock.advance(2_400).await;
    while declined.len() < 1000 {
        decline(&mut peer, &mut declined).await;
    }
    assert!(declined.values().all(|count| *count == 1));
    assert!(matches!(worker.next().await, WorkerEvent::Offer { .. }));
}

async fn decline(peer: &mut RawPeer, declined: &mut HashMap<String, u32>) {
    let message = peer.next().await;
    let Some(FromWorker::Availability(answer)) = message else {
        panic!("expected an answer, got {message:?}");
    };
    assert!(!answer.available);
    *declined.entry(answer.job_id).or_default() += 1;
}

#[tokio::test]
async fn nonsense_from_the_server_is_ignored() {
    let server = RawServer::start().await;
    let (mut worker, mut peer) = registered(&server).await;
    for nonsense in [
        Message::text("{}"),
        Message::binary(vec![0xff; 64]),
        Message::binary(Vec::new()),
    ] {
        peer.0.send(nonsense).await.expect("sent");
    }
    peer.send(FromServer::Termination(JobTermination {
        job_id: "AJ_unknown".to_owned(),
    }))
    .await;
    peer.send(FromServer::Assignment(JobAssignment {
        job: Some(job("AJ_unasked")),
        ..Default::default()
    }))
    .await;
    // An assignment nobody asked for is given back.
    let Some(FromWorker::UpdateJob(update)) = peer.next().await else {
        panic!("expected a status");
    };
    assert_eq!(update.job_id, "AJ_unasked");
    peer.offer("AJ_1").await;
    assert_eq!(worker.offer().await.id.as_str(), "AJ_1");
}

#[tokio::test]
async fn closing_declines_what_is_offered_before_the_goodbye() {
    let server = RawServer::start().await;
    let (mut worker, mut peer) = registered(&server).await;
    peer.offer("AJ_1").await;
    worker.offer().await;
    let closing = tokio::spawn(async move { worker.handle.close().await });
    let Some(FromWorker::Availability(answer)) = peer.next().await else {
        panic!("expected an answer");
    };
    assert!(!answer.available && !answer.terminate);
    assert!(peer.next().await.is_none());
    closing.await.expect("closed");
}

#[tokio::test]
async fn an_assignment_that_never_comes_is_reported_after_4_s() {
    let clock = StoppedClock::new();
    let server = RawServer::start().await;
    let (mut worker, mut peer) = registered(&server).await;
    peer.offer("AJ_1").await;
    let offered = worker.offer().await;
    worker.accept(&offered.id).await;
    clock.advance(3_900).await;
    assert!(matches!(
        peer.next().await,
        Some(FromWorker::Availability(_))
    ));
    assert!(worker.is_quiet());
    clock.advance(100).await;
    let lost = WorkerEvent::AssignmentLost { job_id: offered.id };
    assert_eq!(worker.next().await, lost);
}

#[tokio::test]
async fn f_d10_one_huge_message_costs_no_other_job() {
    let server = RawServer::start().await;
    let (mut worker, mut peer) = registered(&server).await;
    let mut huge = job("AJ_huge");
    huge.metadata = "\"".repeat(16 << 20);
    peer.send(FromServer::Availability(AvailabilityRequest {
        job: Some(huge),
        ..Default::default()
    }))
    .await;
    assert_eq!(worker.offer().await.id.as_str(), "AJ_huge");
    peer.offer("AJ_1").await;
    assert_eq!(worker.offer().await.id.as_str(), "AJ_1");
}
