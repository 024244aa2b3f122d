//! A worker under test, with its events in order.

use std::time::Duration;

use roomhook::id::{JobId, Secret};
use roomhook::words::JobType;
use roomhook::worker::{
    Acceptance, Answer, AnswerOutcome, Job, Permissions, Worker, WorkerEvent, WorkerHandle,
    WorkerOptions,
};
use tokio::sync::mpsc;

use super::{LiveKitServer, API_KEY, API_SECRET};

pub struct TestWorker {
    pub handle: WorkerHandle,
    pub events: mpsc::Receiver<WorkerEvent>,
}

/// Options that work with this server.
pub fn options(server: &LiveKitServer, agent_name: &str) -> WorkerOptions {
    WorkerOptions {
        url: server.http_url(),
        api_key: API_KEY.to_owned(),
        api_secret: Secret::new(API_SECRET.to_owned()),
        agent_name: agent_name.to_owned(),
        job_type: JobType::Room,
        permissions: Permissions::default(),
        max_jobs: 10,
        version: "test".to_owned(),
    }
}

impl TestWorker {
    /// Starts and waits until it is registered.
    pub async fn registered(options: WorkerOptions) -> (Self, String) {
        let mut worker = TestWorker::started(options);
        match worker.next().await {
            WorkerEvent::Registered { worker_id, .. } => (worker, worker_id.0),
            other => panic!("expected Registered, got {other:?}"),
        }
    }

    pub fn started(options: WorkerOptions) -> Self {
        let (handle, events) = Worker::start(options).expect("options that work");
        TestWorker { handle, events }
    }

    /// The next event; panics when none comes in 10 s.
    pub async fn next(&mut self) -> WorkerEvent {
        tokio::time::timeout(Duration::from_secs(10), self.events.recv())
            .await
            .expect("an event in time")
            .expect("a worker that runs")
    }

    pub async fn offer(&mut self) -> Box<Job> {
        match self.next().await {
            WorkerEvent::Offer { job, .. } => job,
            other => panic!("expected Offer, got {other:?}"),
        }
    }

    pub async fn assignment(&mut self) -> (Box<Job>, String) {
        match self.next().await {
            WorkerEvent::Assigned { job, token, url } => {
                assert_eq!(url, None, "the open-source server names no URL");
                (job, token.expose().clone())
            }
            other => panic!("expected Assigned, got {other:?}"),
        }
    }

    /// Takes the next offer and returns its assignment.
    pub async fn take_job(&mut self) -> (Box<Job>, String) {
        let job = self.offer().await;
        assert_eq!(self.accept(&job.id).await, AnswerOutcome::Sent);
        self.assignment().await
    }

    pub async fn accept(&self, job_id: &JobId) -> AnswerOutcome {
        self.handle
            .answer(job_id, Answer::Accept(Acceptance::default()))
            .await
    }

    /// The reason and the wait of a `Disconnected` event.
    pub async fn disconnected(&mut self) -> (roomhook::worker::Reason, Option<u64>) {
        match self.next().await {
            WorkerEvent::Disconnected {
                reason,
                will_retry_ms,
            } => (reason, will_retry_ms),
            other => panic!("expected Disconnected, got {other:?}"),
        }
    }

    /// Whether nothing was told so far.
    pub fn is_quiet(&mut self) -> bool {
        self.events.try_recv().is_err()
    }
}
