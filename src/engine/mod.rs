//! The engine: LiveKit's native media library behind a trait, so that floor 4 is tested without the library too.
//!
//! This file decides what floor 4 holds: objects that release what they hold when dropped, and what is asked of them (the
//! plain data of requests and answers is in `types.rs`, what happens in `event.rs`).
//! It refuses to show a handle number, a protobuf message or a pointer to anyone above.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;

pub mod fake;

mod answer;
mod check;
mod convert;
mod core;
mod dispatch;
mod event;
mod events;
mod join;
mod library;
mod logs;
mod membership;
mod memory;
mod native;
mod proto;
mod publication;
mod publish_gate;
mod queue;
mod refusal;
mod room;
mod rooms;
mod source;
mod streams;
mod subscription;
#[cfg(test)]
mod tests;
mod track;
mod types;
mod wire;

pub use event::EngineEvent;
pub use library::set_library_dir;
pub use native::NativeEngine;
pub use queue::{queue, EventReceiver, EventSender};
pub use types::*;

/// A publication held by this process. Dropping it releases the library's handle.
pub trait EnginePublication: Send + Sync {
    /// As it was when it was handed over.
    fn info(&self) -> &PublicationInfo;
    /// Subscribes or unsubscribes (remote publications).
    fn set_subscribed(&self, subscribed: bool) -> Result<(), EngineError>;
}

/// A track held by this process. Dropping it releases the library's handle; an open stream keeps what it needs of it.
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

/// Where frames of a stream go. Called on a thread of the library: copy and enqueue only.
pub trait AudioSink: Send + Sync {
    /// One frame of interleaved samples. The slice is valid during the call.
    fn frame(&self, samples: &[i16], sample_rate: u32, num_channels: u32);
    /// No more frames will come: the stream was closed, the track is gone or the room ended. Called exactly once.
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

/// What is asked of a joined room. A new wish is a variant here and its message in `room.rs`.
#[non_exhaustive]
#[derive(Clone)]
pub enum RoomRequest {
    /// Publish a local track. Answered by `Published`.
    PublishTrack {
        track: Arc<dyn EngineTrack>,
        options: PublishOptions,
    },
    /// Take a local track back; `stop` also stops it.
    UnpublishTrack {
        sid: String,
        stop: bool,
    },
    PublishData(DataPacket),
    /// Change the local participant's metadata. The server takes an empty one for "leave it as it is".
    SetMetadata(String),
    /// Change the local participant's name. The server takes an empty one for "leave it as it is".
    SetName(String),
    /// Change the local participant's attributes; an empty value removes one.
    SetAttributes(HashMap<String, String>),
    /// Make the library act out a fault (SimulateScenarioKind). For tests.
    SimulateScenario(i32),
}

/// What became of a request.
#[non_exhaustive]
pub enum RoomAnswer {
    Done,
    Published(Arc<dyn EnginePublication>),
}

/// An answer that is on its way. Dropping it takes nothing back: the request has been made.
pub type Pending<T> = BoxFuture<'static, Result<T, EngineError>>;

/// A joined room. Dropping it without `disconnect` disconnects in the background.
#[async_trait]
pub trait EngineRoom: Send + Sync {
    /// Leaves. Resolves when the library has let go. Repeating is harmless.
    async fn disconnect(&self) -> Result<(), EngineError>;
    /// Asks something of the room. **What is asked first reaches the library first:** the request is made before this
    /// returns, whenever the answer is waited for.
    fn request(&self, request: RoomRequest) -> Pending<RoomAnswer>;
}

/// Everything a join yields. Events start to flow into `events` only after this exists; nothing is missed.
pub struct Connected {
    pub room: Arc<dyn EngineRoom>,
    /// The room's events in order. The last two are always `ConnectionStateChanged` to disconnected (unless the library
    /// said so earlier) and `Disconnected`, exactly once; then the channel closes. Packets of data that nobody reads are
    /// dropped beyond a bound, and `DataDropped` says so where it happened.
    pub events: EventReceiver,
    /// The room's state at the join.
    pub info: RoomInfo,
    pub local: ParticipantInfo,
    /// Who is there already, with what they publish.
    pub participants: Vec<(ParticipantInfo, Vec<Arc<dyn EnginePublication>>)>,
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
