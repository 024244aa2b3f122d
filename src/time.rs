//! What time it is, for code that is told: no machine and no rule looks at a clock itself.
//!
//! Decides that the two clocks are never mixed. Only the wall clock goes on while a computer sleeps; only the steady one
//! never jumps.

use std::time::{Duration, Instant};

/// Stands for "never" where an addition would overflow: a hundred years.
const FAR_MS: u64 = 3_155_760_000_000;

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The steady clock: waits are measured on it.
    pub instant: Instant,
    /// The wall clock, in Unix milliseconds: dates are compared with it.
    pub unix_ms: i64,
}

impl Now {
    /// The steady clock, so many milliseconds later.
    pub fn after_ms(self, ms: u64) -> Instant {
        self.instant + Duration::from_millis(ms.min(FAR_MS))
    }

    /// When the steady clock shows what the wall clock will at this date, if neither is interfered with until then.
    pub fn instant_of(self, unix_ms: i64) -> Instant {
        self.after_ms(u64::try_from(unix_ms.saturating_sub(self.unix_ms)).unwrap_or(0))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::LazyLock;

    static START: LazyLock<Instant> = LazyLock::new(Instant::now);

    /// Both clocks, so many milliseconds after the tests' own beginning of time.
    pub(crate) fn at(ms: u64) -> Now {
        Now {
            instant: *START + Duration::from_millis(ms),
            unix_ms: ms as i64,
        }
    }

    #[test]
    fn a_wait_or_a_date_beyond_every_clock_is_far_away_and_no_panic() {
        assert!(at(0).after_ms(u64::MAX) > at(FAR_MS - 1).instant);
        assert_eq!(at(5).instant_of(i64::MIN), at(5).instant);
        assert_eq!(at(5).instant_of(8), at(8).instant);
    }
}
