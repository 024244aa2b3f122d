//! Streams of audio frames: which sink gets the frames of which stream.
//!
//! **A sink gets `end` exactly once, and no frame after it.** Decides when a stream is over: closed here, ended by the
//! library, its track unsubscribed, its participant or its room gone. Refuses to keep a frame: it is handed to the sink and given back.
#![allow(unsafe_code)]

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::engine::abi::Handle;
use crate::engine::proto::audio_stream_event::Message;
use crate::engine::router::{lock, Router};
use crate::engine::{memory, proto, AudioSink, EngineAudioStream};

/// The track a stream belongs to: room (`None` for a local track), whose it is, and its sid.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) room: Option<u64>,
    pub(super) identity: String,
    pub(super) sid: String,
}

struct Route {
    /// Taken when the stream ends. Held while a frame is handed over, so that no frame follows the end.
    sink: Mutex<Option<Arc<dyn AudioSink>>>,
    origin: Origin,
}

impl Route {
    fn end(&self) {
        let sink = lock(&self.sink).take();
        if let Some(sink) = sink {
            sink.end();
        }
    }
}

#[derive(Default)]
struct Table {
    routes: HashMap<u64, Arc<Route>>,
    /// The tracks of others that are received now. The library would keep a stream of any other open without a frame.
    received: HashSet<Origin>,
    /// How many streams are being opened, and which unknown ones ended meanwhile: an end can overtake the opening.
    opening: usize,
    early_ends: Vec<u64>,
}

impl Table {
    /// Whether frames of this track may come. Those of a track of our own come while it is held.
    fn receives(&self, origin: &Origin) -> bool {
        origin.room.is_none() || self.received.contains(origin)
    }
}

#[derive(Default)]
pub(super) struct Streams {
    table: Mutex<Table>,
}

impl Streams {
    /// Notes that a track is received.
    pub(super) fn begin_track(&self, origin: Origin) {
        lock(&self.table).received.insert(origin);
    }

    /// Announces that a stream is about to be opened; `false` if its track is no longer received.
    pub(super) fn opening(&self, origin: &Origin) -> bool {
        let mut table = lock(&self.table);
        let received = table.receives(origin);
        table.opening += usize::from(received);
        received
    }

    /// Ends what `opening` announced: with the stream's handle, or with `None` if it could not be opened.
    pub(super) fn opened(
        &self,
        opened: Option<Handle>,
        track: Arc<Handle>,
        origin: Origin,
        sink: Arc<dyn AudioSink>,
    ) -> Option<AudioStream> {
        let route = Arc::new(Route {
            sink: Mutex::new(Some(sink)),
            origin,
        });
        let mut table = lock(&self.table);
        table.opening -= 1;
        let over = !table.receives(&route.origin);
        let ended = opened
            .as_ref()
            .is_some_and(|handle| over || table.early_ends.contains(&handle.id()));
        if table.opening == 0 {
            table.early_ends = Vec::new();
        }
        let handle = opened?;
        if !ended {
            table.routes.insert(handle.id(), route.clone());
        }
        drop(table);
        if ended {
            route.end();
        }
        Some(AudioStream {
            id: handle.id(),
            router: handle.router().clone(),
            held: Mutex::new(Some((handle, track))),
        })
    }

    /// A frame or an end, on a thread of the library.
    pub(super) fn receive(&self, router: &Router, event: proto::AudioStreamEvent) {
        match event.message {
            Some(Message::FrameReceived(received)) => {
                self.frame(event.stream_handle, &received.frame.info);
                router.give_back(received.frame.handle.id);
            }
            Some(Message::Eos(_)) => self.ended(event.stream_handle),
            None => {}
        }
    }

    fn frame(&self, stream: u64, info: &proto::AudioFrameBufferInfo) {
        let route = lock(&self.table).routes.get(&stream).cloned();
        let Some(route) = route else { return };
        let length = u64::from(info.num_channels) * u64::from(info.samples_per_channel);
        // SAFETY: pointer and size are the frame's own; its handle is given back by the caller, after this.
        let samples = unsafe { memory::slice::<i16>(info.data_ptr, length) };
        let sink = lock(&route.sink);
        if let Some(sink) = sink.as_ref() {
            sink.frame(samples, info.sample_rate, info.num_channels);
        }
    }

    fn ended(&self, stream: u64) {
        let mut table = lock(&self.table);
        let route = table.routes.remove(&stream);
        if route.is_none() && table.opening > 0 {
            table.early_ends.push(stream);
        }
        drop(table);
        if let Some(route) = route {
            route.end();
        }
    }

    fn end_where(&self, over: impl Fn(&Origin) -> bool) {
        let mut gone = Vec::new();
        let mut table = lock(&self.table);
        table.received.retain(|origin| !over(origin));
        table.routes.retain(|_, route| {
            let over = over(&route.origin);
            if over {
                gone.push(route.clone());
            }
            !over
        });
        drop(table);
        for route in gone {
            route.end();
        }
    }

    /// Ends the streams of a track that is no longer subscribed.
    pub(super) fn end_track(&self, room: u64, sid: &str) {
        self.end_where(|origin| origin.room == Some(room) && origin.sid == sid);
    }

    /// Ends the streams of a participant who is gone: the library does not unsubscribe the tracks of one who rejoins.
    pub(super) fn end_participant(&self, room: u64, identity: &str) {
        self.end_where(|origin| origin.room == Some(room) && origin.identity == identity);
    }

    /// Ends the streams of a room that is gone.
    pub(super) fn end_room(&self, room: u64) {
        self.end_where(|origin| origin.room == Some(room));
    }
}

/// An open stream. It holds its track's handle too: the library ends a stream whose track is given back.
pub(super) struct AudioStream {
    id: u64,
    router: Arc<Router>,
    held: Mutex<Option<(Handle, Arc<Handle>)>>,
}

impl AudioStream {
    /// A stream that was over before it was opened.
    pub(super) fn over(router: &Arc<Router>) -> AudioStream {
        AudioStream {
            id: 0,
            router: router.clone(),
            held: Mutex::new(None),
        }
    }
}

impl EngineAudioStream for AudioStream {
    fn close(&self) {
        self.router.streams.ended(self.id);
        let held = lock(&self.held).take();
        drop(held);
    }
}

impl Drop for AudioStream {
    fn drop(&mut self) {
        self.close();
    }
}
