//! A LiveKit job in our own words. Decides what of it is kept: fields are listed one by one, so that nothing of the
//! room's secrets (`turn_password`) or of later schemas gets through by accident.

use std::collections::BTreeMap;

use livekit_protocol as wire;
use serde::{Deserialize, Serialize};

use crate::id::{DispatchId, JobId, ParticipantSid, Pii, RoomSid};
use crate::worker::protocol::DecodeError;

/// What a job is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum JobType {
    /// One job per room.
    #[serde(rename = "JT_ROOM")]
    Room,
    /// One job per participant that publishes a first track.
    #[serde(rename = "JT_PUBLISHER")]
    Publisher,
    /// One job per participant.
    #[serde(rename = "JT_PARTICIPANT")]
    Participant,
}

impl JobType {
    pub const ALL: [JobType; 3] = [JobType::Room, JobType::Publisher, JobType::Participant];

    /// LiveKit's name: `JT_ROOM`, `JT_PUBLISHER`, `JT_PARTICIPANT`.
    pub const fn as_str(self) -> &'static str {
        match self {
            JobType::Room => "JT_ROOM",
            JobType::Publisher => "JT_PUBLISHER",
            JobType::Participant => "JT_PARTICIPANT",
        }
    }

    pub(super) fn to_wire(self) -> i32 {
        let kind = match self {
            JobType::Room => wire::JobType::JtRoom,
            JobType::Publisher => wire::JobType::JtPublisher,
            JobType::Participant => wire::JobType::JtParticipant,
        };
        kind as i32
    }

    fn from_wire(value: i32) -> Result<Self, DecodeError> {
        match wire::JobType::try_from(value) {
            Ok(wire::JobType::JtRoom) => Ok(JobType::Room),
            Ok(wire::JobType::JtPublisher) => Ok(JobType::Publisher),
            Ok(wire::JobType::JtParticipant) => Ok(JobType::Participant),
            Err(_) => Err(DecodeError::JobType(value)),
        }
    }
}

/// A job as LiveKit offers and assigns it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// `AJ_…`.
    pub id: JobId,
    /// `AD_…`; can be empty.
    pub dispatch_id: DispatchId,
    /// What it is about.
    pub job_type: JobType,
    /// The agent's name; empty for automatic dispatch.
    pub agent_name: String,
    /// The dispatch's deployment; mostly empty.
    pub deployment: String,
    pub room: Room,
    /// The participant it is about; `None` for `JT_ROOM`.
    pub participant: Option<Participant>,
    /// The dispatch's metadata, opaque.
    pub metadata: Pii<String>,
    pub attributes: Pii<BTreeMap<String, String>>,
}

/// The room of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// `RM_…`.
    pub sid: RoomSid,
    pub name: Pii<String>,
    /// Unix seconds.
    pub created_at: i64,
    pub metadata: Pii<String>,
    /// How many participants it had when the job was made.
    pub num_participants: u32,
}

/// The participant of a `JT_PARTICIPANT` or `JT_PUBLISHER` job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// `PA_…`.
    pub sid: ParticipantSid,
    pub identity: Pii<String>,
    pub name: Pii<String>,
    /// `STANDARD`, `INGRESS`, `EGRESS`, `SIP`, `AGENT` and so on; a kind newer than this build is `STANDARD`, as
    /// LiveKit's own clients read it.
    pub kind: String,
    pub metadata: Pii<String>,
    pub attributes: Pii<BTreeMap<String, String>>,
}

pub(super) fn job(job: Option<wire::Job>) -> Result<Job, DecodeError> {
    let job = job.ok_or(DecodeError::Missing("job"))?;
    if job.id.is_empty() {
        return Err(DecodeError::Missing("job.id"));
    }
    let kind = JobType::from_wire(job.r#type)?;
    Ok(Job {
        id: JobId(job.id),
        dispatch_id: DispatchId(job.dispatch_id),
        job_type: kind,
        agent_name: job.agent_name,
        deployment: job.deployment,
        room: room(job.room.ok_or(DecodeError::Missing("job.room"))?),
        participant: job.participant.map(participant),
        metadata: Pii(job.metadata),
        attributes: Pii(job.attributes.into_iter().collect()),
    })
}

fn room(room: wire::Room) -> Room {
    Room {
        sid: RoomSid(room.sid),
        name: Pii(room.name),
        created_at: room.creation_time,
        metadata: Pii(room.metadata),
        num_participants: room.num_participants,
    }
}

fn participant(info: wire::ParticipantInfo) -> Participant {
    let kind = info.kind().as_str_name().to_owned();
    Participant {
        sid: ParticipantSid(info.sid),
        identity: Pii(info.identity),
        name: Pii(info.name),
        kind,
        metadata: Pii(info.metadata),
        attributes: Pii(info.attributes.into_iter().collect()),
    }
}
