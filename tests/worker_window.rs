//! LiveKit's answer window, measured by hand: our 2.4 s rest on it, and this is how we notice when it changes.
#![allow(clippy::panic)] // helpers of tests may panic as the tests do

mod support;

use std::time::{Duration, Instant};

use livekit_protocol::server_message::Message as FromServer;
use livekit_protocol::worker_message::Message as FromWorker;
use livekit_protocol::AvailabilityResponse;
use roomhook::worker::machine::ANSWER_WINDOW;
use support::raw::RawWorker;
use support::LiveKitServer;

/// The window ends 3.0 s after the job was made, wherever the offer was by then, so the answers are timed from the
/// dispatch: LiveKit offers a job 0.2 s after making it, which leaves 2.8 s.
const WINDOW: Duration = Duration::from_millis(3000);
/// Room for a busy machine; far below what any change of the window would be.
const MARGIN: Duration = Duration::from_millis(150);

/// Dispatches, answers `after` the dispatch was made, and says whether the job was assigned.
async fn assigned_when_answered(after: Duration) -> bool {
    let server = LiveKitServer::start();
    let mut worker = RawWorker::registered(&server, "cook").await;
    server.counts_worker("cook").await;
    let before = Instant::now();
    server.create_dispatch_now("kitchen", "cook", "").await;
    let made = Instant::now();
    let FromServer::Availability(request) = worker.next().await else {
        panic!("expected an availability request");
    };
    let offered = before.elapsed();
    assert!(
        offered > Duration::from_millis(195),
        "offered {offered:?} after the dispatch: LiveKit no longer waits 0.2 s"
    );
    let job_id = request.job.expect("a job").id;
    // The call took a few milliseconds; count from the end of it that makes the question harder.
    let from = if after < WINDOW { before } else { made };
    tokio::time::sleep_until((from + after).into()).await;
    worker.send(FromWorker::Availability(AvailabilityResponse {
        job_id: job_id.clone(),
        available: true,
        participant_identity: "chef".to_owned(),
        ..Default::default()
    }));
    let too_late = server.log_line_with(&job_id, "received availability response for unknown job");
    tokio::select! {
        message = worker.next() => {
            assert!(matches!(message, FromServer::Assignment(_)), "{message:?}");
            true
        }
        _ = too_late => false,
    }
}

#[test]
fn our_own_window_ends_well_before_livekits() {
    let from_the_offer = WINDOW - Duration::from_millis(200);
    assert!(ANSWER_WINDOW + Duration::from_millis(300) <= from_the_offer);
}

#[tokio::test]
async fn an_answer_is_taken_until_2_8_s_after_the_offer_and_not_later() {
    let (early, late) = tokio::join!(
        assigned_when_answered(WINDOW - MARGIN),
        assigned_when_answered(WINDOW + MARGIN),
    );
    assert!(
        early,
        "an answer {MARGIN:?} before the end of the window was not taken"
    );
    assert!(
        !late,
        "an answer {MARGIN:?} after the end of the window was taken"
    );
}
