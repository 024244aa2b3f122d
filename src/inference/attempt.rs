//! What the end of one attempt means: try again after a wait, or not. One layer for HTTP and for WebSocket upgrades.
//!
//! **A call makes at most `max_retries + 1` attempts**, and never one that the server asked to make later than allowed.

#![forbid(unsafe_code)]

/// How one attempt ended without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server answered, or refused the upgrade, with this HTTP status.
    Status(u16),
    /// No answer: the connection failed, timed out, or closed before it opened.
    NoAnswer,
}

/// How often and when a call is tried again.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Attempts after the first. Default: 3.
    pub max_retries: u32,
    /// The wait before each retry in milliseconds; the last one repeats. Default: 100, 2000, 2000.
    pub waits_ms: Vec<u64>,
    /// The longest `Retry-After` that is waited for. Default: 60000.
    pub max_retry_after_ms: u64,
    /// The share of a wait that randomness may take away, 0 to 1. Default: 0.
    pub jitter: f64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            max_retries: 3,
            waits_ms: vec![100, 2_000, 2_000],
            max_retry_after_ms: 60_000,
            jitter: 0.0,
        }
    }
}

/// Whether the same request can succeed later: 408, 429, 499 and 5xx.
pub const fn is_retryable_status(status: u16) -> bool {
    matches!(status, 408 | 429 | 499 | 500..=599)
}

impl Outcome {
    /// Whether trying again can help.
    pub const fn is_retryable(self) -> bool {
        match self {
            Outcome::Status(status) => is_retryable_status(status),
            Outcome::NoAnswer => true,
        }
    }
}

impl RetryPolicy {
    /// How long to wait after attempt number `attempt` (counted from 1) ended so, or `None` when it was the last.
    ///
    /// The server's `Retry-After` lengthens the wait, never shortens it; one beyond the limit ends the call, because
    /// coming earlier was asked against. `random` is from 0 to 1 and only matters with jitter.
    pub fn next_wait(
        &self,
        attempt: u32,
        outcome: Outcome,
        retry_after_ms: Option<u64>,
        random: f64,
    ) -> Option<u64> {
        if attempt == 0 || attempt > self.max_retries || !outcome.is_retryable() {
            return None;
        }
        let retry_after = retry_after_ms.unwrap_or(0);
        if retry_after > self.max_retry_after_ms {
            return None;
        }
        let at = usize::try_from(attempt - 1)
            .unwrap_or(usize::MAX)
            .min(self.waits_ms.len().saturating_sub(1));
        let exact = self.waits_ms.get(at).copied().unwrap_or(0);
        let taken = exact as f64 * self.jitter.clamp(0.0, 1.0) * random.clamp(0.0, 1.0);
        Some(exact.saturating_sub(taken as u64).max(retry_after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn s0_12_the_status_of_a_refused_upgrade_decides() {
        for status in [408, 429, 499, 500, 502, 503, 504, 599] {
            assert!(is_retryable_status(status), "{status}");
        }
        for status in [200, 301, 400, 401, 403, 404, 409, 410, 422, 498, 600] {
            assert!(!is_retryable_status(status), "{status}");
        }
        assert!(Outcome::NoAnswer.is_retryable());
    }

    #[test]
    fn the_default_waits_are_a_tenth_of_a_second_and_twice_two() {
        let policy = RetryPolicy::default();
        let waits: Vec<_> = (1..=5)
            .map(|attempt| policy.next_wait(attempt, Outcome::Status(503), None, 0.9))
            .collect();
        assert_eq!(waits, [Some(100), Some(2_000), Some(2_000), None, None]);
    }

    #[test]
    fn retry_after_lengthens_and_one_beyond_the_limit_ends() {
        let policy = RetryPolicy::default();
        let wait = |after| policy.next_wait(2, Outcome::Status(429), Some(after), 0.0);
        assert_eq!(wait(1_000), Some(2_000));
        assert_eq!(wait(5_000), Some(5_000));
        assert_eq!(wait(60_000), Some(60_000));
        assert_eq!(wait(60_001), None);
    }

    proptest! {
        #[test]
        fn a_call_never_makes_more_than_its_attempts(
            max_retries in 0u32..20,
            waits_ms in prop::collection::vec(0u64..10_000, 0..5),
            jitter in -1.0f64..2.0,
            outcomes in prop::collection::vec((0u16..700, prop::option::of(0u64..100_000), -1.0f64..2.0), 40),
        ) {
            let policy = RetryPolicy { max_retries, waits_ms, jitter, ..RetryPolicy::default() };
            let mut attempts = 1u32;
            for (status, after, random) in outcomes {
                match policy.next_wait(attempts, Outcome::Status(status), after, random) {
                    Some(wait) => {
                        prop_assert!(is_retryable_status(status));
                        prop_assert!(wait >= after.unwrap_or(0));
                        attempts += 1;
                    }
                    None => break,
                }
            }
            prop_assert!(attempts <= max_retries + 1);
        }
    }
}
