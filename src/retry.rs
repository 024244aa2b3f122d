//! When to try again: waits that double up to a ceiling, inside one budget, and what an HTTP status of a webhook's
//! receiver means for its delivery. Pure: time and randomness are arguments. It performs no wait and no request.

use std::time::UNIX_EPOCH;

/// How often and how long something is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The wait after the first attempt, in milliseconds; it doubles with each further one.
    pub initial_ms: u64,
    /// No wait is longer than this, `Retry-After` excepted.
    pub max_ms: u64,
    /// Attempts in all, the first included. 0 counts as 1.
    pub max_attempts: u32,
    /// No attempt starts later than this after the first began.
    pub budget_ms: u64,
}

impl Schedule {
    /// The protocol's default for webhooks: waits of 1, 2, 4 s … up to 10 s, at most 4 attempts, 60 s in all.
    pub const WEBHOOK: Schedule = Schedule {
        initial_ms: 1_000,
        max_ms: 10_000,
        max_attempts: 4,
        budget_ms: 60_000,
    };

    /// How long to wait after attempt number `attempt` (counted from 1) failed, or `None` when it was the last.
    ///
    /// `elapsed_ms` is the time since the first attempt began. A receiver's `Retry-After` lengthens the wait, never
    /// shortens it; one that leads beyond the budget ends the delivery, because coming earlier was asked against.
    /// `jitter` is a random number from 0 to 1 that draws the doubling wait from its upper half; `None` leaves it exact.
    pub fn next_wait(
        &self,
        attempt: u32,
        elapsed_ms: u64,
        retry_after_ms: Option<u64>,
        jitter: Option<f64>,
    ) -> Option<u64> {
        if attempt >= self.max_attempts {
            return None;
        }
        let doublings = attempt.saturating_sub(1).min(63);
        let exact = self
            .initial_ms
            .saturating_mul(1u64 << doublings)
            .min(self.max_ms);
        let spread = match jitter {
            Some(random) => {
                let half = exact / 2;
                half + ((exact - half) as f64 * random.clamp(0.0, 1.0)) as u64
            }
            None => exact,
        };
        let wait = spread.max(retry_after_ms.unwrap_or(0));
        (elapsed_ms.saturating_add(wait) <= self.budget_ms).then_some(wait)
    }
}

/// The waits of something that is tried for ever. Each is drawn at random, so that many who lost one server at one time
/// do not come back in step.
#[derive(Debug)]
pub struct Backoff {
    schedule: Schedule,
    failures: u32,
    random: u64,
}

impl Backoff {
    /// Waits that double from `initial_ms` to `max_ms`; a `seed` of its own on every start.
    pub fn new(initial_ms: u64, max_ms: u64, seed: u64) -> Self {
        let schedule = Schedule {
            initial_ms,
            max_ms,
            max_attempts: u32::MAX,
            budget_ms: u64::MAX,
        };
        Backoff {
            schedule,
            failures: 0,
            random: seed,
        }
    }

    /// How long to wait after one more failure, in milliseconds; at least as long as was asked for.
    pub fn next_wait(&mut self, asked_ms: Option<u64>) -> u64 {
        self.failures = self.failures.saturating_add(1).min(64);
        let jitter = Some(self.fraction());
        let wait = self.schedule.next_wait(self.failures, 0, asked_ms, jitter);
        wait.unwrap_or(self.schedule.max_ms)
    }

    /// It worked: the waits begin anew.
    pub fn reset(&mut self) {
        self.failures = 0;
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

/// A `Retry-After` value as milliseconds from `now_ms` (since the Unix epoch): whole seconds, or an HTTP date
/// (RFC 9110 §10.2.3). A date in the past is 0; anything else is `None`.
pub fn parse_retry_after(value: &str, now_ms: i64) -> Option<u64> {
    let value = value.trim_matches([' ', '\t']);
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(
            value
                .parse::<u64>()
                .map_or(u64::MAX, |seconds| seconds.saturating_mul(1_000)),
        );
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let at_ms = i64::try_from(date.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()?;
    Some(u64::try_from(at_ms.saturating_sub(now_ms)).unwrap_or(0))
}

/// What the HTTP status of an answer to a webhook means for its delivery (docs/webhook-protocol.md §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// 2xx: the body says whether the job was accepted.
    Answered,
    /// 408, 425, 429, 5xx: try this endpoint again by the schedule.
    Retry,
    /// 410: next endpoint, and this one is out until the configuration is reloaded.
    Gone,
    /// 3xx: a permanent failure, never followed.
    Redirect,
    /// Any other status: permanent for this endpoint, next one.
    Refused,
}

impl Verdict {
    /// Judges a status code.
    pub const fn of(status: u16) -> Verdict {
        match status {
            200..=299 => Verdict::Answered,
            408 | 425 | 429 | 500..=599 => Verdict::Retry,
            410 => Verdict::Gone,
            300..=399 => Verdict::Redirect,
            _ => Verdict::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn waits(schedule: Schedule) -> Vec<u64> {
        (1..)
            .map_while(|attempt| schedule.next_wait(attempt, 0, None, None))
            .collect()
    }

    #[test]
    fn s1_22_the_default_schedule_waits_1_2_4_seconds() {
        assert_eq!(waits(Schedule::WEBHOOK), [1_000, 2_000, 4_000]);
    }

    #[test]
    fn waits_double_up_to_the_ceiling() {
        let schedule = Schedule {
            max_attempts: 8,
            ..Schedule::WEBHOOK
        };
        assert_eq!(
            waits(schedule),
            [1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000]
        );
    }

    #[test]
    fn s1_22_one_attempt_means_no_wait_at_all() {
        for max_attempts in [0, 1] {
            let schedule = Schedule {
                max_attempts,
                ..Schedule::WEBHOOK
            };
            assert_eq!(schedule.next_wait(1, 0, None, None), None);
        }
    }

    #[test]
    fn retry_after_lengthens_a_wait_and_never_shortens_it() {
        let wait = |asked| Schedule::WEBHOOK.next_wait(2, 0, Some(asked), None);
        assert_eq!(wait(0), Some(2_000));
        assert_eq!(wait(15_000), Some(15_000));
    }

    #[test]
    fn a_wait_that_leaves_the_budget_ends_the_delivery() {
        let wait = |elapsed, asked| Schedule::WEBHOOK.next_wait(1, elapsed, asked, None);
        assert_eq!(wait(59_000, None), Some(1_000));
        assert_eq!(wait(59_001, None), None);
        assert_eq!(wait(0, Some(60_001)), None);
        assert_eq!(wait(u64::MAX, Some(u64::MAX)), None);
    }

    #[test]
    fn waits_without_an_end_double_to_the_longest_begin_anew_and_differ() {
        let mut backoff = Backoff::new(500, 10_000, 1);
        for full in [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000] {
            let wait = backoff.next_wait(None);
            assert!((full / 2..=full).contains(&wait), "{wait} of {full}");
        }
        assert_eq!(backoff.next_wait(Some(30_000)), 30_000);
        backoff.reset();
        assert!(backoff.next_wait(None) <= 500);
        let first = |seed| Backoff::new(500, 10_000, seed).next_wait(None);
        assert_ne!(first(1), first(2));
    }

    #[test]
    fn retry_after_is_seconds_or_an_http_date() {
        let now = 784_111_777_000; // Sun, 06 Nov 1994 08:49:37 GMT
        for (value, expected) in [
            ("120", Some(120_000)),
            (" 0 ", Some(0)),
            ("99999999999999999999", Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:49:40 GMT", Some(3_000)),
            ("Sunday, 06-Nov-94 08:49:40 GMT", Some(3_000)),
            ("Sun Nov  6 08:49:40 1994", Some(3_000)),
            ("Sun, 06 Nov 1994 08:49:30 GMT", Some(0)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(parse_retry_after(value, now), expected, "{value:?}");
        }
    }

    #[test]
    fn every_status_has_the_protocols_verdict() {
        for (status, verdict) in [
            (200, Verdict::Answered),
            (204, Verdict::Answered),
            (301, Verdict::Redirect),
            (400, Verdict::Refused),
            (401, Verdict::Refused),
            (404, Verdict::Refused),
            (408, Verdict::Retry),
            (410, Verdict::Gone),
            (413, Verdict::Refused),
            (425, Verdict::Retry),
            (429, Verdict::Retry),
            (500, Verdict::Retry),
            (503, Verdict::Retry),
            (599, Verdict::Retry),
            (101, Verdict::Refused),
            (600, Verdict::Refused),
        ] {
            assert_eq!(Verdict::of(status), verdict, "{status}");
        }
    }

    proptest! {
        #[test]
        fn no_schedule_waits_beyond_its_budget_or_panics(
            initial_ms: u64, max_ms: u64, max_attempts: u32, budget_ms: u64,
            attempt: u32, elapsed_ms: u64, retry_after: Option<u64>, jitter: Option<f64>,
        ) {
            let schedule = Schedule { initial_ms, max_ms, max_attempts, budget_ms };
            if let Some(wait) = schedule.next_wait(attempt, elapsed_ms, retry_after, jitter) {
                prop_assert!(elapsed_ms.checked_add(wait).is_some_and(|end| end <= budget_ms));
                prop_assert!(attempt < max_attempts);
                prop_assert!(wait >= retry_after.unwrap_or(0));
            }
        }

        #[test]
        fn jitter_keeps_a_wait_in_its_upper_half(attempt in 1u32..40, random in 0.0f64..=1.0) {
            let schedule = Schedule { max_attempts: 50, budget_ms: u64::MAX, ..Schedule::WEBHOOK };
            let exact = schedule.next_wait(attempt, 0, None, None).unwrap();
            let wait = schedule.next_wait(attempt, 0, None, Some(random)).unwrap();
            prop_assert!((exact / 2..=exact).contains(&wait));
        }

        #[test]
        fn any_retry_after_text_is_judged_without_a_panic(text in "\\PC*", now: i64) {
            let _ = parse_retry_after(&text, now);
        }
    }
}
