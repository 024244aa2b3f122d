//! One webhook: its body, its signature, its request.
//!
//! Decides what an agent is told, field by field (docs/webhook-protocol.md §1), so that a room's `turn_password` or a
//! field that LiveKit adds tomorrow never leaves. Every attempt is a new request with a new timestamp and a new
//! signature, under the delivery's unchanging id.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::dispatcher::agents::ReadyEndpoint;
use crate::dispatcher::machine::Record;
use crate::id::Secret;
use crate::net::http::{Answer, HttpClient, NetError};
use crate::webhook::sign;
use crate::words::TerminationReason;
use crate::worker::protocol::{Participant, Room};

/// What receivers take (docs/webhook-protocol.md §5): LiveKit's own limits, escaped, with room to spare.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// Why an attempt has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// Nothing was sent: no receiver would take it.
    #[error("the webhook would be {0} bytes long, because of the job's metadata and attributes; receivers take {MAX_BODY_BYTES}")]
    TooLarge(usize),
    #[error(transparent)]
    Net(#[from] NetError),
}

/// A webhook before its attempt: what does not change from one attempt to the next.
pub struct Webhook {
    pub id: String,
    body: Body,
}

#[derive(Serialize)]
struct Body {
    event: &'static str,
    job_id: String,
    #[serde(flatten)]
    rest: Rest,
    timestamp: i64,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Rest {
    Job(Box<JobBody>),
    Terminated { room: Room, reason: &'static str },
}

#[derive(Serialize)]
struct JobBody {
    dispatch_id: String,
    job_type: &'static str,
    agent_name: String,
    room: Room,
    #[serde(skip_serializing_if = "Option::is_none")]
    participant: Option<Participant>,
    metadata: String,
    attributes: BTreeMap<String, String>,
    access_token: String,
    participant_identity: String,
    server_url: String,
    status_url: String,
    status_token: String,
    attempt: u32,
    deadline_ms: u64,
}

/// What the job webhook says beyond the record.
pub struct JobExtras<'a> {
    /// The agent name that is configured.
    pub agent_name: &'a str,
    pub server_url: String,
    /// Where the status goes.
    pub status_url: String,
    pub status_token: &'a Secret<String>,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// How long the answer is waited for, in milliseconds.
    pub deadline_ms: u64,
}

/// The id of a delivery: the same for every attempt, and after a restart too.
fn delivery_id(record: &Record, delivery: u32) -> String {
    format!("{}-{delivery}", record.job_id().as_str().replace('.', "_"))
}

impl Webhook {
    /// The webhook that hands a job over; `None` once the record holds no token any more.
    pub fn job(record: &Record, delivery: u32, extras: JobExtras<'_>) -> Option<Webhook> {
        let job = record.job.clone();
        let token = record.token.as_ref()?;
        let body = JobBody {
            dispatch_id: job.dispatch_id.0,
            job_type: job.job_type.as_str(),
            agent_name: extras.agent_name.to_owned(),
            room: job.room,
            participant: job.participant,
            metadata: job.metadata.0,
            attributes: job.attributes.0,
            access_token: token.jwt.expose().clone(),
            participant_identity: record.identity.0.clone(),
            server_url: extras.server_url,
            status_url: extras.status_url,
            status_token: extras.status_token.expose().clone(),
            attempt: extras.attempt,
            deadline_ms: extras.deadline_ms,
        };
        Some(Webhook {
            id: delivery_id(record, delivery),
            body: Body {
                event: "job",
                job_id: job.id.0,
                rest: Rest::Job(Box::new(body)),
                timestamp: 0,
            },
        })
    }

    /// The webhook that says that a job is over.
    pub fn terminated(record: &Record, delivery: u32, reason: TerminationReason) -> Webhook {
        Webhook {
            id: format!("{}-terminated", delivery_id(record, delivery)),
            body: Body {
                event: "terminated",
                job_id: record.job_id().0.clone(),
                rest: Rest::Terminated {
                    room: record.job.room.clone(),
                    reason: reason.as_str(),
                },
                timestamp: 0,
            },
        }
    }

    /// Makes one attempt. `now_s` is the wall clock in Unix seconds, for the body, the header and the signatures.
    pub async fn post(
        &mut self,
        http: &HttpClient,
        endpoint: &ReadyEndpoint,
        now_s: i64,
        timeout: Duration,
    ) -> Result<Answer, PostError> {
        let (headers, bytes) = self.signed(endpoint, now_s)?;
        let answer = http
            .post_json(&endpoint.url, &headers, bytes, timeout)
            .await?;
        Ok(answer)
    }

    fn signed(
        &mut self,
        endpoint: &ReadyEndpoint,
        now_s: i64,
    ) -> Result<(Vec<(String, String)>, Bytes), PostError> {
        self.body.timestamp = now_s;
        let bytes = serde_json::to_vec(&self.body).map_err(|_| NetError::Header)?;
        if bytes.len() > MAX_BODY_BYTES {
            return Err(PostError::TooLarge(bytes.len()));
        }
        let signed =
            sign(&endpoint.secrets, &bytes, &self.id, now_s).map_err(|_| NetError::Header)?;
        let own = signed
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let headers = own.chain(endpoint.headers.iter().cloned()).collect();
        Ok((headers, Bytes::from(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatcher::machine::tests::{job, token};
    use crate::id::Pii;
    use crate::secret::{SecretOptions, Secrets};
    use crate::words::JobStatus;
    use url::Url;

    fn record() -> Record {
        Record {
            job: job(),
            identity: Pii("agent-AJ_1".into()),
            stage: crate::dispatcher::machine::Stage::Delivering,
            status: JobStatus::Pending,
            error: None,
            bearers: vec![],
            token: Some(token()),
            token_expires_at: None,
            delivery: None,
            terminated_at: None,
            created_at: 0,
            updated_at: 0,
            ended_at: None,
        }
    }

    fn endpoint() -> ReadyEndpoint {
        ReadyEndpoint {
            url: Url::parse("https://e.example/").unwrap(),
            shown: String::new(),
            secrets: Secrets::new(&[SecretOptions::new("0123456789abcdef")]).unwrap(),
            headers: vec![("x-custom".into(), "v".into())],
        }
    }

    fn job_webhook() -> Webhook {
        let extras = JobExtras {
            agent_name: "a",
            server_url: "wss://l.example".into(),
            status_url: "https://d.example/s".into(),
            status_token: &Secret::new("bearer".into()),
            attempt: 2,
            deadline_ms: 10_000,
        };
        Webhook::job(&record(), 1, extras).unwrap()
    }

    #[test]
    fn s1_22_the_job_webhook_has_exactly_the_protocols_fields() {
        let (_, bytes) = job_webhook().signed(&endpoint(), 77).unwrap();
        let body: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(
            body,
            serde_json::json!({
                "event": "job", "job_id": "AJ_1", "dispatch_id": "AD_1", "job_type": "JT_ROOM", "agent_name": "a",
                "room": {"sid": "RM_1", "name": "r", "created_at": 5, "metadata": "", "num_participants": 0},
                "metadata": "", "attributes": {}, "access_token": "jwt", "participant_identity": "agent-AJ_1",
                "server_url": "wss://l.example", "status_url": "https://d.example/s", "status_token": "bearer",
                "attempt": 2, "deadline_ms": 10000, "timestamp": 77,
            })
        );
    }

    #[test]
    fn the_terminated_webhook_has_exactly_the_protocols_fields() {
        let mut webhook = Webhook::terminated(&record(), 1, TerminationReason::DispatchDeleted);
        let (_, bytes) = webhook.signed(&endpoint(), 77).unwrap();
        let body: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(
            body,
            serde_json::json!({
                "event": "terminated", "job_id": "AJ_1", "reason": "dispatch_deleted", "timestamp": 77,
                "room": {"sid": "RM_1", "name": "r", "created_at": 5, "metadata": "", "num_participants": 0},
            })
        );
    }

    #[test]
    fn f_d10_what_no_receiver_would_take_is_not_sent_and_the_reason_says_so() {
        let mut record = record();
        let text = |bytes| Pii("\u{1}".repeat(bytes));
        record.job.metadata = text(512 * 1024);
        let mut webhook = |metadata| {
            record.job.room.metadata = metadata;
            let extras = JobExtras {
                agent_name: "a",
                server_url: String::new(),
                status_url: String::new(),
                status_token: &Secret::new(String::new()),
                attempt: 1,
                deadline_ms: 1,
            };
            let mut webhook = Webhook::job(&record, 1, extras).unwrap();
            webhook
                .signed(&endpoint(), 77)
                .map(|(_, bytes)| bytes.len())
        };
        assert!(
            webhook(text(0)).is_ok(),
            "one field of LiveKit's largest, escaped six-fold"
        );
        let error = webhook(text(512 * 1024)).unwrap_err();
        assert!(error.to_string().contains("metadata"), "{error}");
    }

    #[test]
    fn every_attempt_is_signed_afresh_under_the_same_id() {
        let mut webhook = job_webhook();
        let headers = |webhook: &mut Webhook, at| {
            let (headers, _) = webhook.signed(&endpoint(), at).unwrap();
            headers.into_iter().collect::<BTreeMap<_, _>>()
        };
        let (first, second) = (headers(&mut webhook, 77), headers(&mut webhook, 78));
        assert_eq!(first["webhook-id"], "AJ_1-1");
        assert_eq!(first["webhook-id"], second["webhook-id"]);
        assert_eq!(
            (
                &*first["X-LiveKit-Timestamp"],
                &*second["webhook-timestamp"]
            ),
            ("77", "78")
        );
        assert_ne!(first["X-LiveKit-Signature"], second["X-LiveKit-Signature"]);
        assert_eq!(first["x-custom"], "v");
    }
}
