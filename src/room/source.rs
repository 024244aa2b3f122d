//! A source of local audio. It checks every frame before the media library sees it, hands over one at a time in order,
//! and drops what still waits when the queue is cleared. It refuses to hold more waiting frames than a limit, and to take
//! any in that nobody can hear any more.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use crate::audio::{check_queue_size, Format};
use crate::engine::{AudioSourceOptions, EngineAudioSource, EngineTrack, RoomEngine};
use crate::room::error::RoomError;

/// Captures that may wait for their turn.
const MAX_WAITING: usize = 1_000;

/// Why a source takes nothing in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It was closed, which is for good.
    Closed,
    /// Its last published track was taken back.
    Unpublished,
    /// The room of its last published track was left.
    RoomLeft,
}

impl From<Stopped> for RoomError {
    fn from(stopped: Stopped) -> RoomError {
        match stopped {
            Stopped::Closed => RoomError::SourceClosed,
            Stopped::Unpublished => RoomError::SourceUnpublished,
            Stopped::RoomLeft => RoomError::Disconnected {
                what: "capturing a frame",
            },
        }
    }
}

/// A source of local audio. **Frames reach the library one at a time, in the order of the calls.**
pub struct AudioSource {
    /// Given up when the source is closed: the library runs a thread for it.
    engine: Mutex<Option<Arc<dyn EngineAudioSource>>>,
    format: Format,
    unqueued: bool,
    /// Resolves when the capture called last has ended.
    last: Mutex<Option<oneshot::Receiver<()>>>,
    turn: tokio::sync::Mutex<()>,
    waiting: AtomicUsize,
    cleared: AtomicU64,
    stopped: watch::Sender<Option<Stopped>>,
}

impl AudioSource {
    pub fn new(
        engine: &dyn RoomEngine,
        sample_rate: u32,
        num_channels: u32,
        queue_size_ms: u32,
    ) -> Result<AudioSource, RoomError> {
        let format = Format::new(sample_rate, num_channels)?;
        let queue_size_ms = check_queue_size(queue_size_ms)?;
        let source = engine.audio_source(AudioSourceOptions {
            sample_rate,
            num_channels,
            queue_size_ms,
        });
        Ok(AudioSource {
            engine: Mutex::new(Some(
                source.map_err(RoomError::call("making an audio source"))?,
            )),
            format,
            unqueued: queue_size_ms == 0,
            last: Mutex::new(None),
            turn: tokio::sync::Mutex::new(()),
            waiting: AtomicUsize::new(0),
            cleared: AtomicU64::new(0),
            stopped: watch::Sender::new(None),
        })
    }

    /// Takes one frame of interleaved samples; the future resolves when the source can take the next one.
    pub fn capture(
        self: &Arc<Self>,
        samples: Vec<i16>,
        samples_per_channel: u32,
    ) -> Result<impl std::future::Future<Output = Result<(), RoomError>> + Send, RoomError> {
        self.check_open()?;
        self.format
            .check_frame(samples.len(), samples_per_channel)?;
        if self.unqueued {
            self.format.check_unqueued(samples_per_channel)?;
        }
        let mut place = Place::take(self.clone())?;
        Ok(async move {
            if let Some(before) = place.before.take() {
                // An error says that the one before was given up: its place is free too.
                let _ = before.await;
            }
            let source = &place.source;
            let mut stopped = source.stopped.subscribe();
            let capture = async {
                let _turn = source.turn.lock().await;
                if source.cleared.load(Ordering::Acquire) != place.cleared {
                    return Ok(());
                }
                let captured = source.engine()?.capture(samples, samples_per_channel).await;
                captured.map_err(RoomError::call("capturing a frame"))
            };
            // A source that nobody listens to takes nothing in: a full one would be waited for although it is over.
            tokio::select! {
                biased;
                stopped = stopped.wait_for(Option::is_some) => {
                    let stopped = stopped.ok().and_then(|stopped| *stopped);
                    Err(stopped.unwrap_or(Stopped::Closed).into())
                }
                captured = capture => captured,
            }
        })
    }

    /// Drops what was captured and not yet played, and what waits to be captured.
    pub fn clear(&self) -> Result<(), RoomError> {
        let engine = self.engine()?;
        self.cleared.fetch_add(1, Ordering::AcqRel);
        engine
            .clear()
            .map_err(RoomError::call("clearing the audio queue"))
    }

    /// Makes a local track that carries this source.
    pub fn create_track(&self, name: &str) -> Result<Arc<dyn EngineTrack>, RoomError> {
        self.engine()?
            .create_track(name)
            .map_err(RoomError::call("creating a track"))
    }

    /// Takes nothing in until `resume`, drops what was not played, and gives up the captures that wait.
    pub fn stop(&self, why: Stopped) {
        let over = |now: &mut Option<Stopped>| {
            let open = *now != Some(Stopped::Closed);
            if open {
                *now = Some(why);
            }
            open
        };
        if self.stopped.send_if_modified(over) {
            // The library's queue would play on into the next publication. What it refuses is gone already.
            let _ = self.clear();
        }
    }

    /// Takes frames in again, unless it is closed.
    pub fn resume(&self) {
        self.stopped.send_if_modified(|now| {
            let stopped = now.is_some_and(|why| why != Stopped::Closed);
            if stopped {
                *now = None;
            }
            stopped
        });
    }

    /// Takes no more frames, and gives up those that wait. Repeating is harmless.
    pub fn close(&self) {
        self.stopped.send_replace(Some(Stopped::Closed));
        let engine = self.engine.lock().take();
        drop(engine);
    }

    fn engine(&self) -> Result<Arc<dyn EngineAudioSource>, RoomError> {
        self.engine.lock().clone().ok_or(RoomError::SourceClosed)
    }

    fn check_open(&self) -> Result<(), RoomError> {
        match *self.stopped.borrow() {
            Some(stopped) => Err(stopped.into()),
            None => Ok(()),
        }
    }
}

/// A place in the line of captures, taken at the call and given back when it is dropped: futures may be polled first in
/// any order.
struct Place {
    source: Arc<AudioSource>,
    cleared: u64,
    before: Option<oneshot::Receiver<()>>,
    _done: oneshot::Sender<()>,
}

impl Place {
    fn take(source: Arc<AudioSource>) -> Result<Place, RoomError> {
        if source.waiting.fetch_add(1, Ordering::AcqRel) >= MAX_WAITING {
            source.waiting.fetch_sub(1, Ordering::AcqRel);
            return Err(RoomError::TooManyCaptures(MAX_WAITING));
        }
        let (done, mine) = oneshot::channel();
        let mut last = source.last.lock();
        let before = last.replace(mine);
        drop(last);
        Ok(Place {
            cleared: source.cleared.load(Ordering::Acquire),
            source,
            before,
            _done: done,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.source.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}
