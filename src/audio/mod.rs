//! What an audio frame is and what holds frames that wait: formats and their checks, a bounded batch of frames that drops
//! the oldest. It refuses rates, channel counts and sizes that the media library would abort or fall silent on.

mod batch;
mod format;
mod piece;

pub use batch::FrameBatch;
pub use batch::Taken;
pub use batch::INDEX_WIDTH;
pub use format::check_frame_size;
pub use format::check_queue_size;
pub use format::Format;
pub use format::FormatError;
pub use format::CHANNELS;
pub use format::FRAME_SIZES_MS;
pub use format::QUEUE_SIZES_MS;
pub use format::SAMPLE_RATES;
pub use piece::Piece;
