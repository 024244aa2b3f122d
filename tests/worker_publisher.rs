//! A publisher job needs real media: the engine publishes a microphone, and the worker is asked about its publisher.
#![allow(clippy::panic)] // helpers of tests may panic as the tests do

mod engine_support;
mod support;

use engine_support::{join, microphone, play, publishing, soon, source};
use roomhook::words::JobType;
use support::worker::{options, TestWorker};
use support::LiveKitServer;

#[tokio::test]
async fn a_publisher_job_comes_with_the_first_track_and_not_with_the_join() {
    let server = LiveKitServer::start();
    let mut for_publishers = options(&server, "cook");
    for_publishers.job_type = JobType::Publisher;
    let (mut worker, _) = TestWorker::registered(for_publishers).await;
    let mut for_participants = options(&server, "cook");
    for_participants.job_type = JobType::Participant;
    let (mut joins, _) = TestWorker::registered(for_participants).await;
    server.create_dispatch("kitchen", "cook", "").await;
    let alice = join(&server, "kitchen", "alice").await;
    // The job for the join is there, so one for the publisher would be as well.
    joins.take_job().await;
    assert!(worker.is_quiet());
    let source = source(1_000);
    let track = source.create_track("microphone").expect("a track");
    let publishing = publishing(&*alice.room, &track, microphone());
    soon("publishing", publishing).await.expect("published");
    let playing = play(source.clone());
    let (job, _) = worker.take_job().await;
    assert_eq!(job.job_type, JobType::Publisher);
    let participant = job.participant.expect("a participant");
    assert_eq!(participant.identity.0, "alice");
    playing.abort();
    alice.room.disconnect().await.expect("left");
}
