//! How often one job may report: a bucket of calls that fills up again with time.
//!
//! Decides yes, or how long to wait. It looks at no address: many agents share one behind a proxy.

use tokio::time::Instant;

const BURST: f64 = 20.0;
/// Calls a second after that.
const PER_SECOND: f64 = 5.0;

/// The calls one job has left.
#[derive(Debug, Default)]
pub struct Bucket {
    /// When it was last looked at, and what was left then; `None` = untouched, so full.
    state: Option<(Instant, f64)>,
}

impl Bucket {
    /// Takes one call; an error says after how many whole seconds there is one again.
    pub fn take(&mut self, now: Instant) -> Result<(), u64> {
        let left = match self.state {
            Some((then, left)) => {
                let since = now.saturating_duration_since(then).as_secs_f64();
                (left + since * PER_SECOND).min(BURST)
            }
            None => BURST,
        };
        if left < 1.0 {
            self.state = Some((now, left));
            return Err(((1.0 - left) / PER_SECOND).ceil().max(1.0) as u64);
        }
        self.state = Some((now, left - 1.0));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_passes_and_then_five_calls_a_second() {
        let now = Instant::now();
        let mut bucket = Bucket::default();
        assert_eq!((0..30).filter(|_| bucket.take(now).is_ok()).count(), 20);
        assert_eq!(bucket.take(now), Err(1));
        let later = now + Duration::from_secs(1);
        assert_eq!((0..30).filter(|_| bucket.take(later).is_ok()).count(), 5);
        let much_later = now + Duration::from_secs(3_600);
        assert_eq!(
            (0..30).filter(|_| bucket.take(much_later).is_ok()).count(),
            20
        );
    }
}
