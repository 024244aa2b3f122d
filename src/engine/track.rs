//! An audio or video track held by this process: muting, enabling, and streams of its audio.
//!
//! Decides which calls fit which track: local ones are muted, remote ones enabled. Refuses the rest before the library
//! sees it, and refuses to publish one track twice, which the library would do.

use std::any::Any;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::engine::answer::misunderstood;
use crate::engine::core::Core;
use crate::engine::proto::ffi_request::Message as Ask;
use crate::engine::proto::ffi_response::Message as Reply;
use crate::engine::streams::Origin;
use crate::engine::wire::Handle;
use crate::engine::{
    check, convert, proto, AudioSink, AudioStreamOptions, EngineAudioStream, EngineError,
    EngineTrack, TrackInfo,
};

const KIND_AUDIO: i32 = proto::TrackKind::KindAudio as i32;

pub(super) struct Track {
    core: Arc<Core>,
    handle: Arc<Handle>,
    info: TrackInfo,
    origin: Origin,
    /// A local track's source must outlive it.
    _source: Option<Arc<Handle>>,
    /// Whether the track is published now.
    pub(super) published: Arc<AtomicBool>,
}

impl Track {
    /// The track of `identity`, subscribed in `room`.
    pub(super) fn remote(
        core: &Arc<Core>,
        room: u64,
        identity: &str,
        owned: proto::OwnedTrack,
    ) -> Track {
        Track {
            core: core.clone(),
            handle: Arc::new(Handle::own(&core.wire, owned.handle.id)),
            origin: Origin {
                room: Some(room),
                identity: identity.to_owned(),
                sid: owned.info.sid.clone(),
            },
            info: convert::track(owned.info),
            _source: None,
            published: Arc::default(),
        }
    }

    /// A track of our own that carries `source`.
    pub(super) fn local(core: &Arc<Core>, owned: proto::OwnedTrack, source: &Arc<Handle>) -> Track {
        Track {
            core: core.clone(),
            handle: Arc::new(Handle::own(&core.wire, owned.handle.id)),
            origin: Origin {
                room: None,
                identity: String::new(),
                sid: owned.info.sid.clone(),
            },
            info: convert::track(owned.info),
            _source: Some(source.clone()),
            published: Arc::default(),
        }
    }

    pub(super) fn id(&self) -> u64 {
        self.handle.id()
    }

    fn expect(&self, what: &str, remote: bool) -> Result<(), EngineError> {
        if self.info.remote == remote {
            return Ok(());
        }
        let (wanted, found) = if remote {
            ("another participant's", "a local one")
        } else {
            ("a local", "another participant's")
        };
        Err(EngineError::Invalid(format!(
            "{what}: expected {wanted} track, got {found}"
        )))
    }

    fn new_stream(&self, options: AudioStreamOptions) -> Result<Handle, EngineError> {
        let ask = Ask::NewAudioStream(proto::NewAudioStreamRequest {
            track_handle: self.handle.id(),
            r#type: proto::AudioStreamType::AudioStreamNative.into(),
            sample_rate: Some(options.sample_rate),
            num_channels: Some(options.num_channels),
            frame_size_ms: options.frame_size_ms,
            queue_size_frames: Some(options.queue_size_frames),
            ..Default::default()
        });
        let wire = &self.core.wire;
        match wire.call("open an audio stream", ask)? {
            Reply::NewAudioStream(response) => Ok(Handle::own(wire, response.stream.handle.id)),
            _ => Err(misunderstood()),
        }
    }
}

impl EngineTrack for Track {
    fn info(&self) -> &TrackInfo {
        &self.info
    }

    fn set_muted(&self, muted: bool) -> Result<bool, EngineError> {
        self.expect("muting", false)?;
        let ask = Ask::LocalTrackMute(proto::LocalTrackMuteRequest {
            track_handle: self.handle.id(),
            mute: muted,
        });
        match self.core.wire.call("mute the track", ask)? {
            Reply::LocalTrackMute(response) => Ok(response.muted),
            _ => Err(misunderstood()),
        }
    }

    fn set_enabled(&self, enabled: bool) -> Result<bool, EngineError> {
        self.expect("enabling", true)?;
        let ask = Ask::EnableRemoteTrack(proto::EnableRemoteTrackRequest {
            track_handle: self.handle.id(),
            enabled,
        });
        match self.core.wire.call("enable the track", ask)? {
            Reply::EnableRemoteTrack(response) => Ok(response.enabled),
            _ => Err(misunderstood()),
        }
    }

    fn audio_stream(
        &self,
        options: AudioStreamOptions,
        sink: Arc<dyn AudioSink>,
    ) -> Result<Arc<dyn EngineAudioStream>, EngineError> {
        check::audio_stream(options)?;
        if self.info.kind != KIND_AUDIO {
            return Err(EngineError::Invalid(
                "audio stream: expected an audio track, got a track of another kind".into(),
            ));
        }
        let streams = &self.core.streams;
        if !streams.opening(&self.origin) {
            sink.end();
            return Ok(Arc::new(AudioStream::new(&self.core, None)));
        }
        let opened = self.new_stream(options);
        let id = opened.as_ref().ok().map(Handle::id);
        streams.opened(id, self.origin.clone(), sink);
        let held = Some((opened?, self.handle.clone()));
        Ok(Arc::new(AudioStream::new(&self.core, held)))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// An open stream. It holds its track's handle too: the library ends a stream whose track is given back.
struct AudioStream {
    core: Arc<Core>,
    held: Mutex<Option<(Handle, Arc<Handle>)>>,
}

impl AudioStream {
    /// `None` for one that was over before it was opened.
    fn new(core: &Arc<Core>, held: Option<(Handle, Arc<Handle>)>) -> AudioStream {
        AudioStream {
            core: core.clone(),
            held: Mutex::new(held),
        }
    }
}

impl EngineAudioStream for AudioStream {
    fn close(&self) {
        let held = self.held.lock().take();
        if let Some((stream, _)) = &held {
            self.core.streams.ended(stream.id());
        }
    }
}

impl Drop for AudioStream {
    fn drop(&mut self) {
        self.close();
    }
}
