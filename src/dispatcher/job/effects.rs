//! How each effect of a job's machine is carried out.
//!
//! Decides nothing about the job. It refuses to let an effect hold the job's task up: a POST and a farewell run beside
//! it, and their outcome comes back as a message.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::clock::{Clock, SystemClock};
use crate::contain;
use crate::dispatcher::agents::ReadyAgent;
use crate::dispatcher::events::Event;
use crate::dispatcher::job::JobTask;
use crate::dispatcher::machine::{Effect, Input, Notice, Outcome, Reading, Removal};
use crate::dispatcher::post::{JobExtras, Webhook};
use crate::dispatcher::shared::{Message, Shared};
use crate::dispatcher::{answer, farewell, room_service};
use crate::id::JobId;
use crate::words::JobStatus;
use crate::worker::{Acceptance, Answer, AnswerOutcome};

/// What became of something that panicked.
const BUG: &str = "a bug in the dispatcher";

impl JobTask {
    pub(super) async fn effect(&mut self, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Answer { available } => return self.answer(available).await,
            Effect::Post {
                endpoint,
                delivery,
                attempt,
                timeout_ms,
            } => {
                self.post(endpoint, delivery, attempt, timeout_ms);
            }
            Effect::CancelAttempt => {
                if let Some(attempt) = self.attempt.take() {
                    attempt.abort();
                }
            }
            Effect::DisableEndpoint { url } => {
                if self.shared.disable(&url) {
                    let endpoint = self.agent().and_then(|agent| {
                        let found = agent
                            .endpoints
                            .iter()
                            .find(|endpoint| endpoint.url.as_str() == url);
                        found.map(|endpoint| endpoint.shown.clone())
                    });
                    let endpoint = endpoint.unwrap_or_default();
                    self.shared.tell(Event::EndpointDisabled { endpoint });
                }
            }
            Effect::PostTerminated {
                endpoint,
                delivery,
                reason,
            } => {
                let webhook = Webhook::terminated(self.machine.record(), delivery, reason);
                let farewell =
                    farewell::send(self.shared.clone(), self.agent_name(), endpoint, webhook);
                self.shared.farewells.spawn(farewell);
            }
            Effect::RemoveParticipant => {
                let (shared, room, identity) = self.participant();
                let work = async move {
                    room_service::remove(&shared.http, &shared.livekit, &room, &identity).await
                };
                let why = BUG.to_owned();
                self.beside(work, Removal::Unknown { why }, Input::Removal);
            }
            Effect::LookForParticipant => {
                let (shared, room, identity) = self.participant();
                let work = async move {
                    room_service::is_present(&shared.http, &shared.livekit, &room, &identity).await
                };
                self.beside(work, None, Input::Presence);
            }
            Effect::Report { status, error } => self.report(status, error).await,
            Effect::Reply { ticket, answer } => {
                if let Some(reply) = self.replies.remove(&ticket) {
                    // Whoever asked may have gone; the status is written all the same.
                    let _ = reply.send(answer);
                }
            }
            Effect::Notice(notice) => self.notice(notice),
            Effect::Forget => {}
        }
        None
    }

    async fn answer(&mut self, available: bool) -> Option<Input> {
        let offer = self.offer.as_ref()?;
        let job_id = self.job_id();
        let agent = self.agent().filter(|_| available);
        let answer = match agent {
            Some(ready) => Answer::Accept(Acceptance {
                identity: self.machine.record().identity.0.clone(),
                name: ready.agent.participant_name.clone(),
                metadata: ready.agent.participant_metadata.clone(),
                attributes: ready.agent.participant_attributes.clone(),
            }),
            None => Answer::Decline,
        };
        let accepted = matches!(answer, Answer::Accept(_));
        let outcome = offer.worker.answer(&job_id, answer).await;
        let told = accepted && outcome == AnswerOutcome::Sent;
        self.shared
            .tell_offer(&self.machine.record().job, offer.received_at, told);
        (accepted && outcome == AnswerOutcome::NotWaiting).then_some(Input::AssignmentLost)
    }

    fn post(&mut self, endpoint: usize, delivery: u32, attempt: u32, timeout_ms: u64) {
        let record = self.machine.record();
        let webhook = self.bearers.0.get(endpoint).and_then(|bearer| {
            let extras = JobExtras {
                agent_name: &record.job.agent_name,
                server_url: self.server_url(),
                status_url: format!(
                    "{}/api/agents/jobs/{}/status",
                    self.shared.status_base,
                    record.job_id()
                ),
                status_token: bearer,
                attempt,
                deadline_ms: timeout_ms,
            };
            Webhook::job(record, delivery, extras)
        });
        self.shared.tell(Event::AttemptStarted {
            job_id: self.job_id().0,
            endpoint: self.shown(endpoint),
            attempt,
        });
        let (shared, agent_name) = (self.shared.clone(), self.agent_name());
        let identity = record.identity.0.clone();
        let work = async move {
            let agent = shared.agents.get(&agent_name);
            let target = agent.and_then(|agent| agent.endpoints.get(endpoint));
            let (Some(target), Some(mut webhook)) = (target, webhook) else {
                let why = BUG.to_owned();
                return Outcome::Permanent { why, gone: false };
            };
            let now_s = SystemClock.now_ms() / 1_000;
            let timeout = Duration::from_millis(timeout_ms);
            let result = webhook.post(&shared.http, target, now_s, timeout).await;
            answer::judge(result, &identity, SystemClock.now_ms())
        };
        let panicked = Outcome::Retry {
            why: BUG.to_owned(),
            retry_after_ms: None,
            in_doubt: true,
        };
        let attempted = move |outcome| Input::Attempted {
            delivery,
            attempt,
            outcome,
        };
        self.attempt = Some(self.beside(work, panicked, attempted));
    }

    /// Does something beside the job's task; what comes of it, or of its panic, is told to the machine.
    pub(super) fn beside<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
        panicked: T,
        input: impl FnOnce(T) -> Input + Send + 'static,
    ) -> AbortHandle {
        let (inbox, stop) = (self.entry.inbox.clone(), self.shared.stop.clone());
        let task = self.shared.tasks.spawn(async move {
            let outcome = tokio::select! {
                outcome = contain::future(work) => outcome.unwrap_or(panicked),
                () = stop.cancelled() => return,
            };
            // The job may be over by now; then nobody needs the outcome.
            let _ = inbox.send(Message::Input(input(outcome))).await;
        });
        task.abort_handle()
    }

    fn participant(&self) -> (Arc<Shared>, String, String) {
        let record = self.machine.record();
        let room = record.job.room.name.0.clone();
        (self.shared.clone(), room, record.identity.0.clone())
    }

    pub(super) async fn report(&self, status: JobStatus, error: Option<String>) {
        // A job of an earlier run has no socket any more; LiveKit has forgotten it.
        if let Some(offer) = &self.offer {
            let outcome = offer
                .worker
                .update_job(&self.job_id(), status, error.as_deref().unwrap_or_default())
                .await;
            tracing::debug!(job_id = %self.job_id(), ?outcome, "a status was forwarded to LiveKit");
        }
    }

    fn notice(&self, notice: Notice) {
        let job_id = self.job_id().0;
        let event = match notice {
            Notice::Delivered {
                endpoint,
                attempt,
                reading,
            } => {
                match reading {
                    Reading::Clear => {}
                    Reading::OtherIdentity => tracing::debug!(
                        job_id,
                        reason = "identity_mismatch",
                        "an endpoint took a job under an identity that its token does not carry; the token decides"
                    ),
                    Reading::WrongFields => tracing::warn!(
                        job_id,
                        reason = "wrong_fields",
                        "an endpoint took a job with an answer of which a field was ignored: it is of another type than the protocol's"
                    ),
                    Reading::Empty => tracing::debug!(
                        job_id,
                        reason = "accepted_unparsed",
                        "an endpoint took a job with an empty answer"
                    ),
                }
                let endpoint = self.shown(endpoint);
                Event::Delivered {
                    job_id,
                    endpoint,
                    attempt,
                    parsed: reading != Reading::Empty,
                    identity_mismatch: reading == Reading::OtherIdentity,
                }
            }
            Notice::Rejected { endpoint, reason } => Event::Rejected {
                job_id,
                endpoint: self.shown(endpoint),
                reason,
            },
            Notice::AttemptFailed {
                endpoint,
                attempt,
                why,
                retry_in_ms,
            } => {
                let endpoint = self.shown(endpoint);
                Event::AttemptFailed {
                    job_id,
                    endpoint,
                    attempt,
                    reason: why,
                    retry_in_ms,
                }
            }
            Notice::DeliveryExhausted {
                endpoint,
                attempts,
                why,
            } => {
                let endpoint = self.shown(endpoint);
                Event::DeliveryExhausted {
                    job_id,
                    endpoint,
                    attempts,
                    reason: why,
                }
            }
            Notice::Status { .. } => Event::JobRunning { job_id },
            Notice::Ended { status, error } => Event::JobEnded {
                job_id,
                status: status.state(),
                error,
            },
        };
        self.shared.tell(event);
    }

    pub(super) fn job_id(&self) -> JobId {
        self.machine.record().job_id().clone()
    }

    fn agent_name(&self) -> String {
        self.machine.record().job.agent_name.clone()
    }

    fn agent(&self) -> Option<&ReadyAgent> {
        self.shared
            .agents
            .get(&self.machine.record().job.agent_name)
    }

    fn shown(&self, endpoint: usize) -> String {
        let endpoint = self.agent().and_then(|agent| agent.endpoints.get(endpoint));
        endpoint
            .map(|endpoint| endpoint.shown.clone())
            .unwrap_or_default()
    }

    /// What the configuration says agents join, else what LiveKit said, else where the dispatcher itself connects.
    fn server_url(&self) -> String {
        let livekit = &self.shared.livekit;
        let said = self
            .machine
            .record()
            .token
            .as_ref()
            .and_then(|token| token.url.clone());
        livekit
            .public_url
            .clone()
            .or(said)
            .unwrap_or_else(|| livekit.url.clone())
    }
}
