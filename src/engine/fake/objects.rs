//! The fake engine's publications, tracks, streams and sources: each records what it was told.
//!
//! Decides that a sink ends exactly once. Refuses to make samples up: frames come from the test.

use std::sync::atomic::Ordering;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::{lock, Call, Log, KIND_AUDIO};
use crate::engine::{
    AudioSink, AudioStreamOptions, EngineAudioSource, EngineAudioStream, EngineError,
    EnginePublication, EngineTrack, PublicationInfo, TrackInfo,
};

pub(super) struct FakePublication {
    pub(super) log: Arc<Log>,
    pub(super) info: PublicationInfo,
}

impl EnginePublication for FakePublication {
    fn info(&self) -> &PublicationInfo {
        &self.info
    }

    fn set_subscribed(&self, subscribed: bool) -> Result<(), EngineError> {
        self.log.perform(Call::SetSubscribed {
            sid: self.info.sid.clone(),
            subscribed,
        })
    }
}

/// A track whose streams the test feeds.
pub struct FakeTrack {
    log: Arc<Log>,
    info: TrackInfo,
    streams: Mutex<Vec<Arc<FakeStream>>>,
}

impl FakeTrack {
    pub(super) fn new(log: Arc<Log>, info: TrackInfo) -> FakeTrack {
        FakeTrack {
            log,
            info,
            streams: Mutex::default(),
        }
    }

    /// Hands one frame of interleaved samples to every open stream of the track.
    pub fn push(&self, samples: &[i16], sample_rate: u32, num_channels: u32) {
        for stream in lock(&self.streams).iter() {
            if let Some(sink) = lock(&stream.sink).as_ref() {
                sink.frame(samples, sample_rate, num_channels);
            }
        }
    }

    /// Ends every open stream of the track.
    pub fn end(&self) {
        for stream in lock(&self.streams).drain(..) {
            stream.finish();
        }
    }
}

impl EngineTrack for FakeTrack {
    fn info(&self) -> &TrackInfo {
        &self.info
    }

    fn set_muted(&self, muted: bool) -> Result<bool, EngineError> {
        let sid = self.info.sid.clone();
        self.log.perform(Call::SetMuted { sid, muted })?;
        Ok(muted)
    }

    fn set_enabled(&self, enabled: bool) -> Result<bool, EngineError> {
        let sid = self.info.sid.clone();
        self.log.perform(Call::SetEnabled { sid, enabled })?;
        Ok(enabled)
    }

    fn audio_stream(
        &self,
        options: AudioStreamOptions,
        sink: Arc<dyn AudioSink>,
    ) -> Result<Arc<dyn EngineAudioStream>, EngineError> {
        let sid = self.info.sid.clone();
        self.log.perform(Call::OpenStream {
            sid: sid.clone(),
            options,
        })?;
        let stream = Arc::new(FakeStream {
            log: self.log.clone(),
            sid,
            sink: Mutex::new(Some(sink)),
        });
        lock(&self.streams).push(stream.clone());
        Ok(Arc::new(OpenStream(stream)))
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

struct FakeStream {
    log: Arc<Log>,
    sid: String,
    sink: Mutex<Option<Arc<dyn AudioSink>>>,
}

impl FakeStream {
    /// Ends the sink once; `false` if it had ended.
    fn finish(&self) -> bool {
        let sink = lock(&self.sink).take();
        if let Some(sink) = &sink {
            sink.end();
        }
        sink.is_some()
    }
}

/// What the engine hands out: closes when it is dropped.
struct OpenStream(Arc<FakeStream>);

impl EngineAudioStream for OpenStream {
    fn close(&self) {
        if self.0.finish() {
            self.0.log.record(Call::CloseStream {
                sid: self.0.sid.clone(),
            });
        }
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.close();
    }
}

pub(super) struct FakeSource {
    pub(super) log: Arc<Log>,
}

#[async_trait]
impl EngineAudioSource for FakeSource {
    async fn capture(
        &self,
        samples: Vec<i16>,
        samples_per_channel: u32,
    ) -> Result<(), EngineError> {
        self.log.perform(Call::Capture {
            samples,
            samples_per_channel,
        })?;
        if self.log.full.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    fn clear(&self) -> Result<(), EngineError> {
        self.log.perform(Call::Clear)
    }

    fn create_track(&self, name: &str) -> Result<Arc<dyn EngineTrack>, EngineError> {
        let name = name.to_owned();
        self.log.perform(Call::CreateTrack { name: name.clone() })?;
        Ok(Arc::new(FakeTrack::new(
            self.log.clone(),
            TrackInfo {
                sid: "TR_unknown".into(),
                name,
                kind: KIND_AUDIO,
                ..TrackInfo::default()
            },
        )))
    }
}
