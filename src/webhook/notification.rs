//! What a webhook says, read once: the schema of docs/webhook-protocol.md §1 as one type, with personal data and secrets
//! in types that do not print. JavaScript gets this very value, serialised. Unknown fields are passed over.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::id::{DispatchId, JobId, ParticipantSid, Pii, RoomSid, Secret};
use crate::json::{Json, Object};
use crate::token::Claims;
use crate::webhook::fields::{FieldProblem, Fields};
use crate::words::JobType;

/// What the sender wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// A job with its token: accept or reject, then join.
    #[default]
    Job,
    /// A job without a token yet: would you take it?
    Offer,
    /// A job that was handed over has ended.
    Terminated,
}

impl Event {
    fn parse(word: &str) -> Option<Event> {
        match word {
            "job" => Some(Event::Job),
            "offer" => Some(Event::Offer),
            "terminated" => Some(Event::Terminated),
            _ => None,
        }
    }
}

/// The room of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Room {
    /// `RM_…`.
    pub sid: RoomSid,
    /// The name it is joined by.
    pub name: Pii<String>,
    /// Unix seconds, from `created_at` or `creation_time`.
    #[serde(rename = "createdAt", serialize_with = "some_ms")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at_s: Option<i64>,
    pub metadata: Pii<String>,
    /// Participants when the webhook was built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_participants: Option<i64>,
}

/// The participant a publisher or participant job is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Participant {
    /// `PA_…`.
    pub sid: ParticipantSid,
    pub identity: Pii<String>,
    pub name: Pii<String>,
    /// `STANDARD`, `SIP`, `AGENT`, …; empty if the sender does not say.
    pub kind: String,
    pub metadata: Pii<String>,
    pub attributes: Pii<BTreeMap<String, String>>,
}

/// Two webhooks with the same key are one and the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey {
    pub event: Event,
    pub job_id: JobId,
    /// What it is for; `None` in `terminated`.
    pub job_type: Option<JobType>,
    pub room_sid: RoomSid,
    /// The participant, if the job is for one.
    pub participant_sid: Option<ParticipantSid>,
}

/// A webhook. Texts that are absent are empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// What the sender wants.
    pub event: Event,
    pub job_id: JobId,
    /// The agent dispatch that it belongs to.
    pub dispatch_id: DispatchId,
    /// What the job is for; always there, except in `terminated`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_type: Option<JobType>,
    /// The agent name it is for, if the sender says; empty is the name of the unnamed agent.
    #[serde(serialize_with = "or_empty")]
    pub agent_name: Option<String>,
    pub room: Room,
    /// The participant; always there when the job is for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub participant: Option<Participant>,
    /// The dispatch's metadata, opaque.
    pub metadata: Pii<String>,
    pub attributes: Pii<BTreeMap<String, String>>,
    /// The join token; always there in `job`, and nowhere else.
    #[serde(serialize_with = "exposed", skip_serializing_if = "Option::is_none")]
    pub access_token: Option<Secret<String>>,
    /// What the join token says, once it was checked.
    #[serde(skip)]
    pub claims: Option<Claims>,
    /// The identity to join under: the token's subject. In `offer` the sender's proposal, if it makes one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub participant_identity: Option<Pii<String>>,
    /// The URL to join at; always there in `job`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_url: Option<String>,
    /// Where the job's status goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_url: Option<String>,
    /// The bearer for `status_url`.
    #[serde(serialize_with = "exposed", skip_serializing_if = "Option::is_none")]
    pub status_token: Option<Secret<String>>,
    /// Why the job ended, in `terminated`: the word of a `TerminationReason`, or one of a later version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// How long the sender waits for the answer, in milliseconds, if it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// The signed timestamp in Unix seconds.
    #[serde(rename = "sentAt", serialize_with = "ms")]
    pub timestamp_s: i64,
}

/// The receiver's own program is who the tokens are for.
fn exposed<S: Serializer>(secret: &Option<Secret<String>>, to: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(Secret::expose).serialize(to)
}

fn or_empty<S: Serializer>(text: &Option<String>, to: S) -> Result<S::Ok, S::Error> {
    text.as_deref().unwrap_or_default().serialize(to)
}

fn ms<S: Serializer>(seconds: &i64, to: S) -> Result<S::Ok, S::Error> {
    seconds.saturating_mul(1_000).serialize(to)
}

fn some_ms<S: Serializer>(seconds: &Option<i64>, to: S) -> Result<S::Ok, S::Error> {
    seconds
        .map(|seconds| seconds.saturating_mul(1_000))
        .serialize(to)
}

const ANY: std::ops::RangeInclusive<i64> = 0..=i64::MAX;

impl Notification {
    /// The key under which a receiver remembers its answer.
    pub fn idempotency_key(&self) -> IdempotencyKey {
        IdempotencyKey {
            event: self.event,
            job_id: self.job_id.clone(),
            job_type: self.job_type,
            room_sid: self.room.sid.clone(),
            participant_sid: self
                .participant
                .as_ref()
                .map(|participant| participant.sid.clone()),
        }
    }

    /// Reads a body; `timestamp_s` is judged by the verifier, because a wrong one is 401 and not 400.
    pub(super) fn read(body: &Object<'_>, timestamp_s: i64) -> Result<Self, FieldProblem> {
        let fields = Fields::of(body);
        let event = fields
            .word("event", "`job`, `offer` or `terminated`", Event::parse)?
            .unwrap_or_default();
        let notification = Notification {
            event,
            job_id: fields.filled("job_id")?.into(),
            dispatch_id: fields.owned("dispatch_id")?.into(),
            job_type: fields.word(
                "job_type",
                "`JT_ROOM`, `JT_PUBLISHER` or `JT_PARTICIPANT`",
                JobType::parse,
            )?,
            agent_name: match fields.get("agent_name") {
                Json::Null => None,
                _ => Some(fields.owned("agent_name")?),
            },
            room: Room::read(&fields.object("room", "room.")?)?,
            participant: Participant::read(&fields.object("participant", "participant.")?)?,
            metadata: Pii(fields.owned("metadata")?),
            attributes: Pii(fields.strings("attributes")?),
            access_token: secret(&fields, "access_token")?.filter(|_| event == Event::Job),
            claims: None,
            participant_identity: fields
                .text("participant_identity")?
                .map(|identity| Pii(identity.to_owned())),
            server_url: fields.url(
                "server_url",
                &["wss", "ws", "https", "http"],
                "a wss:, ws:, https: or http: URL",
            )?,
            status_url: fields.url("status_url", &["https", "http"], "an https: or http: URL")?,
            status_token: secret(&fields, "status_token")?,
            reason: (fields.text("reason")?)
                .filter(|_| event == Event::Terminated)
                .map(str::to_owned),
            attempt: fields
                .integer("attempt", 1..=u32::MAX.into())?
                .map_or(1, |attempt| u32::try_from(attempt).unwrap_or(u32::MAX)),
            deadline_ms: fields.integer("deadline_ms", ANY)?.map(i64::unsigned_abs),
            timestamp_s,
        };
        notification.require(&fields)?;
        Ok(notification)
    }

    /// What each event cannot do without.
    fn require(&self, fields: &Fields<'_, '_>) -> Result<(), FieldProblem> {
        match self.event {
            Event::Terminated => return fields.filled("reason").map(drop),
            Event::Job | Event::Offer => {}
        }
        let Some(job_type) = self.job_type else {
            return Err(fields.problem("job_type", "a job type", "nothing"));
        };
        if job_type != JobType::Room && self.participant.is_none() {
            return Err(fields.problem("participant", "an object", "nothing"));
        }
        if self.event == Event::Job {
            fields.filled("access_token")?;
            fields.filled("server_url")?;
        }
        Ok(())
    }
}

fn secret(fields: &Fields<'_, '_>, key: &str) -> Result<Option<Secret<String>>, FieldProblem> {
    let text = fields.text(key)?;
    Ok(text.map(|text| Secret::new(text.to_owned())))
}

impl Room {
    fn read(fields: &Fields<'_, '_>) -> Result<Self, FieldProblem> {
        let created_at_s = fields.integer("created_at", ANY)?;
        Ok(Room {
            sid: fields.filled("sid")?.into(),
            name: Pii(fields.filled("name")?.to_owned()),
            created_at_s: created_at_s.or(fields.integer("creation_time", ANY)?),
            metadata: Pii(fields.owned("metadata")?),
            num_participants: fields.integer("num_participants", ANY)?,
        })
    }
}

impl Participant {
    fn read(fields: &Fields<'_, '_>) -> Result<Option<Self>, FieldProblem> {
        if !fields.is_there() {
            return Ok(None);
        }
        Ok(Some(Participant {
            sid: fields.filled("sid")?.into(),
            identity: Pii(fields.filled("identity")?.to_owned()),
            name: Pii(fields.owned("name")?),
            // Some senders write protobuf enums as numbers; those are let through and not kept.
            kind: match fields.get("kind") {
                Json::Integer(_) | Json::Number(_) => String::new(),
                _ => fields.owned("kind")?,
            },
            metadata: Pii(fields.owned("metadata")?),
            attributes: Pii(fields.strings("attributes")?),
        }))
    }
}
