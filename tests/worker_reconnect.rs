//! A worker and a livekit-server that refuses, crashes, comes late, or is asked to let it go.

mod support;

use roomhook::id::Secret;
use roomhook::words::JobStatus;
use roomhook::worker::{Reason, UpdateOutcome, WorkerEvent};
use support::proxy::Proxy;
use support::worker::{options, TestWorker};
use support::LiveKitServer;

#[tokio::test]
async fn a_wrong_api_secret_is_one_clear_error_and_no_retry() {
    let server = LiveKitServer::start();
    let mut wrong = options(&server, "cook");
    wrong.api_secret = Secret::new("not-the-secret-of-this-server-at-all".to_owned());
    let mut worker = TestWorker::started(wrong);
    let (reason, retry) = worker.disconnected().await;
    assert_eq!((&reason, retry), (&Reason::Refused(401), None));
    let text = reason.to_string();
    assert!(text.contains("API key or secret"), "{text}");
    assert!(!text.contains("not-the-secret"), "{text}");
    assert_eq!(worker.next().await, WorkerEvent::Closed);
    assert_eq!(worker.events.recv().await, None);
    // Every call on a closed worker is harmless.
    worker.handle.close().await;
    worker.handle.drain().await;
    worker.handle.set_active(3);
    let update = worker
        .handle
        .update_job(&"AJ_1".into(), JobStatus::Success, "")
        .await;
    assert_eq!(update, UpdateOutcome::NoSocket);
}

#[tokio::test]
async fn after_a_crash_of_the_server_the_worker_is_registered_again_by_itself() {
    let mut server = LiveKitServer::start();
    let (mut worker, before) = TestWorker::registered(options(&server, "cook")).await;
    server.create_dispatch("kitchen", "cook", "").await;
    let (job, _) = worker.take_job().await;
    server.kill();
    let (reason, retry) = worker.disconnected().await;
    assert_eq!(reason, Reason::ClosedByServer);
    assert!(retry.is_some_and(|ms| ms <= 500), "{retry:?}");
    assert!(!worker.handle.is_registered());
    let update = worker
        .handle
        .update_job(&job.id, JobStatus::Success, "")
        .await;
    assert_eq!(update, UpdateOutcome::NoSocket);
    server.launch();
    let after = loop {
        match worker.next().await {
            WorkerEvent::Registered { worker_id, .. } => break worker_id.0,
            WorkerEvent::Disconnected { reason, .. } => {
                assert!(matches!(reason, Reason::Unreachable(_)), "{reason:?}");
            }
            other => panic!("expected Registered, got {other:?}"),
        }
    };
    assert_ne!(before, after);
    // The server has forgotten the old job, so nothing is sent about it.
    let update = worker
        .handle
        .update_job(&job.id, JobStatus::Success, "")
        .await;
    assert_eq!(update, UpdateOutcome::Unknown);
    server.create_dispatch("garden", "cook", "").await;
    worker.take_job().await;
}

#[tokio::test]
async fn a_cut_connection_gives_a_new_worker_id_and_loses_the_jobs_of_the_old_one() {
    let server = LiveKitServer::start();
    let proxy = Proxy::to(server.port).await;
    let mut through = options(&server, "cook");
    through.url = proxy.url.clone();
    let (mut worker, before) = TestWorker::registered(through).await;
    let dispatch = server.create_dispatch("kitchen", "cook", "").await;
    let (job, _) = worker.take_job().await;
    proxy.cut();
    let (reason, _) = worker.disconnected().await;
    assert_eq!(reason, Reason::ClosedByServer);
    let WorkerEvent::Registered { worker_id, .. } = worker.next().await else {
        panic!("expected Registered");
    };
    assert_ne!(worker_id.as_str(), before);
    let update = worker
        .handle
        .update_job(&job.id, JobStatus::Failed, "")
        .await;
    assert_eq!(update, UpdateOutcome::Unknown);
    // LiveKit does not tell the new connection about the old one's job either.
    server.delete_dispatch("kitchen", &dispatch).await;
    server.create_dispatch("garden", "cook", "").await;
    let (later, _) = worker.take_job().await;
    assert_ne!(later.id, job.id);
    assert!(worker.is_quiet());
}

#[tokio::test]
async fn a_worker_that_starts_before_the_server_waits_for_it() {
    let mut server = LiveKitServer::start();
    server.kill();
    let mut worker = TestWorker::started(options(&server, "cook"));
    let (reason, retry) = worker.disconnected().await;
    assert!(reason.to_string().contains("refused"), "{reason}");
    assert!(retry.is_some());
    server.launch();
    while !matches!(worker.next().await, WorkerEvent::Registered { .. }) {}
}

#[tokio::test]
async fn a_draining_worker_keeps_its_jobs_and_gets_no_more() {
    let server = LiveKitServer::start();
    let (mut leaving, _) = TestWorker::registered(options(&server, "cook")).await;
    let dispatch = server.create_dispatch("r0", "cook", "").await;
    let (job, _) = leaving.take_job().await;
    leaving.handle.drain().await;
    let (mut staying, _) = TestWorker::registered(options(&server, "cook")).await;
    for number in 1..=5 {
        server
            .create_dispatch(&format!("r{number}"), "cook", "")
            .await;
        staying.take_job().await;
    }
    assert!(leaving.is_quiet() && leaving.handle.is_registered());
    server.delete_dispatch("r0", &dispatch).await;
    let terminated = WorkerEvent::Terminated { job_id: job.id };
    assert_eq!(leaving.next().await, terminated);
    leaving.handle.close().await;
    assert_eq!(leaving.next().await, WorkerEvent::Closed);
}

#[tokio::test]
async fn dropping_the_handle_closes_the_worker() {
    let server = LiveKitServer::start();
    let (worker, _) = TestWorker::registered(options(&server, "cook")).await;
    let TestWorker { handle, mut events } = worker;
    drop(handle);
    assert_eq!(events.recv().await, Some(WorkerEvent::Closed));
    assert_eq!(events.recv().await, None);
}
