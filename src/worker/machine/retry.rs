//! How long to wait before the next connection: 0.5 s doubling up to 10 s, for ever, each shortened by up to 30 % at
//! random so that many workers do not come back in step. 30 s after a refused API key.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(10);
const REFUSED: Duration = Duration::from_secs(30);
/// A registration that held this long starts the waits anew; a server that accepts and hangs up does not.
const STEADY: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Backoff {
    failures: u32,
    random: u64,
}

impl Backoff {
    pub(super) fn new(seed: u64) -> Self {
        Backoff {
            failures: 0,
            random: seed,
        }
    }

    /// A registration has ended after this long.
    pub(super) fn succeeded(&mut self, lasted: Duration) {
        if lasted >= STEADY {
            self.failures = 0;
        }
    }

    pub(super) fn next(&mut self, refused: bool) -> Duration {
        let full = if refused {
            REFUSED
        } else {
            // 0.5 s × 2⁵ is above the longest wait already.
            LONGEST.min(FIRST * (1 << self.failures.min(5)))
        };
        self.failures = self.failures.saturating_add(1);
        // Whole milliseconds, because that is how the wait is announced.
        let wait = full.mul_f64(0.7 + 0.3 * self.fraction()).as_millis();
        Duration::from_millis(u64::try_from(wait).unwrap_or(u64::MAX))
    }

    /// A number from 0 to 1: SplitMix64, which is plenty for jitter.
    fn fraction(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_ten_seconds_and_never_grow_beyond() {
        let mut backoff = Backoff::new(1);
        for full in [500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000] {
            let wait = backoff.next(false).as_millis();
            assert!(wait >= full * 7 / 10 && wait <= full, "{wait} of {full}");
        }
    }

    #[test]
    fn only_a_steady_registration_starts_the_waits_anew() {
        let mut backoff = Backoff::new(1);
        for _ in 0..4 {
            backoff.next(false);
        }
        backoff.succeeded(STEADY / 2);
        assert!(backoff.next(false) > Duration::from_secs(5));
        backoff.succeeded(STEADY);
        assert!(backoff.next(false) <= FIRST);
    }

    #[test]
    fn a_refused_key_waits_long_and_seeds_differ() {
        assert!(Backoff::new(1).next(true) >= Duration::from_secs(21));
        assert_ne!(Backoff::new(1).next(false), Backoff::new(2).next(false));
    }
}
