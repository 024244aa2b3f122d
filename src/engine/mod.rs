//! The engine: LiveKit's native media library behind a trait, so that floor 4 is tested without the library too.
//!
//! This file decides the words floor 4 uses: requests, events, and objects that release what they hold when dropped.
//! It refuses to show a handle number, a protobuf message or a pointer to anyone above.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use tokio::sync::mpsc;

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
    /// ICE servers.
    pub ice_servers: Vec<IceServer>,
}

/// One ICE server.
#[derive(Clone, Debug)]
pub struct IceServer {
    /// Its URLs.
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
    /// The room's name.
    pub name: String,
    /// The room's metadata.
    pub metadata: String,
    /// Seconds after creation at which an empty room closes.
    pub empty_timeout: u32,
    /// Seconds after the last participant left at which the room closes.
    pub departure_timeout: u32,
    /// 0 = no limit.
    pub max_participants: u32,
    /// When the room was created, epoch milliseconds.
    pub creation_time: i64,
    /// Participants now.
    pub num_participants: u32,
    /// Publishers now.
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
    /// Display name.
    pub name: String,
    /// Identity, unique in the room.
    pub identity: String,
    /// Metadata.
    pub metadata: String,
    /// Attributes.
    pub attributes: HashMap<String, String>,
    /// ParticipantKind.
    pub kind: i32,
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
    /// Track name.
    pub name: String,
    /// TrackKind.
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
    /// Track name.
    pub name: String,
    /// TrackKind.
    pub kind: i32,
    /// StreamState.
    pub stream_state: i32,
    /// Whether it is muted.
    pub muted: bool,
    /// Whether it is somebody else's.
    pub remote: bool,
}

/// A publication held by this process. Dropping it releases the library's handle.
pub trait EnginePublication: Send + Sync {
    /// As it was when it was handed over.
    fn info(&self) -> &PublicationInfo;
    /// Subscribes or unsubscribes (remote publications).
    fn set_subscribed(&self, subscribed: bool) -> Result<(), EngineError>;
}

/// A track held by this process. A stream of it ends when this is dropped, so keep it while streaming.
pub trait EngineTrack: Send + Sync {
    /// As it was when it was handed over.
    fn info(&self) -> &TrackInfo;
    /// Mutes or unmutes a local track; answers the new state.
    fn set_muted(&self, muted: bool) -> Result<bool, EngineError>;
    /// Enables or disables a remote track; answers the new state.
    fn set_enabled(&self, enabled: bool) -> Result<bool, EngineError>;
    /// Opens a stream of a remote (or local) audio track. Frames go to `sink` on a thread of the library.
    fn audio_stream(
        &self,
        options: AudioStreamOptions,
        sink: Arc<dyn AudioSink>,
    ) -> Result<Arc<dyn EngineAudioStream>, EngineError>;
    /// For the implementation to find its own handle.
    fn as_any(&self) -> &dyn std::any::Any;
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

/// Where frames of a stream go. Called on a thread of the library: copy and enqueue only.
pub trait AudioSink: Send + Sync {
    /// One frame of interleaved samples. The slice is valid during the call.
    fn frame(&self, samples: &[i16], sample_rate: u32, num_channels: u32);
    /// No more frames will come.
    fn end(&self);
}

/// An open stream of audio frames. Dropping it closes the stream.
pub trait EngineAudioStream: Send + Sync {
    /// Closes it before it is dropped. Repeating is harmless.
    fn close(&self);
}

/// A source that local audio is captured into.
#[async_trait]
pub trait EngineAudioSource: Send + Sync {
    /// Hands one frame of interleaved samples over; resolves when the source can take the next one.
    /// The engine serialises calls: one capture is outstanding at a time.
    async fn capture(&self, samples: Vec<i16>, samples_per_channel: u32)
        -> Result<(), EngineError>;
    /// Drops what was captured and not yet played.
    fn clear(&self) -> Result<(), EngineError>;
    /// Makes a local track that carries this source.
    fn create_track(&self, name: &str) -> Result<Arc<dyn EngineTrack>, EngineError>;
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
    /// The bytes.
    pub payload: bytes::Bytes,
    /// Reliable and ordered, or lossy.
    pub reliable: bool,
    /// Topic, if any.
    pub topic: Option<String>,
    /// Identities it is for; empty = everybody.
    pub destination_identities: Vec<String>,
}

/// A joined room. Dropping it without `disconnect` disconnects in the background.
#[async_trait]
pub trait EngineRoom: Send + Sync {
    /// Leaves. Resolves when the library has let go. Repeating is harmless.
    async fn disconnect(&self) -> Result<(), EngineError>;
    /// Publishes a local track.
    async fn publish_track(
        &self,
        track: &dyn EngineTrack,
        options: PublishOptions,
    ) -> Result<Arc<dyn EnginePublication>, EngineError>;
    /// Takes a local track back.
    async fn unpublish_track(&self, track_sid: &str, stop: bool) -> Result<(), EngineError>;
    /// Sends a data packet.
    async fn publish_data(&self, packet: DataPacket) -> Result<(), EngineError>;
    /// Changes the local participant's metadata.
    async fn set_metadata(&self, metadata: &str) -> Result<(), EngineError>;
    /// Changes the local participant's name.
    async fn set_name(&self, name: &str) -> Result<(), EngineError>;
    /// Changes the local participant's attributes; an empty value removes one.
    async fn set_attributes(&self, attributes: HashMap<String, String>) -> Result<(), EngineError>;
    /// Makes the library act out a fault (SimulateScenarioKind). For tests.
    async fn simulate_scenario(&self, scenario: i32) -> Result<(), EngineError>;
}

/// Everything a join yields. Events start to flow into `events` only after this exists; nothing is missed.
pub struct Connected {
    /// The room.
    pub room: Arc<dyn EngineRoom>,
    /// The room's events in order. The last one is always `Disconnected`, exactly once; then the channel closes.
    pub events: mpsc::UnboundedReceiver<EngineEvent>,
    /// The room's state at the join.
    pub info: RoomInfo,
    /// The local participant.
    pub local: ParticipantInfo,
    /// Who is there already, with what they publish.
    pub participants: Vec<(ParticipantInfo, Vec<Arc<dyn EnginePublication>>)>,
}

/// What happens in a room, in the library's order. Identities name participants, sids name tracks.
#[non_exhaustive]
#[allow(missing_docs)]
pub enum EngineEvent {
    ParticipantConnected {
        info: ParticipantInfo,
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
        info: PublicationInfo,
    },
    LocalTrackSubscribed {
        sid: String,
    },
    TrackPublished {
        identity: String,
        publication: Arc<dyn EnginePublication>,
    },
    TrackUnpublished {
        identity: String,
        sid: String,
    },
    TrackSubscribed {
        identity: String,
        track: Arc<dyn EngineTrack>,
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
        info: RoomInfo,
    },
    Moved {
        info: RoomInfo,
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
    /// `identity` is empty when the server sent it.
    DataReceived {
        identity: String,
        payload: bytes::Bytes,
        topic: Option<String>,
        kind: i32,
    },
    DtmfReceived {
        identity: String,
        code: u32,
        digit: Option<String>,
    },
    Reconnecting,
    Reconnected,
    TokenRefreshed {
        token: String,
    },
    Disconnected {
        reason: i32,
    },
}

/// The engine: joins rooms and makes audio sources.
#[async_trait]
pub trait RoomEngine: Send + Sync {
    /// Joins a room. Dropping the future abandons the join; a room that was reached meanwhile is left again.
    async fn connect(
        &self,
        url: &str,
        token: &str,
        options: ConnectOptions,
    ) -> Result<Connected, EngineError>;
    /// Makes a source for local audio.
    fn audio_source(
        &self,
        options: AudioSourceOptions,
    ) -> Result<Arc<dyn EngineAudioSource>, EngineError>;
}
