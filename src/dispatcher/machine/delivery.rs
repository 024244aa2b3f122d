//! The delivery part of the machine: endpoints in order, attempts by the schedule, and what an outcome leads to.
//!
//! Decides who is asked next and when, under a bearer for that delivery alone. It refuses to start an attempt whose token
//! would not live long enough.

use crate::dispatcher::machine::state::Flight;
use crate::dispatcher::machine::{
    Bearer, Delivery, Effect, Machine, Notice, Outcome, Reading, Stage,
};

/// An agent needs this much life in its token to join.
pub(super) const TOKEN_MARGIN_MS: i64 = 300_000;

const NOT_CONFIGURED: &str = "the agent is no longer configured";
const TOKEN_TOO_OLD: &str = "the join token would expire before an agent could use it";

impl Machine {
    /// Goes on with the delivery that a restart interrupted: its last attempt is made once more, because nobody knows
    /// what came of it, and the receiver knows the job by its id.
    pub(super) fn resume(&mut self) {
        let configured = !self.plan.endpoints.is_empty();
        let Some(delivery) = &mut self.record.delivery else {
            if !configured {
                self.failure = NOT_CONFIGURED.to_owned();
            }
            self.ask_next();
            return;
        };
        self.in_doubt = true;
        let cancelled = delivery.cancelled;
        delivery.attempt = delivery.attempt.saturating_sub(1);
        match self.endpoint() {
            Some(endpoint) if cancelled => {
                let failure = format!("endpoint {} did not take the job", endpoint + 1);
                self.give_up(failure, None);
            }
            Some(endpoint) => {
                self.remember_bearer(endpoint);
                self.attempt();
            }
            None if configured => self.give_up(
                "the endpoint that was asked is no longer configured".to_owned(),
                None,
            ),
            None => self.give_up(NOT_CONFIGURED.to_owned(), None),
        }
    }

    /// The current delivery's endpoint, unless it is gone from the plan.
    fn endpoint(&self) -> Option<usize> {
        let url = &self.record.delivery.as_ref()?.url;
        self.position().filter(|_| !self.gone.contains(url))
    }

    /// The current delivery's place in the plan, whether or not more may be sent there.
    pub(super) fn position(&self) -> Option<usize> {
        let url = &self.record.delivery.as_ref()?.url;
        self.plan
            .endpoints
            .iter()
            .position(|route| route.url == *url)
    }

    /// Starts a delivery at the first usable endpoint after the current one.
    pub(super) fn ask_next(&mut self) {
        let from = self.position().map_or(0, |position| position + 1);
        let next = self.plan.endpoints.iter().enumerate().skip(from);
        let Some((endpoint, url)) = next
            .map(|(endpoint, route)| (endpoint, &route.url))
            .find(|(_, url)| !self.gone.contains(*url))
        else {
            let why = match self.failure.as_str() {
                "" => "every endpoint of this agent has answered 410 Gone".to_owned(),
                failure => failure.to_owned(),
            };
            self.fail(&why);
            return;
        };
        let number = self.record.delivery.as_ref().map_or(0, |d| d.number) + 1;
        self.record.delivery = Some(Delivery {
            number,
            url: url.clone(),
            attempt: 0,
            started_at: self.now.unix_ms,
            cancelled: false,
        });
        self.began_at = self.now.instant;
        self.in_doubt = false;
        self.remember_bearer(endpoint);
        self.attempt();
    }

    /// The bearer of this endpoint speaks for the current delivery.
    fn remember_bearer(&mut self, endpoint: usize) {
        if let (Some(hash), Some(delivery)) = (self.bearers.get(endpoint), &self.record.delivery) {
            self.record.bearers.push(Bearer {
                delivery: delivery.number,
                hash: hash.clone(),
            });
        }
    }

    /// Writes the next attempt down, then makes it.
    pub(super) fn attempt(&mut self) {
        self.flight = Flight::None;
        let (Some(endpoint), Some(_)) = (self.endpoint(), &self.record.token) else {
            self.give_up(
                "there is no endpoint or no token to go on with".to_owned(),
                None,
            );
            return;
        };
        let expires_at = self.record.token_expires_at.unwrap_or_default();
        let left = expires_at - TOKEN_MARGIN_MS - self.now.unix_ms;
        let Some(current) = &mut self.record.delivery else {
            return;
        };
        if left <= 0 {
            let attempts = current.attempt;
            if attempts == 0 && !self.in_doubt {
                self.fail(TOKEN_TOO_OLD);
            } else {
                self.exhausted(endpoint, attempts.max(1), TOKEN_TOO_OLD.to_owned());
            }
            return;
        }
        let timeout_ms = self.plan.endpoints[endpoint].timeout_ms.min(left as u64);
        current.attempt += 1;
        let (delivery, attempt) = (current.number, current.attempt);
        self.record.stage = Stage::Delivering;
        self.flight = Flight::Attempt;
        // The first one carries the assignment and its token to the disk; a repeated one is worth no sync.
        let durable = attempt == 1;
        self.save(
            durable,
            [Effect::Post {
                endpoint,
                delivery,
                attempt,
                timeout_ms,
            }],
        );
    }

    pub(super) fn attempted(&mut self, delivery: u32, attempt: u32, outcome: Outcome) {
        let current = self.record.delivery.as_ref();
        let is_current =
            current.is_some_and(|current| (current.number, current.attempt) == (delivery, attempt));
        let (true, Flight::Attempt, Some(endpoint)) = (is_current, self.flight, self.position())
        else {
            return;
        };
        self.flight = Flight::None;
        match outcome {
            Outcome::Accepted { reading } => {
                self.in_doubt = false;
                self.taken(endpoint, attempt, reading);
                self.save(true, []);
            }
            Outcome::Rejected { reason } => {
                let failure = match &reason {
                    Some(reason) => format!("endpoint {} rejected the job: {reason}", endpoint + 1),
                    None => format!("endpoint {} rejected the job", endpoint + 1),
                };
                self.give_up(failure, Some(Notice::Rejected { endpoint, reason }));
            }
            Outcome::Retry {
                why,
                retry_after_ms,
                in_doubt,
            } => {
                self.in_doubt |= in_doubt;
                self.wait_or_move_on(endpoint, attempt, why, retry_after_ms);
            }
            Outcome::Permanent { why, gone } => {
                if gone {
                    let url = self.plan.endpoints[endpoint].url.clone();
                    self.gone.insert(url.clone());
                    self.now_do(Effect::DisableEndpoint { url });
                }
                self.exhausted(endpoint, attempt, why);
            }
        }
    }

    /// The endpoint has the job; the caller writes that down.
    fn taken(&mut self, endpoint: usize, attempt: u32, reading: Reading) {
        self.record.stage = Stage::Delivered;
        self.watch_on();
        self.hold_next([Effect::Notice(Notice::Delivered {
            endpoint,
            attempt,
            reading,
        })]);
    }

    fn wait_or_move_on(
        &mut self,
        endpoint: usize,
        attempt: u32,
        why: String,
        retry_after_ms: Option<u64>,
    ) {
        let elapsed = self.now.instant.saturating_duration_since(self.began_at);
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let wait = (self.plan.schedule)
            .and_then(|schedule| schedule.next_wait(attempt, elapsed_ms, retry_after_ms, None))
            .filter(|_| self.endpoint().is_some());
        match wait {
            Some(retry_in_ms) => {
                self.flight = Flight::Wait {
                    until: self.now.after_ms(retry_in_ms),
                };
                self.now_do(Effect::Notice(Notice::AttemptFailed {
                    endpoint,
                    attempt,
                    why,
                    retry_in_ms,
                }));
            }
            None => self.exhausted(endpoint, attempt, why),
        }
    }

    /// This endpoint will not take the job; the next one is asked.
    fn exhausted(&mut self, endpoint: usize, attempts: u32, why: String) {
        let times = if attempts == 1 {
            "1 attempt".to_owned()
        } else {
            format!("{attempts} attempts")
        };
        let failure = format!(
            "endpoint {} did not take the job after {times}: {why}",
            endpoint + 1
        );
        let notice = Notice::DeliveryExhausted {
            endpoint,
            attempts,
            why,
        };
        self.give_up(failure, Some(notice));
    }

    pub(super) fn endpoint_gone(&mut self, url: String) {
        let current = self.record.delivery.as_ref();
        let attempts = current.filter(|d| d.url == url).map(|d| d.attempt);
        self.gone.insert(url);
        if let (Flight::Wait { .. }, Some(attempts), Some(endpoint)) =
            (self.flight, attempts, self.position())
        {
            let why = "it answered 410 Gone to another job".to_owned();
            self.exhausted(endpoint, attempts, why);
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
        self.in_doubt = false;
        let attempt = (self.record.delivery.as_ref()).map_or(0, |delivery| delivery.attempt);
        match self.position() {
            Some(endpoint) => self.taken(endpoint, attempt, Reading::Clear),
            None => self.record.stage = Stage::Delivered,
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
