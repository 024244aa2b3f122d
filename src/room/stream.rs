//! One open stream of a track's audio. Its frames go through its taps; it ends when it is closed, when its track or room
//! goes, or when it is dropped.

use std::sync::Arc;

use crate::audio::{check_frame_size, Format, Tap, Taps};
use crate::engine::{AudioSink, AudioStreamOptions, EngineAudioStream, EngineTrack};
use crate::room::error::RoomError;

/// Frames the library itself keeps while its callback is busy; taps never are for long.
const LIBRARY_QUEUE_FRAMES: u32 = 10;

pub struct AudioStream {
    engine: Arc<dyn EngineAudioStream>,
    // A stream ends when its track goes, so it keeps it.
    _track: Arc<dyn EngineTrack>,
}

impl AudioStream {
    /// Opens a stream that is resampled, remixed and cut as asked: frames of `frame_size_ms` milliseconds, `None` = 10.
    pub fn open(
        track: Arc<dyn EngineTrack>,
        format: Format,
        frame_size_ms: Option<u32>,
        taps: Vec<Box<dyn Tap>>,
    ) -> Result<AudioStream, RoomError> {
        let format = Format::new(format.sample_rate, format.channels)?;
        let options = AudioStreamOptions {
            sample_rate: format.sample_rate,
            num_channels: format.channels,
            frame_size_ms: frame_size_ms.map(check_frame_size).transpose()?,
            queue_size_frames: LIBRARY_QUEUE_FRAMES,
        };
        let opened = track.audio_stream(options, Arc::new(Sink(Taps::new(taps))));
        Ok(AudioStream {
            engine: opened.map_err(RoomError::call("opening an audio stream"))?,
            _track: track,
        })
    }

    /// Closes the stream; what waits in its taps stays there. Repeating is harmless.
    pub fn close(&self) {
        self.engine.close();
    }
}

/// What the engine calls for each frame of the stream.
struct Sink(Taps);

impl AudioSink for Sink {
    fn frame(&self, samples: &[i16], sample_rate: u32, channels: u32) {
        let format = Format {
            sample_rate,
            channels,
        };
        self.0.frame(samples, format);
    }

    fn end(&self) {
        self.0.end();
    }
}
