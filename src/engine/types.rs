//! What the engine's requests and answers are made of: plain data, filled in completely.
//!
//! Decides the names and units of every field; refuses handles, messages of the library and behaviour.

use std::collections::HashMap;

use serde::Serialize;

/// What can go wrong in the engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The media library cannot be loaded or is not the pinned one.
    #[error("{0}")]
    Unavailable(String),
    /// An input that the library would refuse or abort on.
    #[error("{0}")]
    Invalid(String),
    /// The library, or the server through it, refused.
    #[error("{0}")]
    Refused(String),
    /// The server refused a join, and will refuse it again.
    #[error("{0}")]
    Denied(String),
    /// The room, source or stream is gone.
    #[error("{0}")]
    Closed(String),
    /// No answer within the time given.
    #[error("{0}")]
    TimedOut(String),
}

/// How a room is joined. Everything is filled in; defaults live in `ts/`.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// Subscribe to every track as it is published.
    pub auto_subscribe: bool,
    /// Pause video layers nobody looks at.
    pub adaptive_stream: bool,
    /// Publish only the layers somebody subscribed to.
    pub dynacast: bool,
    /// How often the join is tried again.
    pub join_retries: u32,
    /// How long one connection attempt may take, in milliseconds.
    pub connect_timeout_ms: u64,
    /// One peer connection for both directions.
    pub single_peer_connection: bool,
    /// ICE servers to use instead of the server's, and the transport policy.
    pub rtc_config: Option<RtcConfig>,
}

/// ICE settings given by the user.
#[derive(Clone, Debug, Default)]
pub struct RtcConfig {
    /// 0 relay, 1 no host, 2 all; `None` = the library's default.
    pub ice_transport_type: Option<i32>,
    /// 0 once, 1 continually; `None` = the library's default.
    pub continual_gathering_policy: Option<i32>,
    pub ice_servers: Vec<IceServer>,
}

#[derive(Clone, Debug)]
pub struct IceServer {
    pub urls: Vec<String>,
    /// User name, empty if none.
    pub username: String,
    /// Password, empty if none.
    pub password: String,
}

/// A room as the server describes it. Enum-like integers are those of LiveKit's FFI protocol (= rtc-node's).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomInfo {
    /// `RM_…`; absent until the server tells.
    pub sid: Option<String>,
    pub name: String,
    pub metadata: String,
    /// Seconds after creation at which an empty room closes.
    pub empty_timeout: u32,
    /// Seconds after the last participant left at which the room closes.
    pub departure_timeout: u32,
    /// 0 = no limit.
    pub max_participants: u32,
    /// When the room was created, epoch milliseconds.
    pub creation_time: i64,
    pub num_participants: u32,
    pub num_publishers: u32,
    /// Whether the room is being recorded.
    pub active_recording: bool,
}

/// A participant as the server describes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ParticipantInfo {
    /// `PA_…`.
    pub sid: String,
    pub name: String,
    /// Identity, unique in the room.
    pub identity: String,
    pub metadata: String,
    pub attributes: HashMap<String, String>,
    /// ParticipantKind.
    pub kind: i32,
    /// ParticipantKindDetail, each.
    pub kind_details: Vec<i32>,
    /// ParticipantState.
    pub state: i32,
    /// DisconnectReason.
    pub disconnect_reason: i32,
    /// When it joined, epoch milliseconds.
    pub joined_at: i64,
    /// What it may do, when known.
    pub permission: Option<ParticipantPermission>,
}

/// What a participant may do.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct ParticipantPermission {
    pub can_subscribe: bool,
    pub can_publish: bool,
    pub can_publish_data: bool,
    pub hidden: bool,
    pub can_publish_sources: Vec<i32>,
    pub can_update_metadata: bool,
    pub can_subscribe_metrics: bool,
}

/// A publication as the server describes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PublicationInfo {
    /// `TR_…`.
    pub sid: String,
    pub name: String,
    /// ParticipantKind.
    pub kind: i32,
    /// TrackSource.
    pub source: i32,
    /// Whether it is simulcast.
    pub simulcasted: bool,
    /// Pixels; 0 for audio.
    pub width: u32,
    /// Pixels; 0 for audio.
    pub height: u32,
    /// As negotiated, e.g. `audio/opus`.
    pub mime_type: String,
    /// Muted by its publisher.
    pub muted: bool,
    /// EncryptionType.
    pub encryption_type: i32,
}

/// A track as the library describes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrackInfo {
    /// `TR_…`; `TR_unknown` for a local track that is not published.
    pub sid: String,
    pub name: String,
    /// ParticipantKind.
    pub kind: i32,
    /// StreamState.
    pub stream_state: i32,
    /// Whether it is muted.
    pub muted: bool,
    /// Whether it is somebody else's.
    pub remote: bool,
}

/// How a stream of audio frames is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioStreamOptions {
    /// Hz; the library resamples.
    pub sample_rate: u32,
    /// Channels; the library remixes.
    pub num_channels: u32,
    /// Length of a frame in milliseconds; `None` = 10.
    pub frame_size_ms: Option<u32>,
    /// How many frames the library keeps before it drops the oldest.
    pub queue_size_frames: u32,
}

/// How a source is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioSourceOptions {
    /// Hz.
    pub sample_rate: u32,
    /// Channels, at least 1.
    pub num_channels: u32,
    /// How much may be buffered, in milliseconds; a multiple of 10.
    pub queue_size_ms: u32,
}

/// How a track is published. `None` leaves the library's default.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct PublishOptions {
    pub audio_max_bitrate: Option<u64>,
    pub dtx: Option<bool>,
    pub red: Option<bool>,
    pub source: Option<i32>,
    pub stream: Option<String>,
    pub preconnect_buffer: Option<bool>,
}

/// One data packet to send.
#[derive(Clone, Debug)]
pub struct DataPacket {
    pub payload: bytes::Bytes,
    /// Reliable and ordered, or lossy.
    pub reliable: bool,
    pub topic: Option<String>,
    /// Identities it is for; empty = everybody.
    pub destination_identities: Vec<String>,
}
