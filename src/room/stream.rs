//! One open stream of a track's audio. Its frames go to the consumer's hub; it ends when it is closed, when its track or
//! room goes, or when it is dropped.

use std::sync::Arc;

use crate::audio::{check_frame_size, Format};
use crate::engine::{AudioStreamOptions, EngineAudioStream, EngineTrack};
use crate::room::error::RoomError;
use crate::room::frames::{FrameHub, StreamSink};

/// Frames the library itself keeps while its callback is busy; ours is never busy for long.
const LIBRARY_QUEUE_FRAMES: u32 = 10;

/// How a stream is cut and how much of it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamOptions {
    /// Hz.
    pub sample_rate: u32,
    pub num_channels: u32,
    /// Length of a frame in milliseconds; `None` = 10.
    pub frame_size_ms: Option<u32>,
    /// Frames that wait before the oldest is dropped.
    pub capacity_frames: u32,
    /// Milliseconds a frame may wait to be taken together with others; `None` = 10, or up to 60 with 17 to 119 streams. The
    /// smallest of a hub's streams counts, and none waits longer than the frames it holds.
    pub max_delay_ms: Option<u32>,
}

pub struct AudioStream {
    sink: Arc<StreamSink>,
    engine: Arc<dyn EngineAudioStream>,
    // A stream ends when its track goes, so it keeps it.
    _track: Arc<dyn EngineTrack>,
}

impl AudioStream {
    /// Opens a stream. Call it on a tokio runtime: the hub's ticker may have to start.
    pub fn open(
        hub: &Arc<FrameHub>,
        track: Arc<dyn EngineTrack>,
        options: StreamOptions,
    ) -> Result<AudioStream, RoomError> {
        Format::new(options.sample_rate, options.num_channels)?;
        options.frame_size_ms.map(check_frame_size).transpose()?;
        let sink = hub.open(options, |ticker| {
            tokio::spawn(ticker.run());
        });
        let opened = track.audio_stream(
            AudioStreamOptions {
                sample_rate: options.sample_rate,
                num_channels: options.num_channels,
                frame_size_ms: options.frame_size_ms,
                queue_size_frames: LIBRARY_QUEUE_FRAMES,
            },
            sink.clone(),
        );
        match opened {
            Ok(engine) => Ok(AudioStream {
                sink,
                engine,
                _track: track,
            }),
            Err(error) => {
                sink.forget();
                Err(RoomError::call("opening an audio stream")(error))
            }
        }
    }

    /// What a batch's index calls this stream.
    pub fn number(&self) -> u32 {
        self.sink.stream
    }

    /// Frames dropped because the consumer did not take them in time.
    pub fn dropped_frames(&self) -> u64 {
        self.sink.dropped()
    }

    /// Closes the stream; what waits can still be taken. Repeating is harmless.
    pub fn close(&self) {
        self.engine.close();
    }
}
