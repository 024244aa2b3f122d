//! A worker and a real livekit-server: registration, offers, answers, load, assignments.

mod support;

use std::collections::BTreeMap;

use livekit_token::TokenVerifier;
use roomhook::worker::Acceptance;
use roomhook::worker::Answer;
use roomhook::worker::AnswerOutcome;
use roomhook::worker::JobStatus;
use roomhook::worker::JobType;
use roomhook::worker::UpdateOutcome;
use roomhook::worker::WorkerEvent;
use support::worker::options;
use support::worker::TestWorker;
use support::LiveKitServer;
use support::API_KEY;
use support::API_SECRET;

#[tokio::test]
async fn each_job_type_registers_over_its_own_socket() {
    let server = LiveKitServer::start();
    let mut ids = Vec::new();
    for job_type in JobType::ALL {
        let mut options = options(&server, "cook");
        options.job_type = job_type;
        let (mut worker, id) = TestWorker::registered(options).await;
        assert!(id.starts_with("AW_"), "{id}");
        assert!(worker.handle.is_registered());
        ids.push(id);
        worker.handle.close().await;
        assert!(!worker.handle.is_registered());
        assert_eq!(worker.next().await, WorkerEvent::Closed);
        assert_eq!(worker.events.recv().await, None);
    }
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn the_server_tells_its_version() {
    let server = LiveKitServer::start();
    let mut worker = TestWorker::started(options(&server, "cook"));
    let WorkerEvent::Registered { server_version, .. } = worker.next().await else {
        panic!("expected Registered");
    };
    assert_eq!(server_version, "1.13.5");
}

#[tokio::test]
async fn an_accepted_job_comes_with_a_token_that_carries_the_answer() {
    let server = LiveKitServer::start();
    let (mut worker, _) = TestWorker::registered(options(&server, "cook")).await;
    let dispatch = server.create_dispatch("kitchen", "cook", "{\"a\":1}").await;
    let job = worker.offer().await;
    assert_eq!(job.dispatch_id.as_str(), dispatch);
    assert_eq!(job.job_type, JobType::Room);
    assert_eq!(job.room.name.0, "kitchen");
    assert!(job.room.sid.as_str().starts_with("RM_") && job.room.created_at > 1_700_000_000);
    assert_eq!(job.metadata.0, "{\"a\":1}");
    assert_eq!(job.participant, None);
    let answer = Answer::Accept(Acceptance {
        identity: "chef".to_owned(),
        name: "The chef".to_owned(),
        metadata: "m".to_owned(),
        attributes: BTreeMap::from([("hat".to_owned(), "white".to_owned())]),
    });
    assert_eq!(
        worker.handle.answer(&job.id, answer.clone()).await,
        AnswerOutcome::Sent
    );
    assert_eq!(
        worker.handle.answer(&job.id, answer).await,
        AnswerOutcome::NotWaiting
    );
    let (assigned, token) = worker.assignment().await;
    assert_eq!(assigned.id, job.id);
    let claims = TokenVerifier::with_api_key(API_KEY, API_SECRET)
        .verify(&token)
        .expect("a token of this server");
    assert_eq!(
        (claims.sub.as_str(), claims.name.as_str()),
        ("chef", "The chef")
    );
    assert_eq!(
        (claims.kind.as_str(), claims.metadata.as_str()),
        ("agent", "m")
    );
    assert_eq!(claims.exp - claims.nbf, 3600);
    assert_eq!(claims.attributes["hat"], "white");
    assert_eq!(claims.attributes["lk.agent_name"], "cook");
    assert_eq!(claims.attributes["lk.agent.name"], "cook");
    assert!(claims.video.room_join && claims.video.agent);
    assert_eq!(claims.video.room, "kitchen");
    assert_eq!(claims.video.can_publish, Some(true));
    assert_eq!(claims.video.can_subscribe, Some(true));
    assert_eq!(claims.video.can_publish_data, Some(true));
    assert_eq!(claims.video.can_update_own_metadata, Some(true));
}

#[tokio::test]
async fn a_finished_job_is_reported_and_then_no_longer_this_workers() {
    let server = LiveKitServer::start();
    let (mut worker, _) = TestWorker::registered(options(&server, "cook")).await;
    server.create_dispatch("kitchen", "cook", "").await;
    let (job, _) = worker.take_job().await;
    for (status, expected) in [
        (JobStatus::Running, UpdateOutcome::Sent),
        (JobStatus::Failed, UpdateOutcome::Sent),
        (JobStatus::Success, UpdateOutcome::Unknown),
    ] {
        let outcome = worker.handle.update_job(&job.id, status, "burnt").await;
        assert_eq!(outcome, expected, "{status:?}");
    }
    // The socket is still good: the next job comes over it.
    server.create_dispatch("garden", "cook", "").await;
    worker.take_job().await;
    let ended = server.log_line_with(job.id.as_str(), "job ended").await;
    assert!(
        ended.contains("JS_FAILED") && ended.contains("burnt"),
        "{ended}"
    );
}
