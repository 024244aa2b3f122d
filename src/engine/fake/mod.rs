//! An engine in process, without the media library: joins are scripted, calls are recorded, events are emitted by hand.
//!
//! Decides what the tests of the floors above see. Refuses to imitate a network: nothing happens that was not scripted,
//! except what the real engine always does (`LocalTrackPublished`, `LocalTrackUnpublished`, one last `Disconnected`).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::FutureExt;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

mod objects;

pub use objects::FakeTrack;

use objects::{FakePublication, FakeSource};

use crate::engine::{
    queue, AudioSourceOptions, AudioStreamOptions, ConnectOptions, Connected, EngineAudioSource,
    EngineError, EngineEvent, EnginePublication, EngineRoom, EventSender, ParticipantInfo, Pending,
    PublicationInfo, RoomAnswer, RoomEngine, RoomInfo, RoomRequest, TrackInfo,
};

const KIND_AUDIO: i32 = 1;
const CLIENT_INITIATED: i32 = 1;
const GONE: i32 = 0;

/// One call that reached the fake engine or an object of it.
#[derive(Clone)]
#[allow(missing_docs)]
pub enum Call {
    Connect {
        url: String,
        options: ConnectOptions,
    },
    Disconnect,
    Room(RoomRequest),
    SetSubscribed {
        sid: String,
        subscribed: bool,
    },
    SetMuted {
        sid: String,
        muted: bool,
    },
    SetEnabled {
        sid: String,
        enabled: bool,
    },
    OpenStream {
        sid: String,
        options: AudioStreamOptions,
    },
    CloseStream {
        sid: String,
    },
    AudioSource(AudioSourceOptions),
    Capture {
        samples: Vec<i16>,
        samples_per_channel: u32,
    },
    Clear,
    CreateTrack {
        name: String,
    },
}

/// What the next join answers.
#[allow(clippy::large_enum_variant)] // a handful per test
pub enum Join {
    /// The room is reached and looks like this.
    Room {
        info: RoomInfo,
        local: ParticipantInfo,
        /// Who is there already.
        participants: Vec<(ParticipantInfo, Vec<Arc<dyn EnginePublication>>)>,
    },
    Fail(EngineError),
    /// The join never ends.
    Never,
}

/// Waits on nothing and breaks on nothing: a poisoned lock of a failed test stays readable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

#[derive(Default)]
struct Log {
    calls: Mutex<Vec<Call>>,
    failures: Mutex<VecDeque<EngineError>>,
    changed: Notify,
    sids: AtomicU32,
    full: AtomicBool,
}

impl Log {
    fn record(&self, call: Call) {
        lock(&self.calls).push(call);
        self.changed.notify_waiters();
    }

    /// Records the call and answers the failure scripted for it, if any.
    fn perform(&self, call: Call) -> Result<(), EngineError> {
        self.record(call);
        lock(&self.failures).pop_front().map_or(Ok(()), Err)
    }
}

/// The engine. Its rooms, tracks, sources and streams share one list of calls.
#[derive(Default)]
pub struct FakeEngine {
    log: Arc<Log>,
    joins: Mutex<VecDeque<Join>>,
    rooms: Mutex<Vec<FakeRoom>>,
}

impl FakeEngine {
    /// An engine whose joins reach an empty room until something else is scripted.
    pub fn new() -> Arc<FakeEngine> {
        Arc::default()
    }

    /// Scripts the answer of one join; several are answered in order.
    pub fn script(&self, join: Join) {
        lock(&self.joins).push_back(join);
    }

    /// Makes the next call of any object (except joins, drops and `close`) fail.
    pub fn fail_next(&self, error: EngineError) {
        lock(&self.log.failures).push_back(error);
    }

    /// Makes audio sources full for ever: captures reach them and do not end, as where nobody listens any more.
    pub fn fill_sources(&self) {
        self.log.full.store(true, Ordering::SeqCst);
    }

    /// Every call so far, in order.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.log.calls).clone()
    }

    /// The rooms joined so far, in order.
    pub fn rooms(&self) -> Vec<FakeRoom> {
        lock(&self.rooms).clone()
    }

    /// Waits until some call, past or future, satisfies `wanted`; answers that call.
    pub async fn called(&self, wanted: impl Fn(&Call) -> bool) -> Call {
        loop {
            let changed = self.log.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(call) = lock(&self.log.calls).iter().find(|call| wanted(call)) {
                return call.clone();
            }
            changed.await;
        }
    }

    /// A publication as an event would hand it over.
    pub fn publication(&self, info: PublicationInfo) -> Arc<dyn EnginePublication> {
        Arc::new(FakePublication {
            log: self.log.clone(),
            info,
        })
    }

    /// A track as an event would hand it over. Keep the `Arc` to push frames into its streams.
    pub fn track(&self, info: TrackInfo) -> Arc<FakeTrack> {
        Arc::new(FakeTrack::new(self.log.clone(), info))
    }
}

#[async_trait]
impl RoomEngine for FakeEngine {
    async fn connect(
        &self,
        url: &str,
        _token: &str,
        options: ConnectOptions,
    ) -> Result<Connected, EngineError> {
        self.log.record(Call::Connect {
            url: url.to_owned(),
            options,
        });
        let join = lock(&self.joins).pop_front();
        let (info, local, participants) = match join {
            Some(Join::Fail(error)) => return Err(error),
            Some(Join::Never) => return std::future::pending().await,
            Some(Join::Room {
                info,
                local,
                participants,
            }) => (info, local, participants),
            None => (RoomInfo::default(), ParticipantInfo::default(), Vec::new()),
        };
        let (sender, events) = queue();
        let room = FakeRoom {
            log: self.log.clone(),
            events: Arc::new(Mutex::new(Some(sender))),
        };
        lock(&self.rooms).push(room.clone());
        Ok(Connected {
            room: Arc::new(Joined(room)),
            events,
            info,
            local,
            participants,
        })
    }

    fn audio_source(
        &self,
        options: AudioSourceOptions,
    ) -> Result<Arc<dyn EngineAudioSource>, EngineError> {
        self.log.perform(Call::AudioSource(options))?;
        Ok(Arc::new(FakeSource {
            log: self.log.clone(),
        }))
    }
}

/// The test's end of a joined room.
#[derive(Clone)]
pub struct FakeRoom {
    log: Arc<Log>,
    events: Arc<Mutex<Option<EventSender>>>,
}

impl FakeRoom {
    /// Emits an event; `false` if the room has ended, or has dropped the packet. `Disconnected` ends it.
    pub fn emit(&self, event: EngineEvent) -> bool {
        let mut events = lock(&self.events);
        let last = matches!(event, EngineEvent::Disconnected { .. });
        let sent = events
            .as_ref()
            .is_some_and(|sender| sender.send(event).is_none());
        if last {
            *events = None;
        }
        sent
    }

    /// Whether the room has ended: left, dropped, or told `Disconnected`.
    pub fn ended(&self) -> bool {
        lock(&self.events).is_none()
    }

    fn leave(&self) {
        if !self.ended() {
            self.log.record(Call::Disconnect);
            self.emit(EngineEvent::ConnectionStateChanged { state: GONE });
            self.emit(EngineEvent::Disconnected {
                reason: CLIENT_INITIATED,
            });
        }
    }

    fn answer(&self, request: RoomRequest) -> Result<RoomAnswer, EngineError> {
        if self.ended() {
            return Err(EngineError::Closed("the room is closed".into()));
        }
        self.log.perform(Call::Room(request.clone()))?;
        match request {
            RoomRequest::PublishTrack { track, options } => {
                let number = self.log.sids.fetch_add(1, Ordering::Relaxed) + 1;
                let sid = format!("TR_{number}");
                self.emit(EngineEvent::LocalTrackPublished { sid: sid.clone() });
                let info = PublicationInfo {
                    sid,
                    name: track.info().name.clone(),
                    kind: KIND_AUDIO,
                    source: options.source.unwrap_or_default(),
                    mime_type: "audio/opus".into(),
                    ..PublicationInfo::default()
                };
                let log = self.log.clone();
                Ok(RoomAnswer::Published(Arc::new(FakePublication {
                    log,
                    info,
                })))
            }
            RoomRequest::UnpublishTrack { sid, .. } => {
                self.emit(EngineEvent::LocalTrackUnpublished { sid });
                Ok(RoomAnswer::Done)
            }
            _ => Ok(RoomAnswer::Done),
        }
    }
}

/// What the engine hands to the floor above: leaves when it is dropped.
struct Joined(FakeRoom);

impl Drop for Joined {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[async_trait]
impl EngineRoom for Joined {
    async fn disconnect(&self) -> Result<(), EngineError> {
        self.0.leave();
        Ok(())
    }

    fn request(&self, request: RoomRequest) -> Pending<RoomAnswer> {
        let answer = self.0.answer(request);
        async move { answer }.boxed()
    }
}
