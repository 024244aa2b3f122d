//! LiveKit's agent-worker protocol as plain values: binary protobuf in, binary protobuf out.
//!
//! Refuses undecodable messages and jobs without id or room; messages of a newer schema become `Unknown`. A decoded
//! job holds whitelisted fields only. Facts: livekit-server v1.13.5, `pkg/agent/worker.go`.

mod job;

use std::collections::BTreeMap;

use bytes::Bytes;
use livekit_protocol as wire;
use livekit_protocol::server_message::Message as In;
use livekit_protocol::worker_message::Message as Out;
use prost::Message;

use crate::id::{JobId, Secret, WorkerId};
use crate::words::{JobStatus, JobType};

use job::type_to_wire;
pub use job::{Job, Participant, Room};

/// What the agents' own SDKs call the agent's name; consumers look for it beside LiveKit's forced `lk.agent_name`.
const AGENT_NAME_ATTRIBUTE: &str = "lk.agent.name";

/// Why a message of the server was not understood. Never shows its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not a protobuf `ServerMessage`.
    #[error("not a ServerMessage of the worker protocol")]
    Protobuf,
    /// A field without which the message means nothing.
    #[error("the message has no {0}")]
    Missing(&'static str),
    /// A job type this build does not know.
    #[error("unknown job type {0}")]
    JobType(i32),
}

/// What the minted token allows the agent in the room. When absent, LiveKit's defaults hold, which are these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// Subscribe to tracks. Default: true.
    pub can_subscribe: bool,
    /// Publish tracks. Default: true.
    pub can_publish: bool,
    /// Publish data. Default: true.
    pub can_publish_data: bool,
    /// Change its own name, metadata and attributes. Default: true.
    pub can_update_metadata: bool,
    /// Be invisible to the other participants. Default: false.
    pub hidden: bool,
}

impl Default for Permissions {
    fn default() -> Self {
        Permissions {
            can_subscribe: true,
            can_publish: true,
            can_publish_data: true,
            can_update_metadata: true,
            hidden: false,
        }
    }
}

/// What a worker registers as. One socket serves one agent name and one job type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Empty: automatic dispatch, a job for every new room without explicit agents.
    pub agent_name: String,
    /// The type of jobs.
    pub job_type: JobType,
    /// Free text that LiveKit logs.
    pub version: String,
    /// What the minted tokens allow.
    pub permissions: Permissions,
}

/// The answer to an availability request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This worker takes the job.
    Accept(Acceptance),
    /// LiveKit asks the next worker; without one, the job is lost.
    Decline,
    /// Nobody should take this job: LiveKit counts it as succeeded.
    Terminate,
}

/// Who joins. An empty identity becomes `agent-<job id>`, because LiveKit's token would be unusable without one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acceptance {
    /// The identity in the minted token.
    pub identity: String,
    pub name: String,
    pub metadata: String,
    pub attributes: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromServer {
    /// Registered; jobs may follow at once.
    Registered {
        /// `AW_…`, new on every connection.
        worker_id: WorkerId,
        /// For example `1.13.5`; empty when the server does not say.
        server_version: String,
    },
    /// Will you take this job?
    Availability(Box<Job>),
    Assignment {
        job: Box<Job>,
        /// The token to join with, minted by LiveKit.
        token: Secret<String>,
        /// Where to join, if the server says (LiveKit's open-source server never does).
        url: Option<String>,
    },
    /// The job is over for LiveKit.
    Termination(JobId),
    /// The answer to a ping.
    Pong,
    /// A message of a newer schema.
    Unknown,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ToServer {
    /// Must be the first message.
    Register(Registration),
    /// The answer to an availability request.
    Availability {
        /// The job asked about.
        job_id: JobId,
        /// The name this worker registered under.
        agent_name: String,
        answer: Answer,
    },
    /// Whether this worker wants jobs. Both fields are always sent: an absent load would read as 0.
    UpdateWorker {
        /// `WS_FULL`: no offers.
        full: bool,
        /// 0 to 1; from 0.7 on LiveKit sends no offers.
        load: f32,
    },
    /// What became of a job.
    UpdateJob {
        job_id: JobId,
        status: JobStatus,
        /// Why it failed; LiveKit only logs it.
        error: String,
    },
    /// Asks for a pong.
    Ping {
        /// Echoed by the server.
        timestamp: i64,
    },
}

/// Decodes one binary message of the server.
pub fn decode(bytes: &[u8]) -> Result<FromServer, DecodeError> {
    let message = wire::ServerMessage::decode(bytes).map_err(|_| DecodeError::Protobuf)?;
    Ok(match message.message {
        Some(In::Register(response)) => FromServer::Registered {
            worker_id: WorkerId(response.worker_id),
            server_version: response.server_info.unwrap_or_default().version,
        },
        Some(In::Availability(request)) => {
            FromServer::Availability(Box::new(job::job(request.job)?))
        }
        Some(In::Assignment(assignment)) => FromServer::Assignment {
            job: Box::new(job::job(assignment.job)?),
            token: Secret::new(assignment.token),
            url: assignment.url.filter(|url| !url.is_empty()),
        },
        Some(In::Termination(termination)) => FromServer::Termination(JobId(termination.job_id)),
        Some(In::Pong(_)) => FromServer::Pong,
        Some(In::GoAway(_)) | None => FromServer::Unknown,
    })
}

/// Encodes one message for the server.
pub fn encode(message: ToServer) -> Bytes {
    let message = match message {
        ToServer::Register(registration) => Out::Register(register(registration)),
        ToServer::Availability {
            job_id,
            agent_name,
            answer,
        } => Out::Availability(availability(job_id, agent_name, answer)),
        ToServer::UpdateWorker { full, load } => Out::UpdateWorker(wire::UpdateWorkerStatus {
            status: Some(if full {
                wire::WorkerStatus::WsFull as i32
            } else {
                wire::WorkerStatus::WsAvailable as i32
            }),
            load,
            ..Default::default()
        }),
        ToServer::UpdateJob {
            job_id,
            status,
            error,
        } => Out::UpdateJob(wire::UpdateJobStatus {
            job_id: job_id.0,
            status: match status {
                JobStatus::Pending => wire::JobStatus::JsPending as i32,
                JobStatus::Running => wire::JobStatus::JsRunning as i32,
                JobStatus::Success => wire::JobStatus::JsSuccess as i32,
                JobStatus::Failed => wire::JobStatus::JsFailed as i32,
            },
            error,
        }),
        ToServer::Ping { timestamp } => Out::Ping(wire::WorkerPing { timestamp }),
    };
    let message = wire::WorkerMessage {
        message: Some(message),
    };
    Bytes::from(message.encode_to_vec())
}

fn register(registration: Registration) -> wire::RegisterWorkerRequest {
    let allowed = registration.permissions;
    wire::RegisterWorkerRequest {
        r#type: type_to_wire(registration.job_type),
        agent_name: registration.agent_name,
        version: registration.version,
        allowed_permissions: Some(wire::ParticipantPermission {
            can_subscribe: allowed.can_subscribe,
            can_publish: allowed.can_publish,
            can_publish_data: allowed.can_publish_data,
            can_update_metadata: allowed.can_update_metadata,
            hidden: allowed.hidden,
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn availability(job_id: JobId, agent_name: String, answer: Answer) -> wire::AvailabilityResponse {
    let mut response = wire::AvailabilityResponse {
        job_id: job_id.0,
        terminate: answer == Answer::Terminate,
        ..Default::default()
    };
    if let Answer::Accept(who) = answer {
        response.available = true;
        response.participant_identity = if who.identity.is_empty() {
            format!("agent-{}", response.job_id)
        } else {
            who.identity
        };
        response.participant_name = who.name;
        response.participant_metadata = who.metadata;
        response.participant_attributes = who.attributes.into_iter().collect();
        if !agent_name.is_empty() {
            response
                .participant_attributes
                .entry(AGENT_NAME_ATTRIBUTE.to_owned())
                .or_insert(agent_name);
        }
    }
    response
}

#[cfg(test)]
mod tests;
