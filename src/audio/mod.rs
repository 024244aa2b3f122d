//! What an audio frame is, who sees the frames of a stream, and where they wait: formats and their checks, taps, and the
//! hub that hands the frames of all streams over together. It refuses rates, channel counts and sizes that the media
//! library would abort on, fall silent on or play wrongly.

mod format;
mod hub;
mod tap;

pub use format::{
    check_frame_size, check_queue_size, Format, FormatError, CHANNELS, FRAME_SIZES_MS,
    QUEUE_SIZES_MS, RATE_STEP, SAMPLE_RATES,
};
pub use hub::{Batch, FrameHub, Lane, LaneOptions, INDEX_WIDTH};
pub use tap::{Tap, Taps};
