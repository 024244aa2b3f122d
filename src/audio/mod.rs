//! What an audio frame is and what holds frames that wait: formats and their checks, a bounded batch of frames that drops
//! the oldest. It refuses rates, channel counts and sizes that the media library would abort or fall silent on.

mod batch;
mod format;
mod piece;

pub use batch::{FrameBatch, Taken, INDEX_WIDTH};
pub use format::{
    check_frame_size, check_queue_size, Format, FormatError, CHANNELS, FRAME_SIZES_MS,
    QUEUE_SIZES_MS, SAMPLE_RATES,
};
pub use piece::Piece;
