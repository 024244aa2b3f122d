//! The audio of all streams of one consumer, emptied together. Frames wait in a bounded queue per stream; a ticker rings
//! the consumer's doorbell at most once every 10 ms, and the consumer then takes everything in one batch.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::audio::Format;
use crate::audio::FrameQueue;
use crate::engine::AudioSink;

/// The doorbell rings no more often than this.
const TICK: Duration = Duration::from_millis(10);
/// Streams of one room deliver within this of each other: waiting for it makes one batch of them.
const GATHER: Duration = Duration::from_millis(1);

/// Numbers per entry of a batch's index: stream, offset of its first sample, samples per channel, channels, rate.
/// An entry of zero samples per channel says that the stream has ended.
pub const INDEX_WIDTH: usize = 5;

/// What all streams had, in one piece.
#[derive(Debug, Default)]
pub struct FrameBatch {
    /// The samples of all frames, one after the other.
    pub samples: Vec<i16>,
    /// `INDEX_WIDTH` numbers a frame.
    pub index: Vec<i32>,
}

impl FrameBatch {
    fn add(&mut self, stream: u32, samples: &[i16], format: Format) {
        let per_channel = samples.len() as u32 / format.channels.max(1);
        let offset = self.samples.len() as u32;
        self.samples.extend_from_slice(samples);
        self.entry([
            stream,
            offset,
            per_channel,
            format.channels,
            format.sample_rate,
        ]);
    }

    fn entry(&mut self, numbers: [u32; INDEX_WIDTH]) {
        self.index.extend(numbers.map(|number| number as i32));
    }
}

type Doorbell = Box<dyn Fn() + Send + Sync>;

/// All open streams of one consumer.
/// **At most one ring is under way, and what was queued before a ring is answered is taken by that answer.**
pub struct FrameHub {
    doorbell: Doorbell,
    inner: Mutex<Inner>,
    work: Notify,
    ringing: AtomicBool,
}

#[derive(Default)]
struct Inner {
    streams: HashMap<u32, Arc<StreamQueue>>,
    ready: Vec<u32>,
    next: u32,
    ticking: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FrameHub {
    /// A hub that rings `doorbell` when there are frames to take. The doorbell must return at once.
    pub fn new(doorbell: impl Fn() + Send + Sync + 'static) -> Arc<FrameHub> {
        Arc::new(FrameHub {
            doorbell: Box::new(doorbell),
            inner: Mutex::default(),
            work: Notify::new(),
            ringing: AtomicBool::new(false),
        })
    }

    /// Takes everything that waits. The consumer calls it when the doorbell rang; `batch` is emptied first.
    pub fn take(&self, batch: &mut FrameBatch) {
        batch.samples.clear();
        batch.index.clear();
        self.ringing.store(false, Ordering::SeqCst);
        let ready: Vec<Arc<StreamQueue>> = {
            let mut inner = lock(&self.inner);
            let ready = std::mem::take(&mut inner.ready);
            ready
                .iter()
                .filter_map(|stream| inner.streams.get(stream).cloned())
                .collect()
        };
        for queue in ready {
            if queue.empty_into(batch) {
                lock(&self.inner).streams.remove(&queue.stream);
                self.work.notify_one();
            }
        }
    }

    /// Forgets all streams: the consumer is gone.
    pub fn close(&self) {
        let mut inner = lock(&self.inner);
        inner.streams.clear();
        inner.ready.clear();
        drop(inner);
        self.work.notify_one();
    }

    /// Opens a queue for one stream; `spawn` runs the ticker if none runs.
    pub(crate) fn open(
        self: &Arc<Self>,
        capacity: usize,
        spawn: impl FnOnce(Ticker),
    ) -> Arc<StreamQueue> {
        let (queue, start) = {
            let mut inner = lock(&self.inner);
            inner.next += 1;
            let queue = Arc::new(StreamQueue {
                stream: inner.next,
                hub: self.clone(),
                waiting: Mutex::new(Waiting::new(capacity)),
            });
            inner.streams.insert(queue.stream, queue.clone());
            (queue, !std::mem::replace(&mut inner.ticking, true))
        };
        if start {
            spawn(Ticker(self.clone()));
        }
        queue
    }

    /// Forgets a stream whose opening failed.
    pub(crate) fn forget(&self, queue: &StreamQueue) {
        lock(&self.inner).streams.remove(&queue.stream);
        self.work.notify_one();
    }

    fn ready(&self, stream: u32) {
        lock(&self.inner).ready.push(stream);
        self.work.notify_one();
    }

    /// `false`, and the ticker ends, when no stream is left.
    fn keeps_ticking(&self) -> bool {
        let mut inner = lock(&self.inner);
        inner.ticking = !inner.streams.is_empty();
        inner.ticking
    }
}

/// The task of a hub. It runs while streams are open.
pub(crate) struct Ticker(Arc<FrameHub>);

impl Ticker {
    pub(crate) async fn run(self) {
        let hub = self.0;
        let mut rang: Option<Instant> = None;
        while hub.keeps_ticking() {
            hub.work.notified().await;
            let soon = Instant::now() + GATHER;
            tokio::time::sleep_until(rang.map_or(soon, |rang| soon.max(rang + TICK))).await;
            if !lock(&hub.inner).ready.is_empty() && !hub.ringing.swap(true, Ordering::SeqCst) {
                rang = Some(Instant::now());
                (hub.doorbell)();
            }
        }
    }
}

/// The frames of one stream that wait to be taken.
pub(crate) struct StreamQueue {
    pub(crate) stream: u32,
    hub: Arc<FrameHub>,
    waiting: Mutex<Waiting>,
}

struct Waiting {
    frames: FrameQueue,
    announced: bool,
    ended: bool,
}

impl Waiting {
    fn new(capacity: usize) -> Waiting {
        Waiting {
            frames: FrameQueue::new(capacity),
            announced: false,
            ended: false,
        }
    }
}

impl StreamQueue {
    pub(crate) fn dropped(&self) -> u64 {
        lock(&self.waiting).frames.dropped()
    }

    /// `true` when that was the last of it.
    fn empty_into(&self, batch: &mut FrameBatch) -> bool {
        let mut waiting = lock(&self.waiting);
        waiting.announced = false;
        while let Some(frame) = waiting.frames.pop() {
            batch.add(self.stream, &frame.samples, frame.format);
        }
        if waiting.ended {
            batch.entry([self.stream, 0, 0, 0, 0]);
        }
        waiting.ended
    }

    fn change(&self, change: impl FnOnce(&mut Waiting)) {
        let announce = {
            let mut waiting = lock(&self.waiting);
            if waiting.ended {
                return;
            }
            change(&mut waiting);
            !std::mem::replace(&mut waiting.announced, true)
        };
        if announce {
            self.hub.ready(self.stream);
        }
    }
}

impl AudioSink for StreamQueue {
    fn frame(&self, samples: &[i16], sample_rate: u32, num_channels: u32) {
        let format = Format {
            sample_rate,
            channels: num_channels,
        };
        self.change(|waiting| waiting.frames.push(samples, format));
    }

    fn end(&self) {
        self.change(|waiting| waiting.ended = true);
    }
}
