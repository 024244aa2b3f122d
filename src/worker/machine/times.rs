//! The times a worker keeps. They rest on measurements of livekit-server 1.13.5; `tests/worker_window.rs` repeats the
//! one that matters most.

use std::time::Duration;

/// How long an offer may stay undecided; then it is declined. LiveKit gives 2.80 s, less a busy server's share.
pub const ANSWER_WINDOW: Duration = Duration::from_millis(2400);
/// How long after an accepting answer the assignment may take; LiveKit sends it within milliseconds or never.
pub const ASSIGNMENT_WINDOW: Duration = Duration::from_secs(4);
/// How long the server may take to confirm the registration; LiveKit takes milliseconds.
pub const REGISTRATION_WINDOW: Duration = Duration::from_secs(10);
/// How often the server is asked for a sign of life.
pub const PING_EVERY: Duration = Duration::from_secs(5);
/// After this long without any frame the connection counts as dead.
pub const SILENCE: Duration = Duration::from_secs(15);
