//! Where the core's own log records wait for whoever shows them: a bounded queue behind a filter by level.
//!
//! **A record is shown, or counted by a record that says how many were not.** Refuses records of other crates, whose
//! fields nobody here has vetted (an HTTP library at trace level shows headers), and to wait for the reader.

#![forbid(unsafe_code)]

mod record;

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, MutexGuard};
use serde_json::{Map, Value};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;

pub use record::Record;

/// How many records wait at most.
pub const CAPACITY: usize = 4_096;

/// The crate whose records are taken.
const CRATE: &str = "roomhook";

/// Called when records wait and nobody has been told. It must not block.
pub type Bell = Arc<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct Waiting {
    records: VecDeque<Record>,
    /// How many were dropped since the last one in the queue.
    lost: u64,
    bell: Option<Bell>,
    /// The bell was rung and nothing has been taken since.
    rung: bool,
}

impl Waiting {
    fn push(&mut self, record: Record) {
        if self.records.len() >= CAPACITY {
            self.lost += 1;
            return;
        }
        self.own_up();
        self.records.push_back(record);
    }

    /// Puts what was lost into the queue, at its place among the others.
    fn own_up(&mut self) {
        if self.lost > 0 {
            let mut fields = Map::new();
            fields.insert("target".to_owned(), Value::from(module_path!()));
            fields.insert("lost".to_owned(), Value::from(self.lost));
            self.lost = 0;
            self.records.push_back(Record {
                level: "warn",
                message: "log records were lost because nobody took them in time".to_owned(),
                fields,
            });
        }
    }

    /// The bell, if it is to be rung now.
    fn ring(&mut self) -> Option<Bell> {
        let wait = !self.records.is_empty() || self.lost > 0;
        let bell = self.bell.clone().filter(|_| wait && !self.rung);
        self.rung |= bell.is_some();
        bell
    }
}

#[derive(Clone, Default)]
pub struct Logs {
    waiting: Arc<Mutex<Waiting>>,
}

impl Logs {
    /// Who is told from now on; what waits already is theirs.
    pub fn listen(&self, bell: Option<Bell>) {
        let mut waiting = self.lock();
        waiting.bell = bell;
        waiting.rung = false;
        let bell = waiting.ring();
        drop(waiting);
        if let Some(bell) = bell {
            bell();
        }
    }

    /// The oldest records, at most `max`. If more wait, the bell rings again.
    pub fn take(&self, max: usize) -> Vec<Record> {
        let mut waiting = self.lock();
        waiting.rung = false;
        let count = max.min(waiting.records.len());
        let mut taken: Vec<Record> = waiting.records.drain(..count).collect();
        if taken.len() < max && waiting.lost > 0 {
            waiting.own_up();
            taken.extend(waiting.records.pop_front());
        }
        let bell = waiting.ring();
        drop(waiting);
        if let Some(bell) = bell {
            bell();
        }
        taken
    }

    fn push(&self, record: Record) {
        let mut waiting = self.lock();
        waiting.push(record);
        let bell = waiting.ring();
        drop(waiting);
        if let Some(bell) = bell {
            bell();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock()
    }
}

impl<S: Subscriber> Layer<S> for Logs {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        self.push(Record::of(event));
    }
}

struct Installed {
    logs: Logs,
    filter: reload::Handle<Targets, Registry>,
}

fn only(level: LevelFilter) -> Targets {
    Targets::new().with_target(CRATE, level)
}

fn installed() -> &'static Installed {
    static INSTALLED: OnceLock<Installed> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let (layer, filter) = reload::Layer::new(only(LevelFilter::OFF));
        let logs = Logs::default();
        let subscriber = Registry::default().with(layer).with(logs.clone());
        // Only a program that linked the core as a library can have set its own; then its own shows the records.
        let _ = tracing::subscriber::set_global_default(subscriber);
        Installed { logs, filter }
    })
}

/// The queue of this process; takes the core's records from the first call on.
pub fn logs() -> &'static Logs {
    &installed().logs
}

/// From which level on records are taken; below it they cost next to nothing. Default: none are taken.
pub fn set_level(level: LevelFilter) {
    // Fails only when the subscriber is gone, and this one stays for the life of the process.
    let _ = installed().filter.reload(only(level));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn record(number: u64) -> Record {
        let fields = Map::from_iter([("number".to_owned(), Value::from(number))]);
        Record {
            level: "info",
            message: "one of many".to_owned(),
            fields,
        }
    }

    pub(super) fn with<R>(level: LevelFilter, logs: &Logs, run: impl FnOnce() -> R) -> R {
        let subscriber = Registry::default().with(only(level)).with(logs.clone());
        tracing::subscriber::with_default(subscriber, run)
    }

    fn counting(logs: &Logs) -> Arc<AtomicUsize> {
        let rings = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&rings);
        logs.listen(Some(Arc::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
        })));
        rings
    }

    #[test]
    fn records_below_the_level_and_of_other_crates_are_not_taken() {
        let logs = Logs::default();
        with(LevelFilter::INFO, &logs, || {
            tracing::debug!("too quiet");
            tracing::error!(target: "h2::frame", "authorization: canary");
            tracing::info!("taken");
        });
        let messages: Vec<_> = logs.take(10).into_iter().map(|one| one.message).collect();
        assert_eq!(messages, ["taken"]);
    }

    #[test]
    fn a_full_queue_counts_what_it_drops_and_says_so_at_their_place() {
        let logs = Logs::default();
        for number in 0..CAPACITY as u64 + 7 {
            logs.push(record(number));
        }
        assert_eq!(logs.take(1), [record(0)]);
        logs.push(record(9_999));
        let rest = logs.take(usize::MAX);
        assert_eq!(rest.len(), CAPACITY - 1 + 2);
        assert_eq!(rest[CAPACITY - 1].fields["lost"], 7);
        assert_eq!(rest[CAPACITY], record(9_999));
        for number in 0..CAPACITY as u64 + 1 {
            logs.push(record(number));
        }
        let all = logs.take(usize::MAX);
        assert_eq!(all[CAPACITY].fields["lost"], 1);
        assert_eq!(logs.take(1), []);
    }

    #[test]
    fn the_bell_rings_once_until_somebody_takes_and_again_while_more_wait() {
        let logs = Logs::default();
        logs.push(record(0));
        let rings = counting(&logs);
        assert_eq!(rings.load(Ordering::SeqCst), 1, "what waits is told");
        logs.push(record(1));
        logs.push(record(2));
        assert_eq!(rings.load(Ordering::SeqCst), 1);
        logs.take(2);
        assert_eq!(rings.load(Ordering::SeqCst), 2, "one still waits");
        logs.take(2);
        assert_eq!(rings.load(Ordering::SeqCst), 2);
        logs.push(record(3));
        assert_eq!(rings.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn what_one_listener_did_not_take_is_told_to_the_next() {
        let logs = Logs::default();
        let first = counting(&logs);
        logs.push(record(0));
        logs.listen(None);
        logs.push(record(1));
        let second = counting(&logs);
        assert_eq!(first.load(Ordering::SeqCst), 1);
        assert_eq!(second.load(Ordering::SeqCst), 1);
        assert_eq!(logs.take(10), [record(0), record(1)]);
    }
}
