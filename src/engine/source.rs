//! A source that local audio is captured into.
//!
//! **One capture is outstanding at a time**: the library loses frames otherwise. Decides how a long frame is split into
//! pieces the library can buffer; refuses frames that do not fit the source.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Mutex, Semaphore};

use crate::engine::answer::{done, misunderstood};
use crate::engine::core::Core;
use crate::engine::proto::ffi_request::Message as Ask;
use crate::engine::proto::ffi_response::Message as Reply;
use crate::engine::track::Track;
use crate::engine::wire::Handle;
use crate::engine::{
    check, proto, AudioSourceOptions, EngineAudioSource, EngineError, EngineTrack,
};

/// How much longer than its own buffer a source may take to answer.
const MARGIN: Duration = Duration::from_secs(5);

pub(super) struct AudioSource {
    core: Arc<Core>,
    handle: Arc<Handle>,
    options: AudioSourceOptions,
    /// Keeps the pieces of one frame together.
    order: Mutex<()>,
    /// Given back by the library's answer, so that an abandoned capture still blocks the next one.
    turn: Arc<Semaphore>,
}

impl AudioSource {
    pub(super) fn new(
        core: &Arc<Core>,
        options: AudioSourceOptions,
    ) -> Result<AudioSource, EngineError> {
        check::audio_source(options)?;
        let ask = Ask::NewAudioSource(proto::NewAudioSourceRequest {
            r#type: proto::AudioSourceType::AudioSourceNative.into(),
            options: Some(proto::AudioSourceOptions {
                echo_cancellation: false,
                noise_suppression: false,
                auto_gain_control: false,
                ..Default::default()
            }),
            sample_rate: Some(options.sample_rate),
            num_channels: Some(options.num_channels),
            queue_size_ms: Some(options.queue_size_ms),
            ..Default::default()
        });
        let Reply::NewAudioSource(response) = core.wire.call("make an audio source", ask)? else {
            return Err(misunderstood());
        };
        Ok(AudioSource {
            core: core.clone(),
            handle: Arc::new(Handle::own(&core.wire, response.source.handle.id)),
            options,
            order: Mutex::default(),
            turn: Arc::new(Semaphore::new(1)),
        })
    }

    /// The most samples of one channel that the library takes at once.
    fn piece(&self) -> usize {
        let length = self.options.queue_size_ms.max(check::TICK_MS);
        (u64::from(self.options.sample_rate) * u64::from(length) / 1_000) as usize
    }

    async fn capture_piece(&self, samples: &[i16]) -> Result<(), EngineError> {
        let permit = self.turn.clone().acquire_owned().await;
        let deadline = Duration::from_millis(self.options.queue_size_ms.into()) + MARGIN;
        let channels = self.options.num_channels;
        let buffer = proto::AudioFrameBufferInfo {
            // The library copies the samples before it answers.
            data_ptr: samples.as_ptr() as u64,
            num_channels: channels,
            sample_rate: self.options.sample_rate,
            samples_per_channel: (samples.len() / channels as usize) as u32,
        };
        let capture = |id| {
            Ask::CaptureAudioFrame(proto::CaptureAudioFrameRequest {
                source_handle: self.handle.id(),
                buffer,
                request_async_id: Some(id),
            })
        };
        let wire = &self.core.wire;
        let taken = wire.ask("take the audio frame", deadline, permit.ok(), capture, done);
        taken.await
    }
}

#[async_trait]
impl EngineAudioSource for AudioSource {
    async fn capture(
        &self,
        samples: Vec<i16>,
        samples_per_channel: u32,
    ) -> Result<(), EngineError> {
        check::frame(self.options, samples.len(), samples_per_channel)?;
        let _order = self.order.lock().await;
        let piece = self.piece() * self.options.num_channels as usize;
        for samples in samples.chunks(piece) {
            self.capture_piece(samples).await?;
        }
        Ok(())
    }

    fn clear(&self) -> Result<(), EngineError> {
        let ask = Ask::ClearAudioBuffer(proto::ClearAudioBufferRequest {
            source_handle: self.handle.id(),
        });
        self.core.wire.call("clear the audio source", ask).map(drop)
    }

    fn create_track(&self, name: &str) -> Result<Arc<dyn EngineTrack>, EngineError> {
        let ask = Ask::CreateAudioTrack(proto::CreateAudioTrackRequest {
            name: name.to_owned(),
            source_handle: self.handle.id(),
        });
        match self.core.wire.call("make an audio track", ask)? {
            Reply::CreateAudioTrack(response) => Ok(Arc::new(Track::local(
                &self.core,
                response.track,
                &self.handle,
            ))),
            _ => Err(misunderstood()),
        }
    }
}
