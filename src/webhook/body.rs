//! The schema of the body, checked while it is read: the fields of each event, their types, and the path of the first
//! one that is wrong. Unknown fields are passed over, and `null` counts as absent. Nothing is copied here.

mod checks;

use crate::json;
use crate::json::{Flaw, Reader, Text};
use crate::webhook::body::checks::Checks;
use crate::webhook::error::{FieldProblem, WebhookError};
use crate::webhook::notification::Event;
use crate::words::JobType;

/// An object of strings as it was written; empty if there is none.
pub(super) type Strings<'a> = &'a str;

/// What stands where the signed timestamp should. Judged by the verifier, because it is 401 and not 400.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Timestamp {
    #[default]
    Missing,
    NotInteger,
    Seconds(i64),
}

#[derive(Default)]
pub(super) struct RoomFields<'a> {
    pub(super) sid: Option<Text<'a>>,
    pub(super) name: Option<Text<'a>>,
    pub(super) created_at: Option<i64>,
    pub(super) creation_time: Option<i64>,
    pub(super) metadata: Option<Text<'a>>,
    pub(super) num_participants: Option<i64>,
}

#[derive(Default)]
pub(super) struct ParticipantFields<'a> {
    pub(super) sid: Option<Text<'a>>,
    pub(super) identity: Option<Text<'a>>,
    pub(super) name: Option<Text<'a>>,
    pub(super) kind: Option<Text<'a>>,
    pub(super) metadata: Option<Text<'a>>,
    pub(super) attributes: Strings<'a>,
}

/// The fields of a body, as they stand in it.
#[derive(Default)]
pub(super) struct Fields<'a> {
    pub(super) event: Event,
    pub(super) job_id: Option<Text<'a>>,
    pub(super) dispatch_id: Option<Text<'a>>,
    pub(super) job_type: Option<JobType>,
    pub(super) agent_name: Option<Text<'a>>,
    pub(super) room: RoomFields<'a>,
    pub(super) participant: Option<ParticipantFields<'a>>,
    pub(super) metadata: Option<Text<'a>>,
    pub(super) attributes: Strings<'a>,
    pub(super) access_token: Option<Text<'a>>,
    pub(super) participant_identity: Option<Text<'a>>,
    pub(super) server_url: Option<Text<'a>>,
    pub(super) status_url: Option<Text<'a>>,
    pub(super) status_token: Option<Text<'a>>,
    pub(super) reason: Option<Text<'a>>,
    pub(super) attempt: Option<i64>,
    pub(super) deadline_ms: Option<i64>,
    pub(super) timestamp: Timestamp,
}

impl<'a> Fields<'a> {
    /// Reads and checks a body.
    pub(super) fn read(text: &'a str) -> Result<Box<Self>, WebhookError> {
        let mut fields = Box::<Fields>::default();
        let mut checks = Checks::default();
        json::read_object(text, |key, reader| fields.take(key, reader, &mut checks))?;
        checks.first_problem()?;
        fields.require()?;
        Ok(fields)
    }

    fn take(
        &mut self,
        key: Text<'a>,
        reader: &mut Reader<'a>,
        checks: &mut Checks,
    ) -> Result<(), Flaw> {
        match key.decode().as_bytes() {
            b"event" => {
                const EXPECTED: &str = "`job`, `offer` or `terminated`";
                self.event = checks
                    .word("event", EXPECTED, Event::parse, reader)?
                    .unwrap_or_default();
            }
            b"job_id" => self.job_id = checks.text("job_id", reader)?,
            b"dispatch_id" => self.dispatch_id = checks.text("dispatch_id", reader)?,
            b"job_type" => {
                const EXPECTED: &str = "`JT_ROOM`, `JT_PUBLISHER` or `JT_PARTICIPANT`";
                self.job_type = checks.word("job_type", EXPECTED, JobType::parse, reader)?;
            }
            b"agent_name" => self.agent_name = checks.text("agent_name", reader)?,
            b"room" if reader.at_object() => {
                reader.object(|key, reader| self.room.take(key, reader, checks))?;
            }
            b"room" => checks.absent("room", "an object", reader)?,
            b"participant" if reader.at_object() => {
                let participant = self.participant.insert(ParticipantFields::default());
                reader.object(|key, reader| participant.take(key, reader, checks))?;
            }
            b"participant" => checks.absent("participant", "an object", reader)?,
            b"metadata" => self.metadata = checks.text("metadata", reader)?,
            b"attributes" => self.attributes = checks.strings("attributes", reader)?,
            b"access_token" => self.access_token = checks.text("access_token", reader)?,
            b"participant_identity" => {
                self.participant_identity = checks.text("participant_identity", reader)?;
            }
            b"server_url" => self.server_url = checks.text("server_url", reader)?,
            b"status_url" => self.status_url = checks.text("status_url", reader)?,
            b"status_token" => self.status_token = checks.text("status_token", reader)?,
            b"reason" => self.reason = checks.text("reason", reader)?,
            b"attempt" => self.attempt = checks.integer("attempt", 1..=u32::MAX.into(), reader)?,
            b"deadline_ms" => {
                self.deadline_ms = checks.integer("deadline_ms", 0..=i64::MAX, reader)?;
            }
            b"timestamp" => {
                let value = reader.value()?;
                self.timestamp = match value.integer() {
                    Some(seconds @ 0..) => Timestamp::Seconds(seconds),
                    _ => Timestamp::NotInteger,
                };
            }
            _ => drop(reader.value()?),
        }
        Ok(())
    }

    /// What each event cannot do without.
    fn require(&self) -> Result<(), FieldProblem> {
        checks::need("job_id", self.job_id)?;
        checks::need("room.sid", self.room.sid)?;
        checks::need("room.name", self.room.name)?;
        if let Some(participant) = &self.participant {
            checks::need("participant.sid", participant.sid)?;
            checks::need("participant.identity", participant.identity)?;
        }
        if self.event == Event::Terminated {
            return checks::need("reason", self.reason);
        }
        let Some(job_type) = self.job_type else {
            return Err(checks::missing("job_type", "a job type"));
        };
        if job_type != JobType::Room && self.participant.is_none() {
            return Err(checks::missing("participant", "an object"));
        }
        if self.event == Event::Job {
            checks::need("access_token", self.access_token)?;
            checks::need("server_url", self.server_url)?;
        }
        checks::url(
            "server_url",
            self.server_url,
            &["wss", "ws", "https", "http"],
        )?;
        checks::url("status_url", self.status_url, &["https", "http"])
    }
}

impl<'a> RoomFields<'a> {
    fn take(
        &mut self,
        key: Text<'a>,
        reader: &mut Reader<'a>,
        checks: &mut Checks,
    ) -> Result<(), Flaw> {
        const ANY: std::ops::RangeInclusive<i64> = 0..=i64::MAX;
        match key.decode().as_bytes() {
            b"sid" => self.sid = checks.text("room.sid", reader)?,
            b"name" => self.name = checks.text("room.name", reader)?,
            b"created_at" => self.created_at = checks.integer("room.created_at", ANY, reader)?,
            b"creation_time" => {
                self.creation_time = checks.integer("room.creation_time", ANY, reader)?;
            }
            b"metadata" => self.metadata = checks.text("room.metadata", reader)?,
            b"num_participants" => {
                self.num_participants = checks.integer("room.num_participants", ANY, reader)?;
            }
            _ => drop(reader.value()?),
        }
        Ok(())
    }
}

impl<'a> ParticipantFields<'a> {
    fn take(
        &mut self,
        key: Text<'a>,
        reader: &mut Reader<'a>,
        checks: &mut Checks,
    ) -> Result<(), Flaw> {
        match key.decode().as_bytes() {
            b"sid" => self.sid = checks.text("participant.sid", reader)?,
            b"identity" => self.identity = checks.text("participant.identity", reader)?,
            b"name" => self.name = checks.text("participant.name", reader)?,
            b"kind" => self.kind = checks.text_or_number("participant.kind", reader)?,
            b"metadata" => self.metadata = checks.text("participant.metadata", reader)?,
            b"attributes" => self.attributes = checks.strings("participant.attributes", reader)?,
            _ => drop(reader.value()?),
        }
        Ok(())
    }
}
