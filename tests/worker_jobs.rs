//! A worker and a real livekit-server: registration, offers, answers, load, assignments.
#![allow(clippy::panic)] // helpers of tests may panic as the tests do

mod support;

use std::collections::BTreeMap;

use livekit_token::TokenVerifier;
use roomhook::words::{JobStatus, JobType};
use roomhook::worker::{Acceptance, Answer, AnswerOutcome, Job, UpdateOutcome, WorkerEvent};
use support::worker::{options, TestWorker};
use support::{LiveKitServer, API_KEY, API_SECRET};

#[tokio::test]
async fn each_job_type_registers_over_its_own_socket() {
    let server = LiveKitServer::start();
    let mut ids = Vec::new();
    for job_type in JobType::ALL.iter().copied() {
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
    // LiveKit sends the assignment a moment before it notes the job down, and ignores a status in between.
    server
        .log_line_with(job.id.as_str(), "assigned job to worker")
        .await;
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

#[tokio::test]
async fn a_declined_offer_goes_to_the_next_worker_with_the_same_id() {
    let server = LiveKitServer::start();
    let (mut one, _) = TestWorker::registered(options(&server, "cook")).await;
    let (mut two, _) = TestWorker::registered(options(&server, "cook")).await;
    server.create_dispatch("kitchen", "cook", "").await;
    let (first, second, job) = first_offer(&mut one, &mut two).await;
    let declined = first.handle.answer(&job.id, Answer::Decline).await;
    assert_eq!(declined, AnswerOutcome::Sent);
    let (assigned, _) = second.take_job().await;
    assert_eq!(assigned.id, job.id);
    assert!(first.is_quiet());
}

#[tokio::test]
async fn an_offer_that_nobody_answers_still_reaches_the_next_worker() {
    let server = LiveKitServer::start();
    let (mut one, _) = TestWorker::registered(options(&server, "cook")).await;
    let (mut two, _) = TestWorker::registered(options(&server, "cook")).await;
    server.create_dispatch("kitchen", "cook", "").await;
    let (first, second, job) = first_offer(&mut one, &mut two).await;
    // Declined by the worker itself after 2.4 s, which leaves LiveKit 0.4 s to ask somebody else.
    let (assigned, _) = second.take_job().await;
    assert_eq!(assigned.id, job.id);
    assert_eq!(first.accept(&job.id).await, AnswerOutcome::NotWaiting);
    assert!(first.is_quiet());
}

#[tokio::test]
async fn a_terminated_offer_is_offered_to_nobody_else() {
    let server = LiveKitServer::start();
    let (mut one, _) = TestWorker::registered(options(&server, "cook")).await;
    let (mut two, _) = TestWorker::registered(options(&server, "cook")).await;
    server.create_dispatch("kitchen", "cook", "").await;
    let (first, second, job) = first_offer(&mut one, &mut two).await;
    first.handle.answer(&job.id, Answer::Terminate).await;
    // Both take part in another dispatch afterwards: whatever the first one brought is there by then.
    server.create_dispatch("garden", "cook", "").await;
    let (taker, other, later) = first_offer(first, second).await;
    assert_ne!(later.id, job.id);
    taker.accept(&later.id).await;
    assert_eq!(taker.assignment().await.0.id, later.id);
    assert!(other.is_quiet());
}

#[tokio::test]
async fn a_full_worker_gets_no_offers_until_a_job_ends() {
    let server = LiveKitServer::telling_what_it_hears();
    let mut small = options(&server, "cook");
    small.max_jobs = 1;
    let (mut full, _) = TestWorker::registered(small).await;
    server.create_dispatch("r0", "cook", "").await;
    let (job, _) = full.take_job().await;
    let (mut free, _) = TestWorker::registered(options(&server, "cook")).await;
    for number in 1..=5 {
        server
            .create_dispatch(&format!("r{number}"), "cook", "")
            .await;
        free.take_job().await;
    }
    assert!(full.is_quiet());
    free.handle.close().await;
    full.handle
        .update_job(&job.id, JobStatus::Success, "")
        .await;
    // What is dispatched before LiveKit has heard that there is room again is lost.
    server.knows_of_room().await;
    server.create_dispatch("r6", "cook", "").await;
    full.take_job().await;
}

#[tokio::test]
async fn a_worker_one_job_below_its_limit_is_still_offered_jobs() {
    let server = LiveKitServer::start();
    let mut large = options(&server, "cook");
    large.max_jobs = 100;
    let (mut worker, _) = TestWorker::registered(large).await;
    worker.handle.set_active(99);
    server.create_dispatch("kitchen", "cook", "").await;
    worker.take_job().await;
}

#[tokio::test]
async fn a_deleted_dispatch_terminates_the_job() {
    let server = LiveKitServer::start();
    let (mut worker, _) = TestWorker::registered(options(&server, "cook")).await;
    let dispatch = server.create_dispatch("kitchen", "cook", "").await;
    let (job, _) = worker.take_job().await;
    server.delete_dispatch("kitchen", &dispatch).await;
    let terminated = WorkerEvent::Terminated {
        job_id: job.id.clone(),
    };
    assert_eq!(worker.next().await, terminated);
    // F-D9: LiveKit lets go of the job when it hears of its end.
    for outcome in [UpdateOutcome::Sent, UpdateOutcome::Unknown] {
        let late = worker.handle.update_job(&job.id, JobStatus::Success, "");
        assert_eq!(late.await, outcome);
    }
    server.log_line_with(job.id.as_str(), "job ended").await;
}

#[tokio::test]
async fn a_dispatch_made_before_the_worker_came_is_never_offered() {
    let server = LiveKitServer::start();
    server.create_dispatch_now("kitchen", "cook", "early").await;
    let (mut worker, _) = TestWorker::registered(options(&server, "cook")).await;
    server.create_dispatch("kitchen", "cook", "late").await;
    let (job, _) = worker.take_job().await;
    assert_eq!(job.metadata.0, "late");
    assert!(worker.is_quiet());
}

#[tokio::test]
async fn a_participant_job_tells_who_it_is_about() {
    let server = LiveKitServer::start();
    let mut for_participants = options(&server, "cook");
    for_participants.job_type = JobType::Participant;
    let (mut worker, _) = TestWorker::registered(for_participants).await;
    server.create_dispatch("kitchen", "cook", "").await;
    let _alice = server.join("kitchen", "alice").await;
    let (job, _) = worker.take_job().await;
    assert_eq!(job.job_type, JobType::Participant);
    let participant = job.participant.as_ref().expect("a participant");
    assert_eq!(participant.identity.0, "alice");
    assert_eq!(participant.kind, "STANDARD");
    assert!(participant.sid.as_str().starts_with("PA_"));
    assert!(!format!("{job:?}").contains("alice"));
}

/// The worker that was asked, the other one, and the job.
async fn first_offer<'a>(
    one: &'a mut TestWorker,
    two: &'a mut TestWorker,
) -> (&'a mut TestWorker, &'a mut TestWorker, Box<Job>) {
    let (first, event) = tokio::select! {
        event = one.next() => (true, event),
        event = two.next() => (false, event),
    };
    let WorkerEvent::Offer { job, .. } = event else {
        panic!("expected Offer, got {event:?}");
    };
    if first {
        (one, two, job)
    } else {
        (two, one, job)
    }
}
