//! What a full queue does with each event of a room, and the room as it was when it was joined, which crosses as JSON.

use serde::Serialize;

use crate::engine::EngineEvent as RoomEvent;
use crate::engine::{ParticipantInfo, PublicationInfo, RoomInfo};

/// What a full queue does with an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pressure {
    /// It waits: losing it would leave a wrong picture of the room.
    Wait,
    /// It replaces the unread one about the same thing: only the newest is true.
    Replace(String),
    /// It may be lost, as the network may lose it: the oldest of its kind makes room.
    Drop,
}

const KIND_LOSSY: i32 = 0;

impl Pressure {
    pub(crate) fn of(event: &RoomEvent) -> Pressure {
        match event {
            RoomEvent::ActiveSpeakersChanged { .. } => Pressure::Replace(String::new()),
            RoomEvent::ConnectionQualityChanged { identity, .. } => {
                Pressure::Replace(format!("quality of {identity}"))
            }
            RoomEvent::DataReceived {
                kind: KIND_LOSSY, ..
            } => Pressure::Drop,
            _ => Pressure::Wait,
        }
    }
}

/// A room as it was when it was joined.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    pub room: RoomInfo,
    pub local: ParticipantInfo,
    /// Who was there already.
    pub participants: Vec<SnapshotParticipant>,
}

/// A participant who was there already.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotParticipant {
    pub participant: ParticipantInfo,
    pub publications: Vec<PublicationInfo>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn json(event: &RoomEvent) -> serde_json::Value {
        serde_json::to_value(event).expect("events are JSON")
    }

    #[test]
    fn events_are_tagged_objects_in_camel_case() {
        let event = RoomEvent::LocalTrackRepublished {
            previous_sid: "TR_1".into(),
            publication: PublicationInfo::default(),
        };
        let value = json(&event);
        assert_eq!(value["type"], "localTrackRepublished");
        assert_eq!(value["previousSid"], "TR_1");
        assert_eq!(value["publication"]["mimeType"], "");
        assert_eq!(json(&RoomEvent::Reconnecting)["type"], "reconnecting");
    }

    #[test]
    fn payloads_stay_beside_the_json() {
        let value = json(&RoomEvent::DataReceived {
            identity: "alice".into(),
            topic: None,
            kind: 1,
            length: 3,
            payload: Bytes::from_static(b"abc"),
        });
        assert_eq!(value["length"], 3);
        assert!(value.get("payload").is_none());
    }
}
