//! A panic costs the job it happened in, and nothing else.

use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::dispatcher::agents::ready;
use crate::dispatcher::config::Config;
use crate::dispatcher::machine::tests::job;
use crate::dispatcher::machine::Outcome;
use crate::dispatcher::shared::Parts;
use crate::dispatcher::store::Store;
use crate::net::http::{HttpClient, HttpOptions};
use crate::worker::{Permissions, Worker, WorkerOptions};

const OPTIONS: &str = r#"{
    "livekit": { "url": "ws://127.0.0.1:9", "apiKey": "k", "apiSecret": "s" }, "store": ":memory:",
    "agents": [{ "name": "a", "jobTypes": ["JT_ROOM"], "webhookUrl": "http://127.0.0.1:9/", "secret": "0123456789abcdef" }]
}"#;

fn shared() -> Arc<Shared> {
    let config = Config::from_options(OPTIONS).unwrap();
    let (store, _thread) = Store::open(&config.store).unwrap();
    let shared = Shared::new(Parts {
        agents: ready(&config.agents).unwrap(),
        livekit: config.livekit,
        status_base: "http://127.0.0.1:9".to_owned(),
        max_jobs: 1,
        store,
        http: HttpClient::new(&HttpOptions::default()).unwrap(),
    });
    shared.open.store(true, Ordering::Release);
    Arc::new(shared)
}

fn task(shared: &Arc<Shared>) -> JobTask {
    let (worker, _events) = Worker::start(WorkerOptions {
        url: "ws://127.0.0.1:9".parse().unwrap(),
        api_key: "k".to_owned(),
        api_secret: Secret::new("s".to_owned()),
        agent_name: "a".to_owned(),
        job_type: crate::words::JobType::Room,
        permissions: Permissions::default(),
        max_jobs: 1,
        version: String::new(),
    })
    .unwrap();
    let offer = Offer {
        worker,
        received_at: std::time::Instant::now(),
    };
    let plan = shared.agents["a"].plan.clone();
    let bearers = Bearers::mint(1).unwrap();
    let now = SystemClock.now();
    let machine = Machine::offered(now, job(), "i".to_owned(), bearers.hashes(), plan);
    let (entry, inbox) = entry(machine.record());
    assert!(shared.admit(&job().id, &entry));
    JobTask::new(shared, entry, inbox, machine, Some(offer), bearers)
}

#[tokio::test]
async fn f_d16_a_job_whose_task_panics_fails_and_its_slot_is_free() {
    let shared = shared();
    let mut task = task(&shared);
    task.persist(1, Box::new(task.machine.record().clone()), true)
        .await;
    task.run_until(async { panic!("planted") }).await;
    assert_eq!(shared.active(), 0);
    assert_eq!(*shared.undelivered.borrow(), 0);
    let record = shared.store.find(job().id).await.unwrap().unwrap();
    assert_eq!(
        (record.stage, record.status),
        (Stage::Ended, JobStatus::Failed)
    );
    let events = shared.events.next(10).await.unwrap();
    let last = serde_json::to_value(events.last().unwrap()).unwrap();
    assert_eq!(
        (&last["type"], &last["status"]),
        (&"jobEnded".into(), &"failed".into())
    );
    drop(task);
}

#[tokio::test]
async fn f_d16_an_attempt_that_panics_has_an_outcome_in_doubt() {
    let shared = shared();
    let mut task = task(&shared);
    let doubt = Outcome::Retry {
        why: "x".to_owned(),
        retry_after_ms: None,
        in_doubt: true,
    };
    let attempted = |outcome| Input::Attempted {
        delivery: 1,
        attempt: 1,
        outcome,
    };
    task.beside(async { panic!("planted") }, doubt.clone(), attempted);
    let message = timeout(Duration::from_secs(10), task.inbox.recv()).await;
    let Ok(Some(Message::Input(Input::Attempted { outcome, .. }))) = message else {
        panic!("no outcome within 10 s");
    };
    assert_eq!(outcome, doubt);
}
