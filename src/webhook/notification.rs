//! What a verified webhook says, as the receiver holds it: owned, with personal data and secrets in types that do not
//! print.

use std::collections::BTreeMap;

use crate::id::{DispatchId, JobId, ParticipantSid, Pii, RoomSid, Secret};
use crate::json;
use crate::json::{Text, Value};
use crate::token::Claims;
use crate::webhook::body::{Fields, ParticipantFields, RoomFields, Strings};
use crate::words::JobType;

/// What the sender wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
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
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Event::Job => "job",
            Event::Offer => "offer",
            Event::Terminated => "terminated",
        }
    }

    pub(super) fn parse(word: &str) -> Option<Event> {
        [Event::Job, Event::Offer, Event::Terminated]
            .into_iter()
            .find(|event| event.as_str() == word)
    }
}

/// The room of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// `RM_…`.
    pub sid: RoomSid,
    /// The name it is joined by.
    pub name: Pii<String>,
    /// Unix seconds, from `created_at` or `creation_time`.
    pub created_at_s: Option<i64>,
    pub metadata: Option<Pii<String>>,
    /// Participants when the webhook was built.
    pub num_participants: Option<i64>,
}

/// The participant a publisher or participant job is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    /// `PA_…`.
    pub sid: ParticipantSid,
    pub identity: Pii<String>,
    pub name: Option<Pii<String>>,
    /// `STANDARD`, `SIP`, `AGENT`, …
    pub kind: Option<String>,
    pub metadata: Option<Pii<String>>,
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

/// A webhook whose signature, form, time and token have been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// What the sender wants.
    pub event: Event,
    pub job_id: JobId,
    /// The agent dispatch that it belongs to, if the sender says.
    pub dispatch_id: Option<DispatchId>,
    /// What the job is for; always there, except in `terminated`.
    pub job_type: Option<JobType>,
    /// The agent name it is for, if the sender says.
    pub agent_name: Option<String>,
    pub room: Room,
    /// The participant; always there when the job is for one.
    pub participant: Option<Participant>,
    /// The dispatch's metadata, opaque; empty if there is none.
    pub metadata: Pii<String>,
    pub attributes: Pii<BTreeMap<String, String>>,
    /// The join token; always there in `job`.
    pub access_token: Option<Secret<String>>,
    /// What the join token says.
    pub claims: Option<Claims>,
    /// The identity to join under: the token's subject. In `offer` the sender's proposal, if it makes one.
    pub participant_identity: Option<Pii<String>>,
    /// The URL to join at; always there in `job`.
    pub server_url: Option<String>,
    /// Where the job's status goes.
    pub status_url: Option<String>,
    /// The bearer for `status_url`.
    pub status_token: Option<Secret<String>>,
    /// Why the job ended, in `terminated`: the word of a `TerminationReason`, or one of a later version.
    pub reason: Option<String>,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// How long the sender waits for the answer, in milliseconds, if it says.
    pub deadline_ms: Option<u64>,
    /// The signed timestamp in Unix seconds.
    pub timestamp_s: i64,
}

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
}

impl Notification {
    /// Copies checked fields. Those that the schema requires are there; an absent optional one is `None` or empty.
    pub(super) fn new(fields: Fields<'_>, claims: Option<Claims>, timestamp_s: i64) -> Self {
        let some = |text: Option<Text<'_>>| text.filter(|text| !text.is_empty()).map(owned);
        Notification {
            event: fields.event,
            job_id: JobId(some(fields.job_id).unwrap_or_default()),
            dispatch_id: some(fields.dispatch_id).map(DispatchId),
            job_type: fields.job_type,
            agent_name: fields.agent_name.map(owned),
            room: Room::new(fields.room),
            participant: fields.participant.map(Participant::new),
            metadata: Pii(some(fields.metadata).unwrap_or_default()),
            attributes: strings(fields.attributes),
            access_token: match fields.event {
                Event::Job => some(fields.access_token).map(Secret::new),
                Event::Offer | Event::Terminated => None,
            },
            participant_identity: match &claims {
                Some(claims) => Some(claims.subject.clone()),
                None => some(fields.participant_identity).map(Pii),
            },
            claims,
            server_url: some(fields.server_url),
            status_url: some(fields.status_url),
            status_token: some(fields.status_token).map(Secret::new),
            reason: match fields.event {
                Event::Terminated => some(fields.reason),
                Event::Job | Event::Offer => None,
            },
            attempt: fields
                .attempt
                .map_or(1, |attempt| u32::try_from(attempt).unwrap_or(u32::MAX)),
            deadline_ms: fields.deadline_ms.map(i64::unsigned_abs),
            timestamp_s,
        }
    }
}

impl Room {
    fn new(fields: RoomFields<'_>) -> Self {
        Room {
            sid: RoomSid(fields.sid.map(owned).unwrap_or_default()),
            name: Pii(fields.name.map(owned).unwrap_or_default()),
            created_at_s: fields.created_at.or(fields.creation_time),
            metadata: fields.metadata.map(owned).map(Pii),
            num_participants: fields.num_participants,
        }
    }
}

impl Participant {
    fn new(fields: ParticipantFields<'_>) -> Self {
        Participant {
            sid: ParticipantSid(fields.sid.map(owned).unwrap_or_default()),
            identity: Pii(fields.identity.map(owned).unwrap_or_default()),
            name: fields.name.map(owned).map(Pii),
            kind: fields.kind.map(owned),
            metadata: fields.metadata.map(owned).map(Pii),
            attributes: strings(fields.attributes),
        }
    }
}

fn owned(text: Text<'_>) -> String {
    text.decode().into_owned()
}

/// Reads an object of strings a second time; the first time its form was checked.
fn strings(written: Strings<'_>) -> Pii<BTreeMap<String, String>> {
    let mut pairs = BTreeMap::new();
    let read = json::read_object(written, |key, reader| {
        if let Value::Text(value) = reader.value()? {
            pairs.insert(owned(key), owned(value));
        }
        Ok(())
    });
    debug_assert!(written.is_empty() || read.is_ok());
    Pii(pairs)
}
