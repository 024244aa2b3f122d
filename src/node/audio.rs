//! Audio as JavaScript holds it: sources, tracks, streams, and the delivery of all frames of an environment in one call a
//! tick. A weak thread-safe function is only the doorbell; JavaScript then learns where in shared memory the frames are.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use napi::bindgen_prelude::{within_runtime_if_available, ArrayBuffer, Function, PromiseRaw};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Status};
use napi_derive::napi;
use parking_lot::{Mutex, MutexGuard};

use super::convert;
use super::error::{spawn, throw};
use super::memory::share;
use super::runtime::{engine, Environment};
use crate::audio::{Piece, CHANNELS, FRAME_SIZES_MS, INDEX_WIDTH, QUEUE_SIZES_MS, SAMPLE_RATES};
use crate::engine::EngineTrack;
use crate::error::{Code, Error};
use crate::room::{AudioSource, AudioStream, FrameHub, RoomError, StreamOptions};

/// Numbers an index begins with.
const INDEX_HEAD: usize = 2;
/// Entries of an index: more frames take another ring.
const INDEX_ENTRIES: usize = 512;

/// How long frames may wait to be handed over together.
const DELAYS_MS: std::ops::RangeInclusive<u32> = 10..=1_000;

type Doorbell = ThreadsafeFunction<(), (), (), Status, false, true, 1>;

/// The frames of one environment on their way to JavaScript.
#[derive(Default)]
pub(super) struct Delivery {
    hub: OnceLock<Arc<FrameHub>>,
    /// Where the frames are that the index tells of.
    piece: Arc<Mutex<Option<Arc<Piece>>>>,
}

impl Delivery {
    fn hub(&self) -> napi::Result<&Arc<FrameHub>> {
        self.hub.get().ok_or_else(|| {
            let message = "no doorbell for audio is set: call setAudioDoorbell first";
            throw(Error::new(Code::ConfigInvalid, message))
        })
    }

    pub(super) fn end(&self) {
        if let Some(hub) = self.hub.get() {
            hub.close();
        }
    }
}

/// Sets what is called, at most once a tick, when audio has come. Once per environment; it does not keep the process alive.
/// Answers the memory of the index, 32-bit numbers that are valid during the call. It begins with two: how many entries
/// follow, and the number of the memory their samples are in, which `audioMemory` gives. Five an entry follow: stream, where
/// its first 16-bit sample is in that memory, samples per channel, channels, rate; no samples per channel = the stream has
/// ended.
#[napi(catch_unwind, ts_args_type = "doorbell: () => void")]
pub fn set_audio_doorbell<'env>(
    env: &'env Env,
    doorbell: Function<'env, (), ()>,
) -> napi::Result<ArrayBuffer<'env>> {
    let delivery = &Environment::of(env)?.audio;
    let index: Arc<[AtomicU32]> = (0..INDEX_HEAD + INDEX_WIDTH * INDEX_ENTRIES)
        .map(|_| AtomicU32::new(0))
        .collect();
    let (filled, piece) = (index.clone(), delivery.piece.clone());
    let hub: Arc<OnceLock<Weak<FrameHub>>> = Arc::default();
    let answered = hub.clone();
    let doorbell: Doorbell = doorbell
        .build_threadsafe_function::<()>()
        .max_queue_size::<1>()
        .callee_handled::<false>()
        .weak::<true>()
        .build_callback(move |_| {
            if let Some(hub) = answered.get().and_then(Weak::upgrade) {
                answer(&hub, &filled, &piece);
            }
            Ok(())
        })?;
    let made = FrameHub::new(move || {
        // Refused only while one is under way or when the environment ends; neither loses anything.
        doorbell.call((), ThreadsafeFunctionCallMode::NonBlocking);
    });
    if hub.set(Arc::downgrade(&made)).is_err() || delivery.hub.set(made).is_err() {
        let message = "audio already goes to another copy of roomhook in this thread: make sure that it is loaded once";
        return Err(throw(Error::new(Code::ConfigInvalid, message)));
    }
    share(env, index)
}

/// Fills the index with what waits. On the JavaScript thread, just before the doorbell's function runs.
fn answer(hub: &FrameHub, index: &[AtomicU32], known: &Mutex<Option<Arc<Piece>>>) {
    let Some((head, entries)) = index.split_at_checked(INDEX_HEAD) else {
        return;
    };
    let taken = hub.take(entries);
    head[0].store(taken.entries as u32, Ordering::Relaxed);
    if let Some(piece) = taken.piece {
        if head[1].swap(piece.number(), Ordering::Relaxed) != piece.number() {
            *known.lock() = Some(piece);
        }
    }
}

/// The memory the index tells of, once: for the first call since it has another number.
#[napi(catch_unwind)]
pub fn audio_memory(env: &Env) -> napi::Result<Option<ArrayBuffer<'_>>> {
    let piece = Environment::of(env)?.audio.piece.clone();
    let taken = piece.lock().take();
    taken.map(|piece| share(env, piece)).transpose()
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

    /// Opens a stream of its audio; the frames come through `takeAudio`.
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
        let options = StreamOptions {
            sample_rate: whole(sample_rate, "sampleRate", SAMPLE_RATES)?,
            num_channels: whole(num_channels, "numChannels", CHANNELS)?,
            frame_size_ms: frame_size_ms
                .map(|size| whole(size, "frameSizeMs", FRAME_SIZES_MS))
                .transpose()?,
            capacity_frames: whole(capacity_frames, "capacityFrames", 1..=100_000)?,
            max_delay_ms: max_delay_ms
                .map(|delay| whole(delay, "maxDelayMs", DELAYS_MS))
                .transpose()?,
        };
        let environment = Environment::of(&env)?;
        let hub = environment.audio.hub()?;
        let track = self.engine()?;
        let opened = within_runtime_if_available(|| AudioStream::open(hub, track, options));
        Ok(NativeAudioStream {
            stream: opened.map_err(failed)?,
        })
    }
}

/// An open stream of audio. It closes when it is collected.
#[napi]
pub struct NativeAudioStream {
    stream: AudioStream,
}

#[napi]
impl NativeAudioStream {
    /// What the index of `takeAudio` calls this stream.
    #[napi(getter, catch_unwind)]
    pub fn number(&self) -> u32 {
        self.stream.number()
    }

    /// Frames dropped because the JavaScript thread was busy.
    #[napi(getter, catch_unwind)]
    pub fn dropped_frames(&self) -> f64 {
        self.stream.dropped_frames() as f64
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

    /// Takes no more frames. Repeating is harmless.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.source.close();
    }
}
