//! Which sample rates, channel counts and frame sizes are audio here. Everything else is refused before the media
//! library sees it: some of it aborts the process there (zero channels), the rest is silence.

use std::ops::RangeInclusive;

/// Hz a source or stream may have, in steps of `RATE_STEP`.
pub const SAMPLE_RATES: RangeInclusive<u32> = 8_000..=192_000;
/// WebRTC moves audio in pieces of 10 ms, which must be whole samples. It rounds the others down (220 of 220.5 samples at
/// 22,050 Hz), and everything is heard 0.2 % too high.
pub const RATE_STEP: u32 = 100;
/// Channels a source or stream may have: Opus carries mono and stereo.
pub const CHANNELS: RangeInclusive<u32> = 1..=2;
/// Milliseconds of audio a source may buffer; multiples of 10.
pub const QUEUE_SIZES_MS: RangeInclusive<u32> = 0..=60_000;
/// Milliseconds a frame of a stream may last.
pub const FRAME_SIZES_MS: RangeInclusive<u32> = 10..=1_000;

/// Why something is not audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The rate is out of range, or 10 ms of it are not whole samples.
    #[error(
        "the sample rate must be a multiple of 100 from 8000 to 192000 Hz, because audio moves in pieces of 10 ms, got {0}: \
         resample it, 22050 Hz for example to 24000"
    )]
    SampleRate(u32),
    /// The channel count is out of range.
    #[error("the number of channels must be 1 or 2, got {0}")]
    Channels(u32),
    /// The queue size is out of range or not a multiple of 10.
    #[error("the queue size must be a multiple of 10 from 0 to 60000 ms, got {0}")]
    QueueSize(u32),
    /// The frame size is out of range.
    #[error("the frame size must be from 10 to 1000 ms, got {0}")]
    FrameSize(u32),
    /// The samples do not fill the frame.
    #[error("a frame of {samples_per_channel} samples in {channels} channel(s) holds {expected} samples, got {got}")]
    Samples {
        /// Samples of one channel, as announced.
        samples_per_channel: u32,
        /// Channels of the source.
        channels: u32,
        expected: u64,
        got: usize,
    },
    /// A source without a queue takes exactly 10 ms at a time.
    #[error("a source with a queue of 0 ms takes frames of 10 ms ({expected} samples a channel), got {got}")]
    Unqueued {
        /// Samples of one channel in 10 ms.
        expected: u32,
        got: u32,
    },
}

/// Interleaved 16-bit samples at a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Hz.
    pub sample_rate: u32,
    pub channels: u32,
}

impl Format {
    pub fn new(sample_rate: u32, channels: u32) -> Result<Format, FormatError> {
        if !SAMPLE_RATES.contains(&sample_rate) || !sample_rate.is_multiple_of(RATE_STEP) {
            return Err(FormatError::SampleRate(sample_rate));
        }
        if !CHANNELS.contains(&channels) {
            return Err(FormatError::Channels(channels));
        }
        Ok(Format {
            sample_rate,
            channels,
        })
    }

    /// Whether samples are one frame of this format.
    pub fn check_frame(&self, samples: usize, samples_per_channel: u32) -> Result<(), FormatError> {
        let expected = u64::from(samples_per_channel) * u64::from(self.channels);
        if expected == samples as u64 {
            return Ok(());
        }
        Err(FormatError::Samples {
            samples_per_channel,
            channels: self.channels,
            expected,
            got: samples,
        })
    }

    /// Whether a frame fits a source that buffers nothing: such a source takes 10 ms at a time.
    pub fn check_unqueued(&self, samples_per_channel: u32) -> Result<(), FormatError> {
        let expected = self.sample_rate / 100;
        if samples_per_channel == expected {
            return Ok(());
        }
        Err(FormatError::Unqueued {
            expected,
            got: samples_per_channel,
        })
    }
}

/// Checks how much a source may buffer.
pub fn check_queue_size(queue_size_ms: u32) -> Result<u32, FormatError> {
    if QUEUE_SIZES_MS.contains(&queue_size_ms) && queue_size_ms.is_multiple_of(10) {
        return Ok(queue_size_ms);
    }
    Err(FormatError::QueueSize(queue_size_ms))
}

/// Checks how long the frames of a stream are.
pub fn check_frame_size(frame_size_ms: u32) -> Result<u32, FormatError> {
    if FRAME_SIZES_MS.contains(&frame_size_ms) {
        return Ok(frame_size_ms);
    }
    Err(FormatError::FrameSize(frame_size_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f_r19_formats_that_the_media_library_aborts_on_or_plays_wrongly_are_refused() {
        for (rate, channels, error) in [
            (0, 1, FormatError::SampleRate(0)),
            (7_999, 1, FormatError::SampleRate(7_999)),
            (192_001, 1, FormatError::SampleRate(192_001)),
            (u32::MAX, 1, FormatError::SampleRate(u32::MAX)),
            // F-R19: they were played with another pitch.
            (22_050, 1, FormatError::SampleRate(22_050)),
            (11_025, 2, FormatError::SampleRate(11_025)),
            (37_850, 1, FormatError::SampleRate(37_850)),
            (48_000, 0, FormatError::Channels(0)),
            (48_000, 3, FormatError::Channels(3)),
        ] {
            assert_eq!(Format::new(rate, channels), Err(error));
        }
        for (rate, channels) in [(8_000, 1), (11_100, 1), (44_100, 2), (192_000, 2)] {
            assert!(Format::new(rate, channels).is_ok(), "{rate} Hz, {channels}");
        }
    }

    #[test]
    fn a_frame_is_as_long_as_it_says() {
        let stereo = Format::new(48_000, 2).unwrap();
        assert_eq!(stereo.check_frame(960, 480), Ok(()));
        assert!(stereo.check_frame(480, 480).is_err());
        assert!(stereo.check_frame(961, 480).is_err());
        assert!(stereo.check_frame(0, u32::MAX).is_err());
    }

    #[test]
    fn a_source_without_a_queue_takes_ten_milliseconds_at_a_time() {
        let mono = Format::new(16_000, 1).unwrap();
        assert_eq!(mono.check_unqueued(160), Ok(()));
        assert!(mono.check_unqueued(320).is_err());
    }

    #[test]
    fn queue_sizes_are_multiples_of_ten() {
        assert_eq!(check_queue_size(1_000), Ok(1_000));
        assert_eq!(check_queue_size(0), Ok(0));
        assert_eq!(check_queue_size(15), Err(FormatError::QueueSize(15)));
        assert_eq!(
            check_queue_size(60_010),
            Err(FormatError::QueueSize(60_010))
        );
        assert_eq!(check_frame_size(9), Err(FormatError::FrameSize(9)));
        assert_eq!(check_frame_size(20), Ok(20));
    }
}
