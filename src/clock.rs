//! What time it is, as a thing that can be handed over: drivers ask a `Clock`, pure code is told.
//! It offers no timers; waiting is the runtime's work.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::time::Now;

/// Tells the time of day.
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch; negative before it.
    fn now_ms(&self) -> i64;

    /// This moment on both clocks; the steady one is the runtime's, which tests can stop.
    fn now(&self) -> Now {
        Now {
            instant: tokio::time::Instant::now().into_std(),
            unix_ms: self.now_ms(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
        }
    }
}

/// A clock that stands still until it is told to move. For tests.
#[derive(Debug, Default)]
pub struct FakeClock(AtomicI64);

impl FakeClock {
    /// A clock that says `now_ms`.
    pub fn at(now_ms: i64) -> Self {
        FakeClock(AtomicI64::new(now_ms))
    }

    /// Moves the clock; a negative amount turns it back.
    pub fn advance_ms(&self, by: i64) {
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for FakeClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_is_in_this_century() {
        let now = SystemClock.now_ms();
        assert!(
            (1_700_000_000_000..4_102_444_800_000).contains(&now),
            "{now}"
        );
    }

    #[test]
    fn a_fake_clock_moves_only_when_told() {
        let clock = FakeClock::at(1_000);
        assert_eq!(clock.now_ms(), 1_000);
        clock.advance_ms(-250);
        assert_eq!(clock.now_ms(), 750);
    }
}
