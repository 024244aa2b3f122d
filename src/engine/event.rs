//! What happens in a room, in the words that cross to JavaScript: one JSON object per event, tagged by `type`, in
//! camelCase. A new event of the library is a variant here, its meaning in `events.rs`, its handler in ts/room/apply.ts.
//!
//! Decides the names of the fields. Bytes travel beside the JSON, objects as what they are described as.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::engine::{
    EnginePublication, EngineTrack, ParticipantInfo, ParticipantPermission, PublicationInfo,
    RoomInfo,
};

/// What happens in a room, in the library's order. Identities name participants, sids name tracks.
#[derive(Clone, Debug, Serialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum EngineEvent {
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
        #[serde(serialize_with = "publication_info")]
        publication: Arc<dyn EnginePublication>,
    },
    TrackUnpublished {
        identity: String,
        sid: String,
    },
    /// `handle` is what the floor above calls the track; it is 0 until it is given one.
    TrackSubscribed {
        identity: String,
        #[serde(serialize_with = "track_info")]
        track: Arc<dyn EngineTrack>,
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
    ParticipantPermissionChanged {
        identity: String,
        permission: Option<ParticipantPermission>,
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
    /// `identity` is empty when the server sent it, and when the server has not announced who did. The payloads of a batch
    /// follow each other; `length` is this one's.
    DataReceived {
        identity: String,
        #[serde(skip)]
        payload: bytes::Bytes,
        length: usize,
        topic: Option<String>,
        kind: i32,
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
    /// The token itself goes nowhere.
    TokenRefreshed,
    Disconnected {
        reason: i32,
    },
}

fn publication_info<S: Serializer>(
    publication: &Arc<dyn EnginePublication>,
    to: S,
) -> Result<S::Ok, S::Error> {
    publication.info().serialize(to)
}

fn track_info<S: Serializer>(track: &Arc<dyn EngineTrack>, to: S) -> Result<S::Ok, S::Error> {
    track.info().serialize(to)
}

impl fmt::Debug for dyn EnginePublication {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.info().fmt(to)
    }
}

impl fmt::Debug for dyn EngineTrack {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.info().fmt(to)
    }
}
