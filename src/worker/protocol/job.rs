//! A LiveKit job in our own words. Decides what of it is kept: fields are listed one by one, so that nothing of the
//! room's secrets (`turn_password`) or of later schemas gets through by accident.

use std::collections::BTreeMap;

use livekit_protocol as wire;
use serde::{Deserialize, Serialize};

use crate::id::{DispatchId, JobId, ParticipantSid, Pii, RoomSid};
use crate::words::JobType;
use crate::worker::protocol::DecodeError;

pub(super) fn type_to_wire(job_type: JobType) -> i32 {
    let job_type = match job_type {
        JobType::Room => wire::JobType::JtRoom,
        JobType::Publisher => wire::JobType::JtPublisher,
        JobType::Participant => wire::JobType::JtParticipant,
    };
    job_type as i32
}

fn type_from_wire(value: i32) -> Result<JobType, DecodeError> {
    match wire::JobType::try_from(value) {
        Ok(wire::JobType::JtRoom) => Ok(JobType::Room),
        Ok(wire::JobType::JtPublisher) => Ok(JobType::Publisher),
        Ok(wire::JobType::JtParticipant) => Ok(JobType::Participant),
        Err(_) => Err(DecodeError::JobType(value)),
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
    let kind = type_from_wire(job.r#type)?;
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
