//! Where the frames of all streams of one consumer wait, to be taken together. The first frame that waits asks for the
//! consumer to be rung, after a moment in which what comes with it gathers; nothing runs on a clock. Each stream keeps
//! its newest frames up to its capacity; its oldest are dropped and counted, because late audio is worth less than audio
//! now. It refuses to know time and threads: whoever makes a hub rings, and waits before it as long as it is told.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::audio::format::Format;
use crate::audio::tap::Tap;

/// Numbers an entry of an index has: stream, samples per channel, channels, rate. Zero samples per channel say that the
/// stream has ended.
pub const INDEX_WIDTH: usize = 4;

/// The media library mixes all streams every 10 ms and delivers them within this of each other, one after the other:
/// waiting for it makes one batch of them. A lone stream has nobody to wait for.
const GATHER: Duration = Duration::from_millis(1);
/// Frames of a stream that asks for no other size.
const FRAME_MS: u32 = 10;
/// What one batch hands over at most, so that a consumer that was busy is not busy again at once; the rest follows.
const BATCH_FRAMES: usize = 512;
const BATCH_SAMPLES: usize = 1 << 20;

/// How much of a stream waits, and how long.
#[derive(Clone, Copy, Debug)]
pub struct LaneOptions {
    /// Length of a frame in milliseconds; `None` = 10.
    pub frame_size_ms: Option<u32>,
    /// Frames that wait before the oldest is dropped.
    pub capacity_frames: u32,
    /// Milliseconds a frame may wait so that more are taken with it; `None` = 1, or 0 while no other stream is open. The
    /// smallest of a hub's streams counts, and none waits longer than the frames it holds.
    pub max_delay_ms: Option<u32>,
}

impl LaneOptions {
    /// How long the frames of this stream may wait, one of `streams`.
    fn patience(&self, streams: usize) -> Duration {
        let usual = if streams == 1 { Duration::ZERO } else { GATHER };
        let wish = self.max_delay_ms.map_or(usual, millis);
        // Longer, and waiting alone would drop frames.
        wish.min(millis(self.frame_size_ms.unwrap_or(FRAME_MS)) * self.capacity_frames)
    }
}

fn millis(ms: u32) -> Duration {
    Duration::from_millis(u64::from(ms))
}

/// What waited, the frames of each stream in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// `INDEX_WIDTH` numbers an entry.
    pub index: Vec<u32>,
    /// The samples of the entries, one after the other.
    pub samples: Vec<i16>,
}

struct Frame {
    samples: Box<[i16]>,
    format: Format,
}

struct Waiting {
    options: LaneOptions,
    frames: VecDeque<Frame>,
    dropped: Arc<AtomicU64>,
    ended: bool,
}

impl Waiting {
    fn push(&mut self, frame: Frame) {
        if self.frames.len() >= self.options.capacity_frames.max(1) as usize {
            self.frames.pop_front();
            if self.dropped.fetch_add(1, Ordering::Relaxed) == 0 {
                tracing::warn!(
                    "audio frames are dropped: the thread that takes them is busy for longer than a stream's \
                     capacityFrames last"
                );
            }
        }
        self.frames.push_back(frame);
    }
}

#[derive(Default)]
struct State {
    lanes: HashMap<u32, Waiting>,
    /// Streams that have something to take, each once.
    ready: VecDeque<u32>,
    next: u32,
    ringing: bool,
}

type Bell = Box<dyn Fn(Duration) + Send + Sync>;

/// All open streams of one consumer.
/// **At most one ring is under way, and what waits before a ring is answered is taken by that answer or rung for again.**
pub struct FrameHub {
    ring: Bell,
    state: Mutex<State>,
}

impl FrameHub {
    /// A hub that calls `ring` when there is something to take: the consumer is to be told once so much time has passed,
    /// and answers with `take`. It must return at once.
    pub fn new(ring: impl Fn(Duration) + Send + Sync + 'static) -> Arc<FrameHub> {
        Arc::new(FrameHub {
            ring: Box::new(ring),
            state: Mutex::default(),
        })
    }

    /// The way of one stream's frames to the consumer. Dropped before its end, it leaves nothing behind.
    pub fn open(self: &Arc<Self>, options: LaneOptions) -> Lane {
        let dropped = Arc::default();
        let mut state = self.state.lock();
        state.next += 1;
        let stream = state.next;
        let waiting = Waiting {
            options,
            frames: VecDeque::new(),
            dropped: Arc::clone(&dropped),
            ended: false,
        };
        state.lanes.insert(stream, waiting);
        drop(state);
        Lane {
            hub: self.clone(),
            stream,
            dropped,
            ended: false,
        }
    }

    /// Takes what waits: the answer to a ring. If something is left, it rings again at once.
    pub fn take(&self) -> Batch {
        let mut state = self.state.lock();
        let batch = state.take();
        state.ringing = !state.ready.is_empty();
        let again = state.ringing;
        drop(state);
        if again {
            (self.ring)(Duration::ZERO);
        }
        batch
    }

    /// Forgets all streams: the consumer is gone.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.lanes.clear();
        state.ready.clear();
    }

    /// Changes what waits of one stream, and rings if nobody is on the way to take it.
    fn add(&self, stream: u32, add: impl FnOnce(&mut Waiting)) {
        let mut state = self.state.lock();
        let Some(waiting) = state.lanes.get_mut(&stream) else {
            return;
        };
        let was_empty = waiting.frames.is_empty();
        add(waiting);
        if was_empty {
            state.ready.push_back(stream);
        }
        if std::mem::replace(&mut state.ringing, true) {
            return;
        }
        let streams = state.lanes.len();
        let waits = state.lanes.values();
        let after = waits.map(|waiting| waiting.options.patience(streams)).min();
        drop(state);
        (self.ring)(after.unwrap_or_default());
    }
}

impl State {
    fn take(&mut self) -> Batch {
        let mut batch = Batch::default();
        while let Some(stream) = self.ready.pop_front() {
            let Some(waiting) = self.lanes.get_mut(&stream) else {
                continue;
            };
            while let Some(frame) = waiting.frames.pop_front() {
                let Format {
                    sample_rate,
                    channels,
                } = frame.format;
                let per_channel = frame.samples.len() as u32 / channels.max(1);
                batch
                    .index
                    .extend([stream, per_channel, channels, sample_rate]);
                batch.samples.extend_from_slice(&frame.samples);
                if batch.index.len() >= BATCH_FRAMES * INDEX_WIDTH
                    || batch.samples.len() >= BATCH_SAMPLES
                {
                    break;
                }
            }
            if !waiting.frames.is_empty() {
                self.ready.push_back(stream);
                break;
            }
            if waiting.ended {
                batch.index.extend([stream, 0, 0, 0]);
                self.lanes.remove(&stream);
            }
        }
        batch
    }
}

/// The last tap of a stream: its frames wait in the hub.
pub struct Lane {
    hub: Arc<FrameHub>,
    stream: u32,
    dropped: Arc<AtomicU64>,
    ended: bool,
}

impl Lane {
    /// What the index of a batch calls this stream.
    pub fn stream(&self) -> u32 {
        self.stream
    }

    /// Counts the frames dropped because the consumer did not take them in time.
    pub fn dropped(&self) -> Arc<AtomicU64> {
        self.dropped.clone()
    }
}

impl Tap for Lane {
    fn frame(&mut self, samples: &[i16], format: Format) {
        let samples = samples.into();
        self.hub.add(self.stream, |waiting| {
            waiting.push(Frame { samples, format });
        });
    }

    fn end(&mut self) {
        self.ended = true;
        self.hub.add(self.stream, |waiting| waiting.ended = true);
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if !self.ended {
            self.hub.state.lock().lanes.remove(&self.stream);
        }
    }
}

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
