//! Streams of audio frames: which sink gets the frames of which stream.
//!
//! **A sink gets `end` exactly once, and no frame after it.** Decides when a stream is over: closed here, ended by the
//! library, its track unsubscribed, its participant or its room gone. Refuses to keep a frame: it is handed to the sink and given back.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::engine::AudioSink;

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
        let sink = self.sink.lock().take();
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
        self.table.lock().received.insert(origin);
    }

    /// Announces that a stream is about to be opened; `false` if its track is no longer received.
    pub(super) fn opening(&self, origin: &Origin) -> bool {
        let mut table = self.table.lock();
        let received = table.receives(origin);
        table.opening += usize::from(received);
        received
    }

    /// Ends what `opening` announced: with the stream's handle, or with `None` if it could not be opened.
    pub(super) fn opened(&self, stream: Option<u64>, origin: Origin, sink: Arc<dyn AudioSink>) {
        let mut table = self.table.lock();
        table.opening -= 1;
        let early = stream.is_some_and(|stream| table.early_ends.contains(&stream));
        if table.opening == 0 {
            table.early_ends = Vec::new();
        }
        let Some(stream) = stream else { return };
        let over = early || !table.receives(&origin);
        let route = Arc::new(Route {
            sink: Mutex::new(Some(sink)),
            origin,
        });
        if !over {
            table.routes.insert(stream, route.clone());
        }
        drop(table);
        if over {
            route.end();
        }
    }

    /// A frame, on a thread of the library.
    pub(super) fn frame(&self, stream: u64, samples: &[i16], sample_rate: u32, num_channels: u32) {
        let route = self.table.lock().routes.get(&stream).cloned();
        let Some(route) = route else { return };
        let sink = route.sink.lock();
        if let Some(sink) = sink.as_ref() {
            sink.frame(samples, sample_rate, num_channels);
        }
    }

    /// The stream is over.
    pub(super) fn ended(&self, stream: u64) {
        let mut table = self.table.lock();
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
        let mut table = self.table.lock();
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
