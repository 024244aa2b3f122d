//! A bounded queue of frames: the newest are kept, the oldest are dropped and counted. Late audio is worth less than
//! audio now, so it never waits and never grows.

use std::collections::VecDeque;

use crate::audio::format::Format;

/// One frame of interleaved samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The samples.
    pub samples: Vec<i16>,
    /// What they mean.
    pub format: Format,
}

/// Frames that wait to be read.
/// **It never holds more than its capacity, and every frame is either read or counted as dropped.**
#[derive(Debug)]
pub struct FrameQueue {
    frames: VecDeque<Frame>,
    capacity: usize,
    dropped: u64,
}

impl FrameQueue {
    /// A queue for this many frames, at least one.
    pub fn new(capacity: usize) -> FrameQueue {
        FrameQueue {
            frames: VecDeque::new(),
            capacity: capacity.max(1),
            dropped: 0,
        }
    }

    /// Adds the newest frame; the oldest makes room for it, and lends it its memory.
    pub fn push(&mut self, samples: &[i16], format: Format) {
        let mut frame = Frame {
            samples: Vec::new(),
            format,
        };
        if self.frames.len() == self.capacity {
            self.dropped += 1;
            if let Some(oldest) = self.frames.pop_front() {
                frame.samples = oldest.samples;
                frame.samples.clear();
            }
        }
        frame.samples.extend_from_slice(samples);
        self.frames.push_back(frame);
    }

    /// Takes the oldest frame.
    pub fn pop(&mut self) -> Option<Frame> {
        self.frames.pop_front()
    }

    /// How many frames were dropped unread.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FORMAT: Format = Format {
        sample_rate: 48_000,
        channels: 1,
    };

    #[test]
    fn the_newest_frames_survive_and_the_others_are_counted() {
        let mut queue = FrameQueue::new(2);
        for sample in 1..=5 {
            queue.push(&[sample; 3], FORMAT);
        }
        assert_eq!(queue.dropped(), 3);
        assert_eq!(queue.pop().map(|frame| frame.samples), Some(vec![4; 3]));
        assert_eq!(queue.pop().map(|frame| frame.samples), Some(vec![5; 3]));
        assert_eq!(queue.pop(), None);
    }

    proptest! {
        #[test]
        fn every_frame_is_read_or_counted(capacity in 0usize..8, steps in prop::collection::vec(any::<bool>(), 0..200)) {
            let mut queue = FrameQueue::new(capacity);
            let (mut pushed, mut read, mut last) = (0u64, 0u64, -1);
            for push in steps {
                if push {
                    queue.push(&[pushed as i16], FORMAT);
                    pushed += 1;
                } else if let Some(frame) = queue.pop() {
                    prop_assert!(i32::from(frame.samples[0]) > last, "out of order");
                    last = i32::from(frame.samples[0]);
                    read += 1;
                }
                prop_assert!(queue.frames.len() <= capacity.max(1));
                prop_assert_eq!(pushed, read + queue.dropped() + queue.frames.len() as u64);
            }
        }
    }
}
