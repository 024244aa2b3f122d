//! Where the fields of a checked body stand in it. JavaScript cuts them out of the bytes it already has, which is
//! cheaper than a second parse, and cannot read anything else than what was checked. It names no field: the order is
//! the contract with `ts/webhook-fields.ts`.

use crate::json::Text;
use crate::webhook::body::{Fields, ParticipantFields};
use crate::webhook::notification::Event;

/// How many places a body has.
pub const PLACES: usize = 27;

/// Where one field stands, in bytes, or what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Absent,
    /// The inside of a string, or a whole object.
    Written {
        start: usize,
        /// The byte after it.
        end: usize,
        /// Whether it holds escapes.
        escaped: bool,
    },
    /// A whole number from 0, or a word of a closed list by its number.
    Number(u64),
}

/// The places in their order.
pub(super) fn places(fields: &Fields<'_>, timestamp_s: i64, body: &str) -> [Place; PLACES] {
    let text = |text: Option<Text<'_>>| match text {
        Some(text) => place(text.written(), text.plain().is_none(), body),
        None => Place::Absent,
    };
    let object = |written: &str| match written {
        "" => Place::Absent,
        written => place(written, false, body),
    };
    let none = ParticipantFields::default();
    let participant = fields.participant.as_ref().unwrap_or(&none);
    let room = &fields.room;
    [
        number(Some(match fields.event {
            Event::Job => 0,
            Event::Offer => 1,
            Event::Terminated => 2,
        })),
        number(fields.job_type.map(|job_type| i64::from(job_type as i32))),
        number(room.created_at.or(room.creation_time)),
        number(room.num_participants),
        number(fields.attempt),
        number(fields.deadline_ms),
        number(Some(timestamp_s)),
        text(fields.job_id),
        text(fields.dispatch_id),
        text(fields.agent_name),
        text(room.sid),
        text(room.name),
        text(room.metadata),
        text(fields.metadata),
        object(fields.attributes),
        text(fields.access_token),
        text(fields.participant_identity),
        text(fields.server_url),
        text(fields.status_url),
        text(fields.status_token),
        text(fields.reason),
        text(participant.sid),
        text(participant.identity),
        text(participant.name),
        text(participant.kind),
        text(participant.metadata),
        object(participant.attributes),
    ]
}

fn number(value: Option<i64>) -> Place {
    match value.map(u64::try_from) {
        Some(Ok(value)) => Place::Number(value),
        Some(Err(_)) | None => Place::Absent,
    }
}

fn place(part: &str, escaped: bool, whole: &str) -> Place {
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    Place::Written {
        start,
        end: start + part.len(),
        escaped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_where_its_field_stands() {
        let body = r#" {"job_id":"AJ_\u0031","room":{"sid":"RM_1","name":"é"},"job_type":"JT_ROOM",
            "attributes": {"a":"b"} ,"access_token":"t","server_url":"wss://x","timestamp":5} "#;
        let fields = Fields::read(body).unwrap();
        let places = places(&fields, 5, body);
        let cut = |index: usize| match places[index] {
            Place::Written { start, end, .. } => &body[start..end],
            other => panic!("{other:?}"),
        };
        assert_eq!((cut(7), cut(10), cut(11)), (r"AJ_\u0031", "RM_1", "é"));
        assert_eq!((cut(14), cut(15)), (r#"{"a":"b"}"#, "t"));
        assert!(matches!(places[7], Place::Written { escaped: true, .. }));
        assert!(matches!(places[10], Place::Written { escaped: false, .. }));
        assert_eq!(places[0..2], [Place::Number(0), Place::Number(0)]);
        assert_eq!(places[6], Place::Number(5));
        assert_eq!((places[5], places[26]), (Place::Absent, Place::Absent));
    }
}
