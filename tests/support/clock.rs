//! Tokio's clock, stopped: real sockets go on working, and time passes only when the test says so.

use std::sync::mpsc;
use std::time::Duration;

/// The clock stands still until this is dropped, or for 20 s of real time so that a test that waits for time to pass
/// fails instead of hanging.
pub struct StoppedClock {
    _until_dropped: mpsc::Sender<()>,
}

impl StoppedClock {
    /// Needs the single-threaded runtime of `#[tokio::test]`.
    pub fn new() -> Self {
        tokio::time::pause();
        let (until_dropped, dropped) = mpsc::channel::<()>();
        // A paused clock jumps ahead whenever everybody waits, also for a socket; not while a blocking task runs.
        tokio::task::spawn_blocking(move || dropped.recv_timeout(Duration::from_secs(20)));
        StoppedClock {
            _until_dropped: until_dropped,
        }
    }

    /// Advances by 1 ms more, because tokio's timers fire up to that much late.
    pub async fn advance(&self, milliseconds: u64) {
        tokio::time::advance(Duration::from_millis(milliseconds + 1)).await;
    }
}
