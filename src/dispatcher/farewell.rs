//! Telling an endpoint that a job is over for it.
//!
//! Decides how often that is tried: by the agent's own schedule, as long as trying can help. Nobody waits for the
//! outcome, and the answer's body is ignored.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, Instant};

use crate::clock::{Clock, SystemClock};
use crate::dispatcher::answer;
use crate::dispatcher::machine::Outcome;
use crate::dispatcher::post::Webhook;
use crate::dispatcher::shared::Shared;

/// Sends `terminated` to one endpoint.
pub async fn send(shared: Arc<Shared>, agent_name: String, endpoint: usize, webhook: Webhook) {
    tokio::select! {
        () = deliver(&shared, &agent_name, endpoint, webhook) => {}
        () = shared.stop.cancelled() => {}
    }
}

async fn deliver(shared: &Shared, agent_name: &str, endpoint: usize, mut webhook: Webhook) {
    let Some(agent) = shared.agents.get(agent_name) else {
        return;
    };
    let (Some(target), Some(route)) = (
        agent.endpoints.get(endpoint),
        agent.plan.endpoints.get(endpoint),
    ) else {
        return;
    };
    let began = Instant::now();
    for attempt in 1.. {
        let timeout = Duration::from_millis(route.timeout_ms);
        let now = SystemClock.now_ms();
        let result = webhook
            .post(&shared.http, target, now / 1_000, timeout)
            .await;
        let Outcome::Retry { retry_after_ms, .. } = answer::judge(result, "", now) else {
            return;
        };
        let elapsed = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let wait = (agent.plan.schedule)
            .and_then(|schedule| schedule.next_wait(attempt, elapsed, retry_after_ms, None));
        let Some(wait_ms) = wait else {
            tracing::warn!(
                attempts = attempt,
                "an endpoint could not be told that a job is over"
            );
            return;
        };
        sleep(Duration::from_millis(wait_ms)).await;
    }
}
