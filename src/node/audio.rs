//! Audio as JavaScript holds it: sources, tracks, streams, and the delivery of the frames of all streams of an
//! environment in one call. It refuses to share memory: what JavaScript gets is its own copy.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use napi::bindgen_prelude::{
    within_runtime_if_available, FnArgs, Function, Int16ArraySlice, PromiseRaw, Uint32ArraySlice,
};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Status};
use napi_derive::napi;
use parking_lot::{Mutex, MutexGuard};
use tokio::runtime::Handle;

use super::convert;
use super::error::{spawn, throw};
use super::runtime::{engine, Environment};
use crate::audio::{
    Format, FrameHub, LaneOptions, CHANNELS, FRAME_SIZES_MS, QUEUE_SIZES_MS, RATE_STEP,
    SAMPLE_RATES,
};
use crate::engine::EngineTrack;
use crate::error::{Code, Error};
use crate::room::{AudioSource, AudioStream, RoomError, Stopped};

/// The lowest sample rate in Hz.
#[napi]
pub const MIN_SAMPLE_RATE: u32 = *SAMPLE_RATES.start();
/// The highest sample rate in Hz.
#[napi]
pub const MAX_SAMPLE_RATE: u32 = *SAMPLE_RATES.end();
/// What the sample rates of sources and streams are multiples of.
#[napi]
pub const SAMPLE_RATE_STEP: u32 = RATE_STEP;
/// The most channels.
#[napi]
pub const MAX_CHANNELS: u32 = *CHANNELS.end();

/// How long frames may wait to be handed over together.
const DELAYS_MS: std::ops::RangeInclusive<u32> = 1..=1_000;

type Batch = FnArgs<(Uint32ArraySlice<'static>, Int16ArraySlice<'static>)>;
type Receiver = ThreadsafeFunction<(), (), Batch, Status, false, true, 1>;

/// Sets what is called with the audio that has come. Once per environment; it does not keep the process alive.
/// `index` has four numbers a frame: stream, samples per channel, channels, rate; no samples per channel = the stream has
/// ended. `samples` has theirs, one frame after the other.
#[napi(
    catch_unwind,
    ts_args_type = "receiver: (index: Uint32Array, samples: Int16Array) => void"
)]
pub fn set_audio_receiver(env: Env, receiver: Function<'_, (), ()>) -> napi::Result<()> {
    let hub: Arc<OnceLock<Weak<FrameHub>>> = Arc::default();
    let rung = hub.clone();
    let receiver: Receiver = receiver
        .build_threadsafe_function::<()>()
        .max_queue_size::<1>()
        .callee_handled::<false>()
        .weak::<true>()
        .build_callback(move |context| {
            let waiting = rung.get().and_then(Weak::upgrade);
            let batch = waiting.map(|hub| hub.take()).unwrap_or_default();
            Ok(FnArgs::from((
                Uint32ArraySlice::copy_from(&context.env, batch.index)?,
                Int16ArraySlice::copy_from(&context.env, batch.samples)?,
            )))
        })?;
    let receiver = Arc::new(receiver);
    let runtime = within_runtime_if_available(Handle::current);
    let made = FrameHub::new(move |after| {
        let receiver = receiver.clone();
        // Refused only while one is under way or when the environment ends; neither loses anything.
        let ring = move || receiver.call((), ThreadsafeFunctionCallMode::NonBlocking);
        if after.is_zero() {
            ring();
            return;
        }
        runtime.spawn(async move {
            tokio::time::sleep(after).await;
            ring();
        });
    });
    if hub.set(Arc::downgrade(&made)).is_err() || Environment::of(&env)?.audio.set(made).is_err() {
        let message = "audio already goes to another copy of roomhook in this thread: make sure that it is loaded once";
        return Err(throw(Error::new(Code::ConfigInvalid, message)));
    }
    Ok(())
}

fn whole(value: f64, path: &str, range: std::ops::RangeInclusive<u32>) -> napi::Result<u32> {
    convert::integer(
        value,
        path,
        i64::from(*range.start())..=i64::from(*range.end()),
    )
    .map_err(throw)
}

fn failed(error: RoomError) -> napi::Error {
    throw(Error::from(error))
}

/// A local or remote track.
#[napi]
pub struct NativeTrack {
    /// Given up when the track is closed.
    track: Mutex<Option<Arc<dyn EngineTrack>>>,
}

impl NativeTrack {
    pub(super) fn new(track: Arc<dyn EngineTrack>) -> NativeTrack {
        NativeTrack {
            track: Mutex::new(Some(track)),
        }
    }

    fn held(&self) -> MutexGuard<'_, Option<Arc<dyn EngineTrack>>> {
        self.track.lock()
    }

    pub(super) fn engine(&self) -> napi::Result<Arc<dyn EngineTrack>> {
        let track = self.held().clone();
        track.ok_or_else(|| failed(RoomError::TrackClosed))
    }
}

#[napi]
impl NativeTrack {
    /// What the library says about it, as JSON, as of its creation.
    #[napi(catch_unwind)]
    pub fn info(&self) -> napi::Result<String> {
        serde_json::to_string(self.engine()?.info()).map_err(|error| {
            let message = "what the engine told cannot be encoded";
            throw(Error::new(Code::TransportFailed, message).with_source(error))
        })
    }

    /// Mutes or unmutes a local track; answers the new state.
    #[napi(catch_unwind)]
    pub fn set_muted(&self, muted: bool) -> napi::Result<bool> {
        let changed = self.engine()?.set_muted(muted);
        changed
            .map_err(RoomError::call("muting a track"))
            .map_err(failed)
    }

    /// Gives the library's track up; a publication of it stays. Repeating is harmless.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        let track = self.held().take();
        drop(track);
    }

    /// Opens a stream of its audio; the frames go to the receiver that `setAudioReceiver` set.
    #[napi(catch_unwind)]
    pub fn open_stream(
        &self,
        env: Env,
        sample_rate: f64,
        num_channels: f64,
        frame_size_ms: Option<f64>,
        capacity_frames: f64,
        max_delay_ms: Option<f64>,
    ) -> napi::Result<NativeAudioStream> {
        let format = Format {
            sample_rate: whole(sample_rate, "sampleRate", SAMPLE_RATES)?,
            channels: whole(num_channels, "numChannels", CHANNELS)?,
        };
        let options = LaneOptions {
            frame_size_ms: frame_size_ms
                .map(|size| whole(size, "frameSizeMs", FRAME_SIZES_MS))
                .transpose()?,
            capacity_frames: whole(capacity_frames, "capacityFrames", 1..=100_000)?,
            max_delay_ms: max_delay_ms
                .map(|delay| whole(delay, "maxDelayMs", DELAYS_MS))
                .transpose()?,
        };
        let track = self.engine()?;
        let environment = Environment::of(&env)?;
        let hub = environment.audio.get().ok_or_else(|| {
            let message = "nobody receives audio: call setAudioReceiver first";
            throw(Error::new(Code::ConfigInvalid, message))
        })?;
        let lane = hub.open(options);
        let (number, dropped) = (lane.stream(), lane.dropped());
        let opened = AudioStream::open(track, format, options.frame_size_ms, vec![Box::new(lane)]);
        Ok(NativeAudioStream {
            stream: opened.map_err(failed)?,
            number,
            dropped,
        })
    }
}

/// An open stream of audio. It closes when it is collected.
#[napi]
pub struct NativeAudioStream {
    stream: AudioStream,
    number: u32,
    dropped: Arc<AtomicU64>,
}

#[napi]
impl NativeAudioStream {
    /// What the index of a batch calls this stream.
    #[napi(getter, catch_unwind)]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Frames dropped because the JavaScript thread was busy.
    #[napi(getter, catch_unwind)]
    pub fn dropped_frames(&self) -> f64 {
        self.dropped.load(Ordering::Relaxed) as f64
    }

    /// Closes it; what waits still comes. Repeating is harmless.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.stream.close();
    }
}

/// A source of local audio.
#[napi]
pub struct NativeAudioSource {
    source: Arc<AudioSource>,
}

#[napi]
impl NativeAudioSource {
    /// Makes a source; loads the media library if nothing has yet.
    #[napi(constructor, catch_unwind)]
    pub fn new(sample_rate: f64, num_channels: f64, queue_size_ms: f64) -> napi::Result<Self> {
        let sample_rate = whole(sample_rate, "sampleRate", SAMPLE_RATES)?;
        let num_channels = whole(num_channels, "numChannels", CHANNELS)?;
        let queue_size_ms = whole(queue_size_ms, "queueSize", QUEUE_SIZES_MS)?;
        let made = within_runtime_if_available(|| {
            AudioSource::new(&*engine(), sample_rate, num_channels, queue_size_ms)
        });
        Ok(NativeAudioSource {
            source: Arc::new(made.map_err(failed)?),
        })
    }

    /// Takes one frame; resolves when the source can take the next one.
    #[napi(catch_unwind)]
    pub fn capture<'env>(
        &self,
        env: &'env Env,
        samples: &[i16],
        samples_per_channel: f64,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let samples_per_channel = whole(samples_per_channel, "samplesPerChannel", 0..=u32::MAX)?;
        let captured = self
            .source
            .capture(samples.to_vec(), samples_per_channel)
            .map_err(failed)?;
        spawn(env, async move { Ok(captured.await?) }, |_, ()| Ok(()))
    }

    /// Drops what was captured and not yet played.
    #[napi(catch_unwind)]
    pub fn clear(&self) -> napi::Result<()> {
        self.source.clear().map_err(failed)
    }

    /// Makes a local track that carries this source.
    #[napi(catch_unwind)]
    pub fn create_track(&self, name: String) -> napi::Result<NativeTrack> {
        self.source
            .create_track(&name)
            .map(NativeTrack::new)
            .map_err(failed)
    }

    /// Takes nothing in until `resume`, and gives up what waits: its last track was unpublished, or its room left.
    #[napi(catch_unwind)]
    pub fn stop(&self, room_left: bool) {
        self.source.stop(if room_left {
            Stopped::RoomLeft
        } else {
            Stopped::Unpublished
        });
    }

    /// Takes frames in again.
    #[napi(catch_unwind)]
    pub fn resume(&self) {
        self.source.resume();
    }

    /// Takes no more frames. Repeating is harmless.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.source.close();
    }
}
