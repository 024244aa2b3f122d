//! Whether anybody does the job that an endpoint took.
//!
//! Decides when the room is looked at, and what it means that nobody is there: an agent that never came has its endpoint
//! cancelled, one that came and left without a word ends the job. It refuses to wait for ever: for an agent to join, for
//! LiveKit to say that it left, for LiveKit to answer, or beyond the longest time a job may take.

use std::time::Instant;

use crate::dispatcher::machine::state::Look;
use crate::dispatcher::machine::{Effect, Machine, Notice, Stage, TOKEN_LIFE_MS};
use crate::words::{JobStatus, TerminationReason};

/// How often the room of a job is looked at that LiveKit does not know any more, or whose token has run out.
const LOOK_EVERY_MS: u64 = 60_000;
/// When the room is looked at again after LiveKit did not answer.
const LOOK_AGAIN_MS: u64 = 5_000;
/// When the room is looked at again after the agent was not there: it may be about to reconnect.
const ABSENT_AGAIN_MS: u64 = 10_000;
/// How long after the end of its token a job whose room cannot be looked at stays open.
const UNSEEN_MS: i64 = 3_600_000;

impl Machine {
    /// When the job has taken too long, in Unix milliseconds.
    pub(super) fn limit(&self) -> Option<i64> {
        let limit = self
            .record
            .created_at
            .saturating_add_unsigned(self.plan.max_duration_ms?);
        (self.record.stage < Stage::Ended && self.last_word.is_none()).then_some(limit)
    }

    fn expiry(&self) -> i64 {
        let known = self.record.token_expires_at;
        known.unwrap_or(self.record.created_at.saturating_add(TOKEN_LIFE_MS))
    }

    fn has_joined(&self) -> bool {
        self.watch.seen || self.record.status != JobStatus::Pending
    }

    /// When the room is to be looked at.
    pub(super) fn look_at(&self) -> Option<Instant> {
        match self.watch.next {
            Look::At(at) => Some(at),
            Look::AtExpiry => Some(self.date(self.expiry())),
            Look::Never | Look::Asked => None,
        }
    }

    /// Watches a delivered job.
    pub(super) fn watch_on(&mut self) {
        let unknown = self.detached || self.expiry() <= self.now.unix_ms;
        self.watch.next = if !self.has_joined() {
            Look::At(self.now.after_ms(self.plan.join_timeout_ms))
        } else if unknown {
            Look::At(self.now.after_ms(LOOK_EVERY_MS))
        } else {
            Look::AtExpiry
        };
    }

    pub(super) fn look(&mut self) {
        if self.watch.next == Look::AtExpiry && self.now.unix_ms < self.expiry() {
            return;
        }
        self.watch.next = Look::Asked;
        self.now_do(Effect::LookForParticipant);
    }

    /// Whether the job's identity is in the room; `None` = LiveKit did not say.
    pub(super) fn presence(&mut self, present: Option<bool>) {
        if self.watch.next != Look::Asked {
            return;
        }
        let joined = self.has_joined();
        let patience = if joined { UNSEEN_MS } else { 0 };
        let present = match present {
            None if self.now.unix_ms < self.expiry().saturating_add(patience) => {
                self.watch.next = Look::At(self.now.after_ms(LOOK_AGAIN_MS));
                return;
            }
            known => known.unwrap_or(false),
        };
        if present {
            self.watch.seen = true;
            self.watch.absent = false;
            self.watch_on();
        } else if !joined {
            self.nobody_came();
        } else if !std::mem::replace(&mut self.watch.absent, true) {
            self.watch.next = Look::At(self.now.after_ms(ABSENT_AGAIN_MS));
        } else {
            let told = self.post_terminated(TerminationReason::AgentLeft);
            self.hold_next(told);
            self.fail("the agent is no longer in the room and reported no result");
        }
    }

    fn nobody_came(&mut self) {
        let why = format!(
            "no agent reported or joined within {} ms",
            self.plan.join_timeout_ms
        );
        let attempts = self.record.delivery.as_ref().map_or(0, |d| d.attempt);
        self.in_doubt = true;
        match self.position() {
            Some(endpoint) => self.give_up(
                format!("endpoint {} took the job, and {why}", endpoint + 1),
                Some(Notice::DeliveryExhausted {
                    endpoint,
                    attempts,
                    why,
                }),
            ),
            None => self.give_up(why, None),
        }
    }

    /// The job has taken as long as it may.
    pub(super) fn took_too_long(&mut self) {
        let limit_ms = self.plan.max_duration_ms.unwrap_or_default();
        self.wind_up(
            TerminationReason::Expired,
            format!("the job took longer than max_duration ({limit_ms} ms)"),
        );
    }
}
