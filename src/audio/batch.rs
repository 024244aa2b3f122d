//! Frames of many streams that wait to be taken together, in the order they came. Each stream keeps its newest frames up
//! to its capacity; its oldest are dropped and counted, because late audio is worth less than audio now.

use std::collections::HashMap;
use std::collections::VecDeque;

use crate::audio::format::Format;

/// Numbers an entry of an index has: stream, offset of its first sample, samples per channel, channels, rate.
/// An entry of zero samples per channel says that the stream has ended.
pub const INDEX_WIDTH: usize = 5;

/// What one `take` moved, and what did not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Entries written to the index.
    pub entries: usize,
    /// Samples written.
    pub samples: usize,
    /// Samples of the next entry, if something is left.
    pub next: Option<usize>,
}

struct Entry {
    stream: u32,
    start: usize,
    length: usize,
    /// `None`: the stream has ended.
    format: Option<Format>,
}

impl Entry {
    fn describe(&self, offset: usize, slot: &mut [u8]) {
        let (per_channel, channels, rate) = self.format.map_or((0, 0, 0), |format| {
            let per_channel = self.length as u32 / format.channels.max(1);
            (per_channel, format.channels, format.sample_rate)
        });
        let numbers = [self.stream, offset as u32, per_channel, channels, rate];
        for (place, number) in slot.chunks_exact_mut(4).zip(numbers) {
            place.copy_from_slice(&number.to_ne_bytes());
        }
    }
}

/// Frames that wait.
/// **No stream holds more than its capacity, and every frame is either taken, in order, or counted as dropped.**
#[derive(Default)]
pub struct FrameBatch {
    entries: VecDeque<Entry>,
    samples: Vec<i16>,
    /// Samples of dropped frames that still take up room.
    dead: usize,
    waiting: HashMap<u32, usize>,
}

impl FrameBatch {
    /// Whether nothing waits.
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
        self.entries.push_back(Entry {
            stream,
            start: self.samples.len(),
            length: samples.len(),
            format: Some(format),
        });
        self.samples.extend_from_slice(samples);
        full
    }

    /// Says that no more frames of a stream will come.
    pub fn end(&mut self, stream: u32) {
        self.entries.push_back(Entry {
            stream,
            start: self.samples.len(),
            length: 0,
            format: None,
        });
    }

    /// Moves what fits into `memory`, as 16-bit samples in the machine's byte order from sample `offset` on, and into
    /// `index`, as 32-bit numbers, `INDEX_WIDTH` a frame.
    pub fn take(&mut self, memory: &mut [u8], offset: usize, index: &mut [u8]) -> Taken {
        let mut taken = Taken::default();
        for slot in index.chunks_exact_mut(4 * INDEX_WIDTH) {
            let Some(entry) = self.entries.front() else {
                break;
            };
            let at = offset.saturating_add(taken.samples);
            let start = at.saturating_mul(2);
            let end = start.saturating_add(2 * entry.length);
            let Some(room) = memory.get_mut(start..end) else {
                break;
            };
            let samples = &self.samples[entry.start..entry.start + entry.length];
            for (place, sample) in room.chunks_exact_mut(2).zip(samples) {
                place.copy_from_slice(&sample.to_ne_bytes());
            }
            entry.describe(at, slot);
            taken.samples += entry.length;
            taken.entries += 1;
            self.entries.pop_front();
        }
        taken.next = self.entries.front().map(|entry| entry.length);
        if self.entries.is_empty() {
            self.clear();
        } else {
            self.recount();
        }
        taken
    }

    /// Forgets everything, and keeps the memory for what comes.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.samples.clear();
        self.waiting.clear();
        self.dead = 0;
    }

    fn recount(&mut self) {
        self.waiting.clear();
        for entry in self.entries.iter().filter(|entry| entry.format.is_some()) {
            *self.waiting.entry(entry.stream).or_default() += 1;
        }
    }

    fn drop_oldest(&mut self, stream: u32) {
        let oldest = self
            .entries
            .iter()
            .position(|entry| entry.stream == stream && entry.format.is_some());
        let Some(entry) = oldest.and_then(|at| self.entries.remove(at)) else {
            return;
        };
        self.dead += entry.length;
        if let Some(count) = self.waiting.get_mut(&stream) {
            *count -= 1;
        }
        if self.dead * 2 > self.samples.len() {
            self.compact();
        }
    }

    fn compact(&mut self) {
        let mut end = 0;
        for entry in &mut self.entries {
            self.samples
                .copy_within(entry.start..entry.start + entry.length, end);
            entry.start = end;
            end += entry.length;
        }
        self.samples.truncate(end);
        self.dead = 0;
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

    /// Takes what fits into `room` samples from `offset` on and `frames` entries: the memory and the index as numbers.
    fn take(
        batch: &mut FrameBatch,
        room: usize,
        offset: usize,
        frames: usize,
    ) -> (Taken, Vec<i16>, Vec<u32>) {
        let (mut memory, mut index) = (vec![0; 2 * room], vec![0; 4 * INDEX_WIDTH * frames + 3]);
        let taken = batch.take(&mut memory, offset, &mut index);
        let samples = memory
            .chunks(2)
            .map(|pair| i16::from_ne_bytes([pair[0], pair[1]]));
        let numbers = index
            .chunks_exact(4)
            .map(|four| u32::from_ne_bytes([four[0], four[1], four[2], four[3]]));
        (
            taken,
            samples.collect(),
            numbers.take(INDEX_WIDTH * taken.entries).collect(),
        )
    }

    fn all(batch: &mut FrameBatch) -> (Vec<i16>, Vec<u32>) {
        let (taken, mut samples, index) = take(batch, 1_000, 0, 200);
        assert_eq!(taken.next, None);
        samples.truncate(taken.samples);
        (samples, index)
    }

    #[test]
    fn frames_of_all_streams_are_taken_in_one_piece_in_the_order_they_came() {
        let stereo = Format {
            sample_rate: 16_000,
            channels: 2,
        };
        let mut batch = FrameBatch::default();
        batch.push(1, 9, &[1, 1], MONO);
        batch.push(2, 9, &[2, 3, 2, 3], stereo);
        batch.end(1);
        assert!(!batch.is_empty());
        let (samples, index) = all(&mut batch);
        assert_eq!(samples, [1, 1, 2, 3, 2, 3]);
        assert_eq!(
            index,
            [1, 0, 2, 1, 48_000, 2, 2, 2, 2, 16_000, 1, 6, 0, 0, 0]
        );
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
        assert_eq!(all(&mut batch).0, [9, 9, 9, 4, 4, 4, 5, 5, 5]);
    }

    #[test]
    fn what_does_not_fit_waits_for_the_next_take() {
        let mut batch = FrameBatch::default();
        batch.push(1, 9, &[1; 4], MONO);
        batch.push(2, 9, &[2; 6], MONO);
        let (taken, samples, index) = take(&mut batch, 8, 1, 9);
        assert_eq!(
            taken,
            Taken {
                entries: 1,
                samples: 4,
                next: Some(6)
            }
        );
        assert_eq!((&samples[..], index[1]), (&[0, 1, 1, 1, 1, 0, 0, 0][..], 1));
        let nothing = Taken {
            next: Some(6),
            ..Taken::default()
        };
        assert_eq!(take(&mut batch, 8, 9, 9).0, nothing);
        assert_eq!(take(&mut batch, 8, 0, 0).0, nothing);
        assert_eq!(take(&mut batch, 8, usize::MAX, 9).0, nothing);
        assert_eq!(all(&mut batch).0, [2; 6]);
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
                    let (_, samples, index) = take(&mut batch, 7, 0, 2);
                    for entry in index.chunks(INDEX_WIDTH) {
                        got[entry[0] as usize].push(samples[entry[1] as usize]);
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
            let (samples, index) = all(&mut batch);
            for entry in index.chunks(INDEX_WIDTH) {
                got[entry[0] as usize].push(samples[entry[1] as usize]);
            }
            for stream in 1..4 {
                prop_assert!(got[stream].windows(2).all(|pair| pair[0] < pair[1]), "out of order");
                prop_assert_eq!(got[stream].len() as i16 + dropped[stream], sent[stream]);
            }
        }
    }
}
