//! Frames of many streams that wait to be taken together, in the order they came. Each stream keeps its newest frames up
//! to its capacity; its oldest are dropped and counted, because late audio is worth less than audio now. The samples stay
//! where they were written: only where that is changes hands.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

use crate::audio::format::Format;
use crate::audio::piece::{Pen, Piece};

/// Numbers an entry of an index has: stream, where its first sample is in the piece, samples per channel, channels, rate.
/// An entry of zero samples per channel says that the stream has ended.
pub const INDEX_WIDTH: usize = 5;

/// Samples of a piece for each stream that fills it: a third of a second at 48 kHz.
const SAMPLES_A_STREAM: usize = 16_384;
/// A piece is made for at least and at most so many streams.
const STREAMS: std::ops::RangeInclusive<usize> = 2..=64;

/// What one `take` handed over.
#[derive(Default)]
pub struct Taken {
    /// Entries written to the index.
    pub entries: usize,
    /// Where their samples are; `None` if they have none.
    pub piece: Option<Arc<Piece>>,
    /// Whether something is left.
    pub more: bool,
}

struct Entry {
    stream: u32,
    start: usize,
    length: usize,
    /// `None`: the stream has ended.
    frame: Option<(Format, Arc<Piece>)>,
}

impl Entry {
    fn describe(&self, slot: &[AtomicU32]) {
        let (per_channel, channels, rate) = self.frame.as_ref().map_or((0, 0, 0), |(format, _)| {
            let per_channel = self.length as u32 / format.channels.max(1);
            (per_channel, format.channels, format.sample_rate)
        });
        let numbers = [self.stream, self.start as u32, per_channel, channels, rate];
        for (place, number) in slot.iter().zip(numbers) {
            place.store(number, Ordering::Relaxed);
        }
    }
}

/// Frames that wait.
/// **No stream holds more than its capacity, and every frame is either taken, in order, or counted as dropped.**
#[derive(Default)]
pub struct FrameBatch {
    entries: VecDeque<Entry>,
    waiting: HashMap<u32, usize>,
    pen: Option<Pen>,
    /// Streams that had something in the last batch that was taken whole.
    streams: usize,
}

impl FrameBatch {
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a stream's newest frame. `true` if its oldest was dropped for it.
    pub fn push(&mut self, stream: u32, capacity: usize, samples: &[i16], format: Format) -> bool {
        let full = self
            .waiting
            .get(&stream)
            .is_some_and(|count| *count >= capacity.max(1));
        if full {
            self.drop_oldest(stream);
        }
        *self.waiting.entry(stream).or_default() += 1;
        let pen = self.pen_for(samples.len());
        let start = pen.write(samples);
        let piece = pen.piece().clone();
        self.entries.push_back(Entry {
            stream,
            start,
            length: samples.len(),
            frame: Some((format, piece)),
        });
        full
    }

    /// Says that no more frames of a stream will come.
    pub fn end(&mut self, stream: u32) {
        self.entries.push_back(Entry {
            stream,
            start: 0,
            length: 0,
            frame: None,
        });
    }

    /// Hands over what lies in one piece, as far as `index` has room: `INDEX_WIDTH` numbers an entry.
    pub fn take(&mut self, index: &[AtomicU32]) -> Taken {
        let mut taken = Taken::default();
        for slot in index.chunks_exact(INDEX_WIDTH) {
            let Some(entry) = self.entries.front() else {
                break;
            };
            if let Some((_, piece)) = &entry.frame {
                let current = taken.piece.get_or_insert_with(|| piece.clone());
                if !Arc::ptr_eq(current, piece) {
                    break;
                }
            }
            entry.describe(slot);
            taken.entries += 1;
            self.entries.pop_front();
        }
        taken.more = !self.entries.is_empty();
        if taken.more {
            self.recount();
        } else {
            self.streams = self.waiting.len();
            self.waiting.clear();
        }
        taken
    }

    pub fn clear(&mut self) {
        *self = FrameBatch::default();
    }

    /// A pen with room for a frame of so many samples, in a new piece if the old one is full.
    fn pen_for(&mut self, samples: usize) -> &mut Pen {
        let old = self.pen.take();
        let number = old.as_ref().map_or(0, |pen| pen.piece().number());
        let streams = self.streams.clamp(*STREAMS.start(), *STREAMS.end());
        let pen = old.filter(|pen| pen.has_room(samples)).unwrap_or_else(|| {
            let size = samples.max(SAMPLES_A_STREAM * streams);
            Pen::new(Piece::new(number.wrapping_add(1), size))
        });
        self.pen.insert(pen)
    }

    fn recount(&mut self) {
        self.waiting.clear();
        for entry in self.entries.iter().filter(|entry| entry.frame.is_some()) {
            *self.waiting.entry(entry.stream).or_default() += 1;
        }
    }

    fn drop_oldest(&mut self, stream: u32) {
        let oldest = self
            .entries
            .iter()
            .position(|entry| entry.stream == stream && entry.frame.is_some());
        if oldest.and_then(|at| self.entries.remove(at)).is_none() {
            return;
        }
        if let Some(count) = self.waiting.get_mut(&stream) {
            *count -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MONO: Format = Format {
        sample_rate: 48_000,
        channels: 1,
    };

    struct Frames {
        /// The piece's number and the index.
        takes: Vec<(u32, Vec<u32>)>,
        /// The samples of each frame.
        samples: Vec<Vec<i16>>,
    }

    fn index(numbers: usize) -> Vec<AtomicU32> {
        (0..numbers).map(|_| AtomicU32::new(0)).collect()
    }

    /// Takes everything, at most `entries` at a time.
    fn all(batch: &mut FrameBatch, entries: usize) -> Frames {
        let (mut takes, mut samples, mut more) = (vec![], vec![], true);
        while more {
            // The three numbers too many are left alone.
            let index = index(INDEX_WIDTH * entries + 3);
            let taken = batch.take(&index);
            let numbers: Vec<u32> = index
                .iter()
                .map(|number| number.load(Ordering::Relaxed))
                .take(INDEX_WIDTH * taken.entries)
                .collect();
            let piece = taken.piece.as_deref();
            for entry in numbers.chunks(INDEX_WIDTH).filter(|entry| entry[2] > 0) {
                let (start, length) = (entry[1] as usize, (entry[2] * entry[3]) as usize);
                samples.push(piece.expect("frames have a piece").read(start, length));
            }
            takes.push((piece.map_or(0, Piece::number), numbers));
            more = taken.more;
        }
        Frames { takes, samples }
    }

    #[test]
    fn frames_of_all_streams_are_taken_together_in_the_order_they_came() {
        let stereo = Format {
            sample_rate: 16_000,
            channels: 2,
        };
        let mut batch = FrameBatch::default();
        batch.push(1, 9, &[1, -1], MONO);
        batch.push(2, 9, &[2, 3, -2, i16::MIN, 4, 5], stereo);
        batch.end(1);
        assert!(!batch.is_empty());
        let Frames { takes, samples } = all(&mut batch, 9);
        assert_eq!(samples, [vec![1, -1], vec![2, 3, -2, i16::MIN, 4, 5]]);
        let index = [1, 0, 2, 1, 48_000, 2, 4, 3, 2, 16_000, 1, 0, 0, 0, 0];
        assert_eq!(takes, [(1, index.to_vec())]);
        assert!(batch.is_empty());
    }

    #[test]
    fn the_newest_frames_of_a_stream_survive_and_other_streams_do_not_pay_for_it() {
        let mut batch = FrameBatch::default();
        batch.push(2, 2, &[9; 3], MONO);
        let dropped = (1..=5)
            .filter(|sample| batch.push(1, 2, &[*sample; 3], MONO))
            .count();
        assert_eq!(dropped, 3);
        assert_eq!(all(&mut batch, 9).samples, [[9; 3], [4; 3], [5; 3]]);
    }

    #[test]
    fn what_the_index_has_no_room_for_waits() {
        let mut batch = FrameBatch::default();
        batch.push(1, 9, &[1; 4], MONO);
        batch.push(2, 9, &[2; 6], MONO);
        let nothing = batch.take(&index(INDEX_WIDTH - 1));
        assert_eq!((nothing.entries, nothing.more), (0, true));
        let Frames { takes, samples } = all(&mut batch, 1);
        assert_eq!(takes.len(), 2);
        assert_eq!(samples, [vec![1; 4], vec![2; 6]]);
    }

    #[test]
    fn a_full_piece_is_followed_by_one_as_large_as_the_streams_that_fill_it_need() {
        let mut batch = FrameBatch::default();
        let frame = [7; 10_000];
        let small = 2 * SAMPLES_A_STREAM / frame.len();
        for stream in 0..small as u32 + 1 {
            batch.push(stream, 9, &frame, MONO);
        }
        let Frames { takes, samples } = all(&mut batch, 99);
        let pieces: Vec<u32> = takes.iter().map(|(piece, _)| *piece).collect();
        assert_eq!(pieces, [1, 2], "one take a piece");
        assert_eq!(takes[1].1[1], 0, "it begins at the front");
        assert!(samples.iter().all(|samples| samples == &frame));
        batch.push(1, 9, &[8; 1_000_000], MONO);
        let huge = batch.take(&index(INDEX_WIDTH)).piece;
        assert_eq!(huge.map(|piece| piece.bytes()), Some(2_000_000));
        batch.push(1, 9, &frame, MONO);
        let piece = batch.take(&index(INDEX_WIDTH)).piece;
        assert_eq!(
            piece.map(|piece| piece.bytes()),
            Some(2 * 2 * SAMPLES_A_STREAM)
        );
    }

    #[test]
    fn what_was_handed_over_is_never_written_again_and_dropped_pieces_are_freed() {
        let mut batch = FrameBatch::default();
        batch.push(1, 1, &[1; 480], MONO);
        let first = batch.take(&index(INDEX_WIDTH)).piece.expect("it has one");
        for sample in 2..1_000 {
            batch.push(1, 1, &[sample; 480], MONO);
        }
        assert_eq!(first.read(0, 480), [1; 480]);
        let freed = Arc::downgrade(&first);
        drop(first);
        assert!(freed.upgrade().is_none(), "nobody needs it");
        assert_eq!(all(&mut batch, 9).samples, [[999; 480]]);
    }

    proptest! {
        #[test]
        fn every_frame_is_taken_in_order_or_counted(
            capacity in 1usize..5,
            steps in prop::collection::vec((0u32..4, 1usize..4), 0..300),
        ) {
            let mut batch = FrameBatch::default();
            let mut sent = [0i16; 4];
            let mut dropped = [0i16; 4];
            let mut got: [Vec<i16>; 4] = Default::default();
            for (stream, length) in steps {
                // Stream 0 stands for a reader that has room for little.
                if stream == 0 {
                    let index = index(2 * INDEX_WIDTH);
                    let taken = batch.take(&index);
                    for slot in index.chunks(INDEX_WIDTH).take(taken.entries) {
                        let [stream, start] = [0, 1].map(|at| slot[at].load(Ordering::Relaxed) as usize);
                        let piece = taken.piece.as_deref().expect("frames have a piece");
                        got[stream].extend(piece.read(start, 1));
                    }
                    continue;
                }
                let stream = stream as usize;
                sent[stream] += 1;
                if batch.push(stream as u32, capacity, &vec![sent[stream]; length], MONO) {
                    dropped[stream] += 1;
                }
                let waiting = batch.entries.iter().filter(|entry| entry.stream == stream as u32).count();
                prop_assert!(waiting <= capacity);
            }
            let Frames { takes, samples } = all(&mut batch, 3);
            let streams = takes.iter().flat_map(|(_, index)| index.chunks(INDEX_WIDTH));
            for (entry, samples) in streams.zip(samples) {
                got[entry[0] as usize].push(samples[0]);
            }
            for stream in 1..4 {
                prop_assert!(got[stream].windows(2).all(|pair| pair[0] < pair[1]), "out of order");
                prop_assert_eq!(got[stream].len() as i16 + dropped[stream], sent[stream]);
            }
        }
    }
}
