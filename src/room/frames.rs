//! The audio of all streams of one consumer, taken together. Frames wait in one bounded batch; a ticker rings the
//! consumer's doorbell at most once a tick, as long as the most impatient stream allows, and the consumer then takes
//! everything.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::audio::{Format, FrameBatch, Taken};
use crate::engine::AudioSink;
use crate::room::stream::StreamOptions;

/// The tick of a few streams, whatever waking the consumer costs: they are a conversation.
const TICK: Duration = Duration::from_millis(10);
const FEW_STREAMS: usize = 16;
/// With more of them, a wake costs as much as 50 frames do or more (`npm run bench -- audio`), so this many are gathered for
/// one: up to 60 ms of delay for less of the JavaScript thread. `max_delay_ms` sets another balance.
const GATHERED_FRAMES: usize = 120;
const LONGEST_TICKS: u32 = 6;
/// Frames of a stream that asks for no other size.
const FRAME: Duration = Duration::from_millis(10);
/// Streams of one room deliver within this of each other: waiting for it makes one batch of them.
const GATHER: Duration = Duration::from_millis(1);

type Doorbell = Box<dyn Fn() + Send + Sync>;

/// All open streams of one consumer.
/// **At most one ring is under way, and what waits before a ring is answered is taken by that answer.**
pub struct FrameHub {
    doorbell: Doorbell,
    streams: Mutex<Streams>,
    waiting: Mutex<FrameBatch>,
    work: Notify,
    ringing: AtomicBool,
}

/// How long the frames of a stream may wait.
#[derive(Clone, Copy)]
struct Patience {
    /// What was asked for.
    wish: Option<Duration>,
    /// The length of what it holds: longer, and waiting alone would drop frames.
    limit: Duration,
}

impl Patience {
    fn of(options: StreamOptions) -> Patience {
        let millis = |ms: u32| Duration::from_millis(u64::from(ms));
        Patience {
            wish: options.max_delay_ms.map(millis),
            limit: options.frame_size_ms.map_or(FRAME, millis) * options.capacity_frames,
        }
    }
}

#[derive(Default)]
struct Streams {
    open: HashMap<u32, Patience>,
    next: u32,
    ticking: bool,
}

/// The tick while this many streams are open that ask for none.
fn usual_tick(streams: usize) -> Duration {
    if streams <= FEW_STREAMS {
        return TICK;
    }
    let ticks = GATHERED_FRAMES.div_ceil(streams);
    TICK * u32::try_from(ticks).map_or(LONGEST_TICKS, |ticks| ticks.min(LONGEST_TICKS))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

impl FrameHub {
    /// A hub that rings `doorbell` when there are frames to take. The doorbell must return at once.
    pub fn new(doorbell: impl Fn() + Send + Sync + 'static) -> Arc<FrameHub> {
        Arc::new(FrameHub {
            doorbell: Box::new(doorbell),
            streams: Mutex::default(),
            waiting: Mutex::default(),
            work: Notify::new(),
            ringing: AtomicBool::new(false),
        })
    }

    /// Hands over what waits, as `FrameBatch::take` does: the answer to a ring. If something is left, it rings at once.
    pub fn take(&self, index: &[AtomicU32]) -> Taken {
        let taken = {
            let mut waiting = lock(&self.waiting);
            let taken = waiting.take(index);
            self.ringing.store(taken.more, Ordering::SeqCst);
            taken
        };
        if taken.more {
            (self.doorbell)();
        }
        taken
    }

    /// Forgets all streams: the consumer is gone.
    pub fn close(&self) {
        lock(&self.streams).open.clear();
        lock(&self.waiting).clear();
        self.work.notify_one();
    }

    /// Opens the way for one stream; `spawn` runs the ticker if none runs.
    pub(crate) fn open(
        self: &Arc<Self>,
        options: StreamOptions,
        spawn: impl FnOnce(Ticker),
    ) -> Arc<StreamSink> {
        let (stream, start) = {
            let mut streams = lock(&self.streams);
            streams.next += 1;
            let stream = streams.next;
            streams.open.insert(stream, Patience::of(options));
            (stream, !std::mem::replace(&mut streams.ticking, true))
        };
        if start {
            spawn(Ticker(self.clone()));
        }
        Arc::new(StreamSink {
            stream,
            capacity: options.capacity_frames as usize,
            hub: self.clone(),
            ended: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
        })
    }

    fn must_ring(&self) -> bool {
        !lock(&self.waiting).is_empty() && !self.ringing.load(Ordering::SeqCst)
    }

    /// The tick, until no stream is left and nobody must be told of what they left behind.
    fn next_tick(&self) -> Option<Duration> {
        let mut streams = lock(&self.streams);
        streams.ticking = !streams.open.is_empty() || self.must_ring();
        if !streams.ticking {
            return None;
        }
        let usual = usual_tick(streams.open.len());
        let waits = streams.open.values();
        let tick = waits.map(|patience| patience.wish.unwrap_or(usual).min(patience.limit));
        Some(tick.min().unwrap_or(usual))
    }

    fn add(&self, add: impl FnOnce(&mut FrameBatch)) {
        let first = {
            let mut waiting = lock(&self.waiting);
            let first = waiting.is_empty();
            add(&mut waiting);
            first
        };
        if first {
            self.work.notify_one();
        }
    }
}

/// The task of a hub. It runs while streams are open.
pub(crate) struct Ticker(Arc<FrameHub>);

impl Ticker {
    pub(crate) async fn run(self) {
        let hub = self.0;
        let mut rang: Option<Instant> = None;
        while let Some(tick) = hub.next_tick() {
            hub.work.notified().await;
            let soon = Instant::now() + GATHER;
            tokio::time::sleep_until(rang.map_or(soon, |rang| soon.max(rang + tick))).await;
            if hub.must_ring() {
                hub.ringing.store(true, Ordering::SeqCst);
                rang = Some(Instant::now());
                (hub.doorbell)();
            }
        }
    }
}

/// Where the library puts the frames of one stream.
pub(crate) struct StreamSink {
    pub(crate) stream: u32,
    capacity: usize,
    hub: Arc<FrameHub>,
    ended: AtomicBool,
    dropped: AtomicU64,
}

impl StreamSink {
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Forgets a stream whose opening failed.
    pub(crate) fn forget(&self) {
        lock(&self.hub.streams).open.remove(&self.stream);
        self.hub.work.notify_one();
    }
}

impl AudioSink for StreamSink {
    fn frame(&self, samples: &[i16], sample_rate: u32, num_channels: u32) {
        if samples.is_empty() || self.ended.load(Ordering::Acquire) {
            return;
        }
        let format = Format {
            sample_rate,
            channels: num_channels,
        };
        self.hub.add(|waiting| {
            if waiting.push(self.stream, self.capacity, samples, format) {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    fn end(&self) {
        if self.ended.swap(true, Ordering::AcqRel) {
            return;
        }
        self.hub.add(|waiting| waiting.end(self.stream));
        lock(&self.hub.streams).open.remove(&self.stream);
        self.hub.work.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::usual_tick;

    #[test]
    fn more_streams_wait_less_for_each_other_and_a_few_not_at_all() {
        let ticks = [1, 16, 17, 20, 24, 30, 40, 50, 60, 100, 119, 120, 1_000_000];
        let millis = ticks.map(|streams| usual_tick(streams).as_millis());
        assert_eq!(millis, [10, 10, 60, 60, 50, 40, 30, 30, 20, 20, 20, 10, 10]);
    }
}
