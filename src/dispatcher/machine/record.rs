//! What is kept of one job, and all that is sent out about it.
//!
//! Decides which fields of LiveKit's job leave this process: a fixed list, so that a room's `turn_password` or a field
//! that LiveKit adds tomorrow never does. Refuses to print names, metadata or tokens.

use std::collections::BTreeMap;

use livekit_protocol::participant_info;
use livekit_protocol::Job;
use livekit_protocol::JobStatus;
use livekit_protocol::JobType;
use serde::Deserialize;
use serde::Serialize;

use crate::id::DispatchId;
use crate::id::JobId;
use crate::id::ParticipantSid;
use crate::id::Pii;
use crate::id::RoomSid;
use crate::id::Secret;

/// How far a job has come. Later stages are larger; a job never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// LiveKit asked; nothing is written yet.
    Offered,
    /// Written down, then answered with "available".
    Answered,
    /// LiveKit assigned it and sent the token.
    Assigned,
    /// Attempts are under way.
    Delivering,
    /// An endpoint took it.
    Delivered,
    /// The agent is in the room.
    Running,
    /// Over, for whatever reason.
    Ended,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Stage; 7] = [
        Stage::Offered,
        Stage::Answered,
        Stage::Assigned,
        Stage::Delivering,
        Stage::Delivered,
        Stage::Running,
        Stage::Ended,
    ];

    /// The stage as it is stored and reported.
    pub const fn as_str(self) -> &'static str {
        match self {
            Stage::Offered => "offered",
            Stage::Answered => "answered",
            Stage::Assigned => "assigned",
            Stage::Delivering => "delivering",
            Stage::Delivered => "delivered",
            Stage::Running => "running",
            Stage::Ended => "ended",
        }
    }
}

/// What LiveKit says about a job, in the names of the webhook's body and no more than its list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobInfo {
    /// `AJ_…`
    pub job_id: JobId,
    /// `AD_…`, may be empty.
    pub dispatch_id: DispatchId,
    /// `JT_ROOM`, `JT_PUBLISHER` or `JT_PARTICIPANT`.
    pub job_type: String,
    /// The name the job was dispatched to.
    pub agent_name: String,
    /// The room.
    pub room: RoomInfo,
    /// Whom the job is about; absent for `JT_ROOM`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub participant: Option<ParticipantInfo>,
    /// The dispatch's metadata.
    pub metadata: Pii<String>,
    /// The dispatch's attributes.
    pub attributes: Pii<BTreeMap<String, String>>,
}

/// A room, as far as agents are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomInfo {
    /// `RM_…`
    pub sid: RoomSid,
    /// Its name.
    pub name: Pii<String>,
    /// Unix seconds.
    pub created_at: i64,
    /// Its metadata.
    pub metadata: Pii<String>,
    /// How many participants LiveKit counted when it offered the job.
    pub num_participants: u32,
}

/// A participant, as far as agents are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParticipantInfo {
    /// `PA_…`
    pub sid: ParticipantSid,
    /// Its identity.
    pub identity: Pii<String>,
    /// Its display name.
    pub name: Pii<String>,
    /// `STANDARD`, `SIP`, …
    pub kind: String,
    /// Its metadata.
    pub metadata: Pii<String>,
    /// Its attributes.
    pub attributes: Pii<BTreeMap<String, String>>,
}

impl From<Job> for JobInfo {
    fn from(job: Job) -> Self {
        let job_type = JobType::try_from(job.r#type).unwrap_or_default();
        let room = job.room.unwrap_or_default();
        JobInfo {
            job_id: JobId(job.id),
            dispatch_id: DispatchId(job.dispatch_id),
            job_type: job_type.as_str_name().to_owned(),
            agent_name: job.agent_name,
            room: RoomInfo {
                sid: RoomSid(room.sid),
                name: Pii(room.name),
                created_at: room.creation_time,
                metadata: Pii(room.metadata),
                num_participants: room.num_participants,
            },
            participant: job.participant.map(|participant| ParticipantInfo {
                kind: participant_info::Kind::try_from(participant.kind)
                    .unwrap_or_default()
                    .as_str_name()
                    .to_owned(),
                sid: ParticipantSid(participant.sid),
                identity: Pii(participant.identity),
                name: Pii(participant.name),
                metadata: Pii(participant.metadata),
                attributes: Pii(participant.attributes.into_iter().collect()),
            }),
            metadata: Pii(job.metadata),
            attributes: Pii(job.attributes.into_iter().collect()),
        }
    }
}

/// The join token of a job, kept until an endpoint has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The token as LiveKit minted it.
    pub jwt: Secret<String>,
    /// When it expires, in Unix milliseconds.
    pub expires_at: i64,
}

/// The delivery under way, or the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Which delivery of the job this is, from 1.
    pub number: u32,
    /// The endpoint's URL.
    pub url: String,
    /// The attempt under way, or the last one; from 1.
    pub attempt: u32,
    /// When the first attempt at this endpoint began, in Unix milliseconds.
    pub started_at: i64,
}

/// Everything a restart needs to know about a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What LiveKit said.
    pub info: JobInfo,
    /// The identity the agent joins with.
    pub identity: Pii<String>,
    /// How far it has come.
    pub stage: Stage,
    /// What is known of the outcome.
    pub status: JobStatus,
    /// Why it failed.
    pub error: Option<String>,
    /// SHA-256 of every status bearer handed out for it, in hex.
    pub bearers: Vec<String>,
    /// The join token, while it is still needed.
    pub token: Option<Token>,
    /// The delivery, once there is one.
    pub delivery: Option<Delivery>,
    /// LiveKit ended the job and the agent has not reported since: when that was, in Unix milliseconds.
    pub terminated_at: Option<i64>,
    /// When LiveKit offered it, in Unix milliseconds.
    pub created_at: i64,
    /// When this record was last changed, in Unix milliseconds.
    pub updated_at: i64,
    /// When it ended, in Unix milliseconds.
    pub ended_at: Option<i64>,
}

impl Record {
    /// The job's id.
    pub fn job_id(&self) -> &JobId {
        &self.info.job_id
    }
}

/// Whether a status is final.
pub fn is_terminal(status: JobStatus) -> bool {
    matches!(status, JobStatus::JsSuccess | JobStatus::JsFailed)
}

/// What becomes of a reported status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusRule {
    /// It is news.
    Apply,
    /// It is known already.
    Repeat,
    /// It contradicts a final status.
    Conflict,
}

/// The status machine: pending → running → success or failed; final ones stay.
pub fn judge_status(current: JobStatus, reported: JobStatus) -> StatusRule {
    if current == reported {
        StatusRule::Repeat
    } else if is_terminal(current) {
        StatusRule::Conflict
    } else {
        StatusRule::Apply
    }
}

/// Cuts an error text to what is kept: 1 KiB, at a character's edge.
pub fn cut_error(text: &str) -> String {
    const LIMIT: usize = 1_024;
    if text.len() <= LIMIT {
        return text.to_owned();
    }
    let mut end = LIMIT;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use livekit_protocol::ParticipantInfo as WireParticipant;
    use livekit_protocol::Room;

    #[test]
    fn s1_22_only_listed_fields_leave_and_never_the_turn_password() {
        let job = Job {
            id: "AJ_1".into(),
            dispatch_id: "AD_1".into(),
            r#type: JobType::JtParticipant as i32,
            agent_name: "a".into(),
            metadata: "m".into(),
            room: Some(Room {
                sid: "RM_1".into(),
                name: "r".into(),
                turn_password: "sesame".into(),
                creation_time: 5,
                ..Default::default()
            }),
            participant: Some(WireParticipant {
                sid: "PA_1".into(),
                identity: "i".into(),
                joined_at: 7,
                ..Default::default()
            }),
            ..Default::default()
        };
        let json = serde_json::to_value(JobInfo::from(job)).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "job_id": "AJ_1", "dispatch_id": "AD_1", "job_type": "JT_PARTICIPANT", "agent_name": "a",
                "room": {"sid": "RM_1", "name": "r", "created_at": 5, "metadata": "", "num_participants": 0},
                "participant": {"sid": "PA_1", "identity": "i", "name": "", "kind": "STANDARD", "metadata": "", "attributes": {}},
                "metadata": "m", "attributes": {},
            })
        );
    }

    #[test]
    fn a_final_status_stays_and_a_repeat_is_no_news() {
        use JobStatus::*;
        for (current, reported, rule) in [
            (JsPending, JsRunning, StatusRule::Apply),
            (JsPending, JsSuccess, StatusRule::Apply),
            (JsPending, JsFailed, StatusRule::Apply),
            (JsRunning, JsRunning, StatusRule::Repeat),
            (JsRunning, JsSuccess, StatusRule::Apply),
            (JsSuccess, JsSuccess, StatusRule::Repeat),
            (JsSuccess, JsFailed, StatusRule::Conflict),
            (JsSuccess, JsRunning, StatusRule::Conflict),
            (JsFailed, JsRunning, StatusRule::Conflict),
            (JsFailed, JsFailed, StatusRule::Repeat),
        ] {
            assert_eq!(
                judge_status(current, reported),
                rule,
                "{current:?} {reported:?}"
            );
        }
    }

    #[test]
    fn an_error_is_cut_to_1_kib_between_characters() {
        assert_eq!(cut_error("short"), "short");
        let cut = cut_error(&format!("x{}", "é".repeat(1_000)));
        assert_eq!(cut.len(), 1_023);
    }
}
