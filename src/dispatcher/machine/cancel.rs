//! A delivery that is given up although its agent may be on its way.
//!
//! Decides that it is cancelled in this order: written down (from then on its bearer changes nothing), told, removed from
//! the room; only then is the next endpoint asked. It refuses to ask it while the room may hold the other one's agent:
//! both would join under one identity, and LiveKit would throw one out and end the job.

use crate::dispatcher::machine::state::{Flight, Watch};
use crate::dispatcher::machine::{Effect, Machine, Notice, Removal, Stage};
use crate::words::TerminationReason;

/// When the removal is tried again after LiveKit did not answer.
const REMOVE_AGAIN_MS: u64 = 1_000;
/// How long the removal is tried before the job fails.
const REMOVE_FOR_MS: u64 = 60_000;
/// How long LiveKit's termination of a job may follow the removal of its participant; measured: 2 to 4 ms.
const OWN_REMOVAL_MS: u64 = 5_000;

impl Machine {
    /// The current endpoint will not have the job; the next one is asked.
    pub(super) fn give_up(&mut self, failure: String, notice: Option<Notice>) {
        self.failure = failure;
        self.flight = Flight::None;
        self.watch = Watch::default();
        self.hold_next(notice.map(Effect::Notice));
        if std::mem::take(&mut self.in_doubt) {
            self.cancel();
        } else {
            self.ask_next();
        }
    }

    /// Cancels the current delivery; after a restart once more, because nobody knows how far that came.
    pub(super) fn cancel(&mut self) {
        if let Some(delivery) = &mut self.record.delivery {
            delivery.cancelled = true;
        }
        self.record.stage = Stage::Delivering;
        let told = self.post_terminated(TerminationReason::Cancelled);
        self.hold_next(told);
        self.flight = Flight::Clearing {
            since: self.now.instant,
            again_at: None,
            unsure: false,
            terminated: false,
        };
        self.save(true, [Effect::RemoveParticipant]);
    }

    /// Asks once more for the removal.
    pub(super) fn clear(&mut self) {
        if let Flight::Clearing { again_at, .. } = &mut self.flight {
            *again_at = None;
            self.now_do(Effect::RemoveParticipant);
        }
    }

    pub(super) fn removal(&mut self, removal: Removal) {
        let Flight::Clearing {
            since,
            again_at: None,
            unsure,
            terminated,
        } = self.flight
        else {
            return;
        };
        self.flight = Flight::None;
        match removal {
            Removal::Unknown { why } => {
                let waited = self.now.instant.saturating_duration_since(since);
                if waited.as_millis() >= u128::from(REMOVE_FOR_MS) {
                    let failure = std::mem::take(&mut self.failure);
                    self.fail(&format!(
                        "{failure}; its agent could not be removed from the room: {why}"
                    ));
                    return;
                }
                self.flight = Flight::Clearing {
                    since,
                    again_at: Some(self.now.after_ms(REMOVE_AGAIN_MS)),
                    unsure: true,
                    terminated,
                };
            }
            Removal::Nobody if terminated && !unsure => self.ended_by_livekit(),
            Removal::Nobody if !unsure => self.ask_next(),
            Removal::Removed | Removal::Nobody => {
                // LiveKit ends a job whose participant is removed, and knows nothing of the one that joins next.
                self.detached = true;
                if !terminated {
                    self.own_removal_until = Some(self.now.after_ms(OWN_REMOVAL_MS));
                }
                self.ask_next();
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
}
