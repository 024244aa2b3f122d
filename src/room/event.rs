//! What happens in a room, in the words that cross to JavaScript: one JSON object per event, tagged by `type`, in
//! camelCase. Bytes travel beside the JSON, and the token of a refresh does not travel at all.

use std::collections::HashMap;

use bytes::Bytes;
use serde::Serialize;

use crate::engine::{ParticipantInfo, PublicationInfo, RoomInfo, TrackInfo};

/// One event of a room. Identities name participants, sids name publications; enum-like integers are LiveKit's.
#[derive(Clone, Debug, Serialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum RoomEvent {
    ParticipantConnected {
        participant: ParticipantInfo,
    },
    ParticipantActive {
        identity: String,
    },
    ParticipantDisconnected {
        identity: String,
        reason: i32,
    },
    ParticipantsUpdated {
        participants: Vec<ParticipantInfo>,
    },
    LocalTrackPublished {
        sid: String,
    },
    LocalTrackUnpublished {
        sid: String,
    },
    LocalTrackRepublished {
        previous_sid: String,
        publication: PublicationInfo,
    },
    LocalTrackSubscribed {
        sid: String,
    },
    TrackPublished {
        identity: String,
        publication: PublicationInfo,
    },
    TrackUnpublished {
        identity: String,
        sid: String,
    },
    /// `handle` is what `Room::take_track` answers to, once.
    TrackSubscribed {
        identity: String,
        track: TrackInfo,
        handle: u32,
    },
    TrackUnsubscribed {
        identity: String,
        sid: String,
    },
    TrackSubscriptionFailed {
        identity: String,
        sid: String,
        error: String,
    },
    TrackMuted {
        identity: String,
        sid: String,
    },
    TrackUnmuted {
        identity: String,
        sid: String,
    },
    ActiveSpeakersChanged {
        identities: Vec<String>,
    },
    RoomMetadataChanged {
        metadata: String,
    },
    RoomSidChanged {
        sid: String,
    },
    RoomUpdated {
        room: RoomInfo,
    },
    Moved {
        room: RoomInfo,
    },
    ParticipantMetadataChanged {
        identity: String,
        metadata: String,
    },
    ParticipantNameChanged {
        identity: String,
        name: String,
    },
    ParticipantAttributesChanged {
        identity: String,
        attributes: HashMap<String, String>,
        changed: HashMap<String, String>,
    },
    ParticipantEncryptionStatusChanged {
        identity: String,
        is_encrypted: bool,
    },
    ConnectionQualityChanged {
        identity: String,
        quality: i32,
    },
    ConnectionStateChanged {
        state: i32,
    },
    /// `identity` is empty when the server sent it. The payloads of a batch follow each other; `length` is this one's.
    DataReceived {
        identity: String,
        topic: Option<String>,
        kind: i32,
        length: usize,
        #[serde(skip)]
        payload: Bytes,
    },
    DtmfReceived {
        identity: String,
        code: u32,
        digit: Option<String>,
    },
    /// Reliable packets were dropped here because nobody read them.
    DataDropped {
        packets: u64,
    },
    Reconnecting,
    Reconnected,
    TokenRefreshed,
    Disconnected {
        reason: i32,
    },
}

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

impl RoomEvent {
    /// What a full queue does with this event.
    pub(crate) fn pressure(&self) -> Pressure {
        match self {
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
