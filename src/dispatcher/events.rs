//! What the program that runs a dispatcher is told, and the bounded queue it pulls it from.
//!
//! Decides the shape of each event: ids, names from the configuration, numbers, reasons. It refuses to carry anything
//! about people: no identity, no room name, no metadata, no token. A program that does not pull loses the oldest events,
//! and learns how many.

use std::collections::VecDeque;

use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;
use tokio::sync::Notify;

/// How many events wait at most.
const LIMIT: usize = 4_096;

/// An event and when it happened.
#[derive(Clone, Debug, Serialize)]
pub struct Stamped {
    /// Unix milliseconds, with a fraction.
    pub at: f64,
    #[serde(flatten)]
    pub event: Event,
}

#[derive(Clone, Debug, Serialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
#[non_exhaustive]
pub enum Event {
    /// A worker socket is registered with LiveKit.
    Registered {
        agent_name: String,
        job_type: &'static str,
        /// `AW_…`
        worker_id: String,
        server_version: String,
    },
    /// A worker socket lost LiveKit.
    Disconnected {
        agent_name: String,
        job_type: &'static str,
        reason: String,
        /// When it is tried again; absent = never.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_in_ms: Option<u64>,
    },
    /// LiveKit offered a job; `at` is when the offer came.
    JobOffered {
        /// `AJ_…`
        job_id: String,
        /// `AD_…`
        dispatch_id: String,
        agent_name: String,
        job_type: &'static str,
        /// Whether there was room for it, and the answer was in time.
        accepted: bool,
        /// How long the answer took, in milliseconds, with a fraction.
        answered_in_ms: f64,
    },
    /// LiveKit assigned a job.
    JobAssigned {
        /// `AJ_…`
        job_id: String,
    },
    AttemptStarted {
        /// `AJ_…`
        job_id: String,
        /// The endpoint without its query.
        endpoint: String,
        /// Which attempt at this endpoint, from 1.
        attempt: u32,
    },
    /// An attempt failed and will be repeated.
    AttemptFailed {
        /// `AJ_…`
        job_id: String,
        /// The endpoint without its query.
        endpoint: String,
        /// Which attempt at this endpoint, from 1.
        attempt: u32,
        reason: String,
        /// When the next one starts.
        retry_in_ms: u64,
    },
    /// An endpoint took a job.
    Delivered {
        /// `AJ_…`
        job_id: String,
        /// The endpoint without its query.
        endpoint: String,
        /// Which attempt did it.
        attempt: u32,
        /// Whether it said so readably; false = a 2xx without a readable body.
        parsed: bool,
        /// Whether it named another identity than the token's, which decides.
        identity_mismatch: bool,
    },
    /// An endpoint does not want a job.
    Rejected {
        /// `AJ_…`
        job_id: String,
        /// The endpoint without its query.
        endpoint: String,
        /// In its own words.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// An endpoint did not take a job and is not asked again for it.
    DeliveryExhausted {
        /// `AJ_…`
        job_id: String,
        /// The endpoint without its query.
        endpoint: String,
        /// How many attempts were made.
        attempts: u32,
        /// Why the last one failed.
        reason: String,
    },
    /// An endpoint answered 410: it is not used again by this dispatcher.
    EndpointDisabled {
        /// The endpoint without its query.
        endpoint: String,
    },
    /// An agent reported that it runs.
    JobRunning {
        /// `AJ_…`
        job_id: String,
    },
    /// A job is over.
    JobEnded {
        /// `AJ_…`
        job_id: String,
        /// `success` or `failed`.
        status: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// As many jobs are open as may be: what LiveKit offers is declined until one ends.
    AtCapacity { active_jobs: usize, max_jobs: usize },
    /// So many events were lost before this one, because nobody pulled them.
    EventsDropped { count: u64 },
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Stamped>,
    dropped: u64,
    ended: bool,
}

#[derive(Default)]
pub struct Events {
    state: Mutex<State>,
    news: Notify,
}

impl Events {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Adds an event; never waits.
    pub fn push(&self, at: f64, event: Event) {
        let mut state = self.state();
        if state.ended {
            return;
        }
        if state.waiting.len() == LIMIT {
            state.waiting.pop_front();
            state.dropped += 1;
        }
        state.waiting.push_back(Stamped { at, event });
        drop(state);
        self.news.notify_one();
    }

    /// No more events will come.
    pub fn end(&self) {
        self.state().ended = true;
        self.news.notify_one();
    }

    /// Waits for events and hands over at most `max` of them; `None` when there will be no more. For one caller at a
    /// time.
    pub async fn next(&self, max: usize) -> Option<Vec<Stamped>> {
        loop {
            let news = self.news.notified();
            {
                let mut state = self.state();
                if !state.waiting.is_empty() {
                    return Some(state.take(max.max(1)));
                }
                if state.ended {
                    // Whoever else asks must hear it too.
                    self.news.notify_one();
                    return None;
                }
            }
            news.await;
        }
    }
}

impl State {
    fn take(&mut self, max: usize) -> Vec<Stamped> {
        let count = max.min(self.waiting.len());
        let mut events: Vec<Stamped> = Vec::with_capacity(count + 1);
        let dropped = std::mem::take(&mut self.dropped);
        if let (true, Some(first)) = (dropped > 0, self.waiting.front()) {
            let at = first.at;
            events.push(Stamped {
                at,
                event: Event::EventsDropped { count: dropped },
            });
        }
        events.extend(self.waiting.drain(..count));
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(n: usize) -> Event {
        Event::JobAssigned {
            job_id: format!("AJ_{n}"),
        }
    }

    #[tokio::test]
    async fn events_come_in_order_and_the_end_comes_once_they_are_gone() {
        let events = Events::default();
        (0..5).for_each(|n| events.push(n as f64, event(n)));
        events.end();
        events.push(9.0, event(9));
        let ats = |batch: Option<Vec<Stamped>>| {
            batch.map(|batch| batch.iter().map(|event| event.at).collect::<Vec<_>>())
        };
        assert_eq!(ats(events.next(3).await), Some(vec![0.0, 1.0, 2.0]));
        assert_eq!(ats(events.next(3).await), Some(vec![3.0, 4.0]));
        assert_eq!(ats(events.next(3).await), None);
        assert_eq!(ats(events.next(3).await), None);
    }

    #[tokio::test]
    async fn what_nobody_pulls_is_dropped_and_counted() {
        let events = Events::default();
        (0..LIMIT + 7).for_each(|n| events.push(n as f64, event(n)));
        let batch = events.next(1).await.unwrap();
        assert!(matches!(batch[0].event, Event::EventsDropped { count: 7 }));
        assert_eq!(batch[1].at, 7.0);
    }

    #[test]
    fn an_event_is_flat_json_in_camel_case() {
        let ended = Event::JobEnded {
            job_id: "AJ_1".into(),
            status: "failed",
            error: Some("why".into()),
        };
        assert_eq!(
            serde_json::to_string(&Stamped {
                at: 1.5,
                event: ended
            })
            .unwrap(),
            r#"{"at":1.5,"type":"jobEnded","jobId":"AJ_1","status":"failed","error":"why"}"#
        );
    }
}
