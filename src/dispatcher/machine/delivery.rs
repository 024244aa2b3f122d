//! The delivery part of the machine: endpoints in order, attempts by the schedule, and what an outcome leads to.
//!
//! Decides who is asked next and when. It refuses to start an attempt whose token would not live long enough, and to
//! leave an endpoint that may have taken the job without telling it that the job is over.

use crate::dispatcher::machine::{
    Delivery, Effect, Flight, Machine, Notice, Outcome, Reading, Stage, TOKEN_MARGIN_MS,
};
use crate::words::TerminationReason;

impl Machine {
    /// Starts the first delivery, or the one that a restart interrupted: its last attempt is made once more, because
    /// nobody knows what came of it, and the receiver knows the job by its id.
    pub(super) fn begin(&mut self, now: i64) {
        match (self.endpoint(), &mut self.record.delivery) {
            (Some(_), Some(delivery)) => {
                delivery.attempt = delivery.attempt.saturating_sub(1);
                delivery.started_at = now;
                self.attempt(now);
            }
            _ => self.ask(now, 0),
        }
    }

    /// The current delivery's endpoint, unless it is gone from the plan.
    fn endpoint(&self) -> Option<usize> {
        let url = &self.record.delivery.as_ref()?.url;
        self.plan
            .endpoints
            .iter()
            .position(|route| route.url == *url)
            .filter(|_| !self.gone.contains(url))
    }

    /// Starts a delivery at the first usable endpoint from this one on.
    fn ask(&mut self, now: i64, from: usize) {
        let next = self.plan.endpoints.iter().enumerate().skip(from);
        let Some(url) = next
            .map(|(_, route)| &route.url)
            .find(|url| !self.gone.contains(*url))
            .cloned()
        else {
            let why = match self.failure.as_str() {
                "" => "every endpoint of this agent has answered 410 Gone".to_owned(),
                failure => failure.to_owned(),
            };
            self.fail(now, &why);
            return;
        };
        let number = self
            .record
            .delivery
            .as_ref()
            .map_or(0, |delivery| delivery.number)
            + 1;
        self.record.delivery = Some(Delivery {
            number,
            url,
            attempt: 0,
            started_at: now,
        });
        self.in_doubt = false;
        self.attempt(now);
    }

    /// Writes the next attempt down, then makes it.
    pub(super) fn attempt(&mut self, now: i64) {
        self.flight = Flight::None;
        let (Some(endpoint), Some(token)) = (self.endpoint(), &self.record.token) else {
            self.fail(now, "there is no endpoint or no token to go on with");
            return;
        };
        let left = token.expires_at - TOKEN_MARGIN_MS - now;
        if left <= 0 {
            self.give_up_in_doubt();
            self.fail(
                now,
                "the join token would expire before an agent could use it",
            );
            return;
        }
        let timeout_ms = self.plan.endpoints[endpoint].timeout_ms.min(left as u64);
        let Some(current) = &mut self.record.delivery else {
            return;
        };
        current.attempt += 1;
        let (delivery, attempt) = (current.number, current.attempt);
        self.record.stage = Stage::Delivering;
        self.flight = Flight::Attempt;
        self.save(
            now,
            false,
            [Effect::Post {
                endpoint,
                delivery,
                attempt,
                timeout_ms,
            }],
        );
    }

    pub(super) fn attempted(&mut self, now: i64, delivery: u32, attempt: u32, outcome: Outcome) {
        let current = self.record.delivery.as_ref();
        let is_current =
            current.is_some_and(|current| (current.number, current.attempt) == (delivery, attempt));
        if !is_current || self.flight != Flight::Attempt {
            return;
        }
        self.flight = Flight::None;
        let Some(endpoint) = self.position() else {
            self.ask(now, 0);
            return;
        };
        match outcome {
            Outcome::Accepted { reading } => {
                self.record.stage = Stage::Delivered;
                self.record.token = None;
                self.in_doubt = false;
                self.save(
                    now,
                    true,
                    [Effect::Notice(Notice::Delivered {
                        endpoint,
                        attempt,
                        reading,
                    })],
                );
            }
            Outcome::Rejected { reason } => {
                self.failure = match &reason {
                    Some(reason) => format!("endpoint {} rejected the job: {reason}", endpoint + 1),
                    None => format!("endpoint {} rejected the job", endpoint + 1),
                };
                self.in_doubt = false;
                self.hold_next(Effect::Notice(Notice::Rejected { endpoint, reason }));
                self.ask(now, endpoint + 1);
            }
            Outcome::Retry {
                why,
                retry_after_ms,
                in_doubt,
            } => {
                self.in_doubt |= in_doubt;
                self.wait_or_move_on(now, endpoint, attempt, why, retry_after_ms);
            }
            Outcome::Permanent { why, gone } => {
                if gone {
                    let url = self.plan.endpoints[endpoint].url.clone();
                    self.gone.insert(url.clone());
                    self.now_do(Effect::DisableEndpoint { url });
                }
                self.exhausted(now, endpoint, attempt, why);
            }
        }
    }

    fn wait_or_move_on(
        &mut self,
        now: i64,
        endpoint: usize,
        attempt: u32,
        why: String,
        retry_after_ms: Option<u64>,
    ) {
        let started_at = self
            .record
            .delivery
            .as_ref()
            .map_or(now, |delivery| delivery.started_at);
        let elapsed = now.saturating_sub(started_at).max(0) as u64;
        let wait = (self.plan.schedule)
            .and_then(|schedule| schedule.next_wait(attempt, elapsed, retry_after_ms, None))
            .filter(|_| self.endpoint().is_some());
        match wait {
            Some(retry_in_ms) => {
                self.flight = Flight::Wait {
                    until: now.saturating_add_unsigned(retry_in_ms),
                };
                self.now_do(Effect::Notice(Notice::AttemptFailed {
                    endpoint,
                    attempt,
                    why,
                    retry_in_ms,
                }));
            }
            None => self.exhausted(now, endpoint, attempt, why),
        }
    }

    /// This endpoint will not take the job; the next one is asked.
    fn exhausted(&mut self, now: i64, endpoint: usize, attempts: u32, why: String) {
        let times = if attempts == 1 {
            "1 attempt".to_owned()
        } else {
            format!("{attempts} attempts")
        };
        self.failure = format!(
            "endpoint {} did not take the job after {times}: {why}",
            endpoint + 1
        );
        self.give_up_in_doubt();
        self.hold_next(Effect::Notice(Notice::DeliveryExhausted {
            endpoint,
            attempts,
            why,
        }));
        self.ask(now, endpoint + 1);
    }

    /// An endpoint that may have taken the job must not start an agent beside the next endpoint's.
    fn give_up_in_doubt(&mut self) {
        if std::mem::take(&mut self.in_doubt) {
            if let Some(effect) = self.post_terminated(TerminationReason::Cancelled) {
                self.hold_next(effect);
            }
        }
    }

    pub(super) fn post_terminated(&self, reason: TerminationReason) -> Option<Effect> {
        let delivery = self.record.delivery.as_ref()?.number;
        self.position().map(|endpoint| Effect::PostTerminated {
            endpoint,
            delivery,
            reason,
        })
    }

    /// The current delivery's place in the plan, whether or not more may be sent there.
    fn position(&self) -> Option<usize> {
        let url = &self.record.delivery.as_ref()?.url;
        self.plan
            .endpoints
            .iter()
            .position(|route| route.url == *url)
    }

    pub(super) fn endpoint_gone(&mut self, now: i64, url: String) {
        let waiting_here = matches!(self.flight, Flight::Wait { .. })
            && self
                .record
                .delivery
                .as_ref()
                .is_some_and(|delivery| delivery.url == url);
        self.gone.insert(url);
        if let (true, Some(endpoint)) = (waiting_here, self.position()) {
            self.flight = Flight::None;
            let attempts = self
                .record
                .delivery
                .as_ref()
                .map_or(0, |delivery| delivery.attempt);
            self.exhausted(
                now,
                endpoint,
                attempts,
                "it answered 410 Gone to another job".to_owned(),
            );
        }
    }

    /// The agent reports while its answer to the POST is still on the way, or was lost. The attempt is not cut off:
    /// its outcome has no consequence any more, and a connection broken off would look like a fault to the agent.
    pub(super) fn taken_by_status(&mut self) {
        if self.record.stage >= Stage::Delivered {
            return;
        }
        self.drop_held_post();
        self.flight = Flight::None;
        self.begin_when_saved = false;
        self.in_doubt = false;
        self.record.stage = Stage::Delivered;
        self.record.token = None;
        let attempt = (self.record.delivery.as_ref()).map_or(0, |delivery| delivery.attempt);
        if let Some(endpoint) = self.position() {
            let delivered = Notice::Delivered {
                endpoint,
                attempt,
                reading: Reading::Clear,
            };
            self.hold_next(Effect::Notice(delivered));
        }
    }

    /// An attempt that waits for its record will not be made.
    fn drop_held_post(&mut self) {
        self.held
            .retain(|(_, effect)| !matches!(effect, Effect::Post { .. }));
    }

    /// Leaves no attempt under way and none about to start.
    pub(super) fn stop_attempt(&mut self) {
        self.drop_held_post();
        if std::mem::replace(&mut self.flight, Flight::None) == Flight::Attempt {
            self.now_do(Effect::CancelAttempt);
        }
    }
}
