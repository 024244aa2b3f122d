//! Audio as JavaScript holds it: sources, tracks, streams, and the delivery of all frames of an environment in one call a
//! tick. A weak thread-safe function is only the doorbell; JavaScript then learns where in shared memory the frames are.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::sync::OnceLock;

use napi::bindgen_prelude::within_runtime_if_available;
use napi::bindgen_prelude::ArrayBuffer;
use napi::bindgen_prelude::BufferSlice;
use napi::bindgen_prelude::Function;
use napi::bindgen_prelude::PromiseRaw;
use napi::threadsafe_function::ThreadsafeFunction;
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi::Env;
use napi::Status;
use napi_derive::napi;

use super::convert;
use super::error::spawn;
use super::error::throw;
use super::runtime::engine;
use super::runtime::Environment;
use crate::audio::Piece;
use crate::audio::CHANNELS;
use crate::audio::FRAME_SIZES_MS;
use crate::audio::QUEUE_SIZES_MS;
use crate::audio::SAMPLE_RATES;
use crate::engine::EngineTrack;
use crate::error::Code;
use crate::error::Error;
use crate::room::AudioSource;
use crate::room::AudioStream;
use crate::room::FrameHub;
use crate::room::RoomError;
use crate::room::StreamOptions;

/// Bytes of the numbers an index begins with.
const INDEX_HEAD: usize = 2 * 4;

type Doorbell = ThreadsafeFunction<(), (), (), Status, false, true, 1>;

/// The frames of one environment on their way to JavaScript.
#[derive(Default)]
pub(super) struct Delivery {
    hub: OnceLock<Arc<FrameHub>>,
    /// The number of the piece of memory that JavaScript got last.
    piece: AtomicU32,
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

/// Sets what is called, at most once a tick, when there is audio to take with `takeAudio`. Once per environment; it does
/// not keep the process alive.
#[napi(catch_unwind, ts_args_type = "doorbell: () => void")]
pub fn set_audio_doorbell(env: Env, doorbell: Function<'_, (), ()>) -> napi::Result<()> {
    let doorbell: Doorbell = doorbell
        .build_threadsafe_function::<()>()
        .max_queue_size::<1>()
        .callee_handled::<false>()
        .weak::<true>()
        .build_callback(|_| Ok(()))?;
    let hub = FrameHub::new(move || {
        // Refused only while one is under way or when the environment ends; neither loses anything.
        doorbell.call((), ThreadsafeFunctionCallMode::NonBlocking);
    });
    // The first doorbell stays: streams may be open on it.
    let _ = Environment::of(&env)?.audio.hub.set(hub);
    Ok(())
}

/// Hands over the audio that waits. `index`, 32-bit numbers, begins with two: how many entries follow, and whether something
/// is left (1) or not (0). Five an entry follow: stream, where its first 16-bit sample is in the memory, samples per channel,
/// channels, rate; no samples per channel = the stream has ended. Answers the memory if it is another one than before. It is
/// filled from front to end and never written twice.
#[napi(catch_unwind, ts_args_type = "index: Uint8Array")]
pub fn take_audio<'env>(
    env: &'env Env,
    mut index: BufferSlice<'env>,
) -> napi::Result<Option<ArrayBuffer<'env>>> {
    let Some((head, entries)) = index.split_at_mut_checked(INDEX_HEAD) else {
        let message = "the index must have room for its two leading numbers";
        return Err(throw(Error::new(Code::ConfigInvalid, message)));
    };
    let environment = Environment::of(env)?;
    let delivery = &environment.audio;
    let taken = delivery.hub()?.take(entries);
    for (place, number) in head
        .chunks_exact_mut(4)
        .zip([taken.entries as u32, u32::from(taken.more)])
    {
        place.copy_from_slice(&number.to_ne_bytes());
    }
    let Some(piece) = taken.piece else {
        return Ok(None);
    };
    let number = piece.number();
    let known = delivery.piece.swap(number, Ordering::Relaxed) == number;
    (!known).then(|| shared(env, piece)).transpose()
}

/// The piece as JavaScript sees it. The memory lives until both sides have let go of it.
#[allow(unsafe_code)]
fn shared(env: &Env, piece: Arc<Piece>) -> napi::Result<ArrayBuffer<'_>> {
    let (address, bytes) = (piece.address(), piece.bytes());
    // SAFETY: the address is that of `bytes` bytes, and the finalizer owns a share of the piece, so they outlive the buffer.
    // Each piece is wrapped once. This side writes through atomics, and only where no frame was announced yet.
    let buffer =
        unsafe { ArrayBuffer::from_external(env, address, bytes, piece, |_, piece| drop(piece)) }?;
    if buffer.as_ptr() == address.cast_const() {
        return Ok(buffer);
    }
    // What such a runtime made is a copy of the silence that was there before the audio.
    let message = "audio cannot be received: this JavaScript runtime does not allow memory shared with native code \
                   (external array buffers); use Node.js";
    Err(throw(Error::new(Code::EngineUnavailable, message)))
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
    track: Arc<dyn EngineTrack>,
}

impl NativeTrack {
    pub(super) fn new(track: Arc<dyn EngineTrack>) -> NativeTrack {
        NativeTrack { track }
    }

    pub(super) fn engine(&self) -> Arc<dyn EngineTrack> {
        self.track.clone()
    }
}

#[napi]
impl NativeTrack {
    /// What the library says about it, as JSON, as of its creation.
    #[napi(catch_unwind)]
    pub fn info(&self) -> napi::Result<String> {
        serde_json::to_string(self.track.info()).map_err(|error| {
            let message = "what the engine told cannot be encoded";
            throw(Error::new(Code::TransportFailed, message).with_source(error))
        })
    }

    /// Mutes or unmutes a local track; answers the new state.
    #[napi(catch_unwind)]
    pub fn set_muted(&self, muted: bool) -> napi::Result<bool> {
        let changed = self.track.set_muted(muted);
        changed
            .map_err(RoomError::call("muting a track"))
            .map_err(failed)
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
    ) -> napi::Result<NativeAudioStream> {
        let options = StreamOptions {
            sample_rate: whole(sample_rate, "sampleRate", SAMPLE_RATES)?,
            num_channels: whole(num_channels, "numChannels", CHANNELS)?,
            frame_size_ms: frame_size_ms
                .map(|size| whole(size, "frameSizeMs", FRAME_SIZES_MS))
                .transpose()?,
            capacity_frames: whole(capacity_frames, "capacityFrames", 1..=100_000)?,
        };
        let environment = Environment::of(&env)?;
        let hub = environment.audio.hub()?;
        let track = self.track.clone();
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
