//! A piece of memory for samples, shared with a reader in place: filled once from front to end while what is behind is
//! being read, and never written twice. It refuses to grow, and to know when its readers are done: the last one frees it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// Samples a word holds; each frame begins with a word of its own.
const WORD: usize = 4;

/// Memory for samples. A reader outside Rust sees it as 16-bit numbers in the machine's byte order.
pub struct Piece {
    number: u32,
    words: Box<[AtomicU64]>,
}

impl Piece {
    /// Silence, with room for `samples` samples.
    pub(super) fn new(number: u32, samples: usize) -> Piece {
        let words = (0..samples.div_ceil(WORD)).map(|_| AtomicU64::new(0));
        Piece {
            number,
            words: words.collect(),
        }
    }

    /// What an index calls it: 1 for a batch's first, then one more each.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Its size in bytes.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.words)
    }

    /// Where it begins. Valid while the piece lives; written through atomics only.
    pub fn address(&self) -> *mut u8 {
        self.words.as_ptr().cast_mut().cast()
    }

    /// What a reader sees from sample `start` on.
    #[cfg(test)]
    pub(crate) fn read(&self, start: usize, samples: usize) -> Vec<i16> {
        let words = self.words.iter().map(|word| word.load(Ordering::Relaxed));
        let lanes = words.flat_map(|word| {
            let [a, b, c, d, e, f, g, h] = word.to_ne_bytes();
            [[a, b], [c, d], [e, f], [g, h]].map(i16::from_ne_bytes)
        });
        lanes.skip(start).take(samples).collect()
    }

    /// Writes a frame from sample `start` on, a multiple of `WORD`. What does not fit is left out.
    fn write(&self, start: usize, samples: &[i16]) {
        for (word, four) in self.words[start / WORD..].iter().zip(samples.chunks(WORD)) {
            let mut lanes = [[0; 2]; WORD];
            for (lane, sample) in lanes.iter_mut().zip(four) {
                *lane = sample.to_ne_bytes();
            }
            let [a, b, c, d] = lanes;
            let value = u64::from_ne_bytes([a[0], a[1], b[0], b[1], c[0], c[1], d[0], d[1]]);
            // Published to the reader by the lock of whoever holds the batch.
            word.store(value, Ordering::Relaxed);
        }
    }
}

/// The place of the next frame.
pub(super) struct Pen {
    piece: Arc<Piece>,
    used: usize,
}

impl Pen {
    /// At the beginning of a new piece.
    pub(super) fn new(piece: Piece) -> Pen {
        Pen {
            piece: Arc::new(piece),
            used: 0,
        }
    }

    /// Whether a frame of so many samples fits.
    pub(super) fn has_room(&self, samples: usize) -> bool {
        self.used + samples <= WORD * self.piece.words.len()
    }

    /// Writes a frame that fits; answers where it begins.
    pub(super) fn write(&mut self, samples: &[i16]) -> usize {
        let start = self.used;
        self.piece.write(start, samples);
        self.used += samples.len().next_multiple_of(WORD);
        start
    }

    pub(super) fn piece(&self) -> &Arc<Piece> {
        &self.piece
    }
}
