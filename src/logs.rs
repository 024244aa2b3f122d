//! Where the core's own log records wait for whoever shows them: a bounded queue behind a filter by level.
//!
//! **A record is shown, or counted by a record that says how many were not.** Refuses records of other crates, whose
//! fields nobody here has vetted (an HTTP library at trace level shows headers), and to wait for the reader.

#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::OnceLock;
use std::sync::PoisonError;

use serde::Serialize;
use serde_json::Map;
use serde_json::Value;
use tracing::field::Field;
use tracing::field::Visit;
use tracing::Event;
use tracing::Level;
use tracing::Subscriber;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Context;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;

use crate::redact::scrub;

/// How many records wait at most.
pub const CAPACITY: usize = 4_096;

/// The longest text of a record, in bytes; the rest is cut off.
const MAX_TEXT_BYTES: usize = 16 * 1024;

/// The crate whose records are taken.
const CRATE: &str = "roomhook";

/// One record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: &'static str,
    /// What happened.
    pub message: String,
    /// The facts; `target` is the module that wrote the record.
    pub fields: Map<String, Value>,
}

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

/// The queue.
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
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for Logs {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let metadata = event.metadata();
        let mut found = Found::default();
        found.put("target", metadata.target().into());
        event.record(&mut found);
        self.push(Record {
            level: name(*metadata.level()),
            message: found.message,
            fields: found.fields,
        });
    }
}

fn name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// `job_id` as the rest of the package's records call it: `jobId`.
fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let mut out = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        out.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        out.push_str(letters.as_str());
    }
    out
}

#[derive(Default)]
struct Found {
    message: String,
    fields: Map<String, Value>,
}

impl Found {
    fn put(&mut self, name: &str, value: Value) {
        self.fields.insert(camel(name), value);
    }

    fn text(&mut self, field: &Field, text: String) {
        let mut text = match scrub(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(clean) => clean,
        };
        if text.len() > MAX_TEXT_BYTES {
            let end = (0..=MAX_TEXT_BYTES).rfind(|at| text.is_char_boundary(*at));
            text.truncate(end.unwrap_or_default());
            text.push('…');
        }
        if field.name() == "message" {
            self.message = text;
        } else {
            self.put(field.name(), text.into());
        }
    }
}

impl Visit for Found {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.to_owned());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value.into());
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
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering;

    fn record(number: u64) -> Record {
        let fields = Map::from_iter([("number".to_owned(), Value::from(number))]);
        Record {
            level: "info",
            message: "one of many".to_owned(),
            fields,
        }
    }

    fn with<R>(level: LevelFilter, logs: &Logs, run: impl FnOnce() -> R) -> R {
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
    fn a_record_has_its_level_its_sentence_its_facts_and_who_wrote_it() {
        let logs = Logs::default();
        let error = std::io::Error::other("no route");
        with(LevelFilter::TRACE, &logs, || {
            tracing::warn!(
                count = 3_u64,
                below_it = -1_i64,
                share = 0.5,
                late = true,
                nothing = None::<u64>,
                %error,
                why = ?Some("x"),
                "it {}",
                "failed"
            );
        });
        let taken = logs.take(10);
        assert_eq!(
            serde_json::to_value(&taken).unwrap(),
            serde_json::json!([{
                "level": "warn",
                "message": "it failed",
                "fields": {
                    "target": module_path!(), "count": 3, "belowIt": -1, "share": 0.5, "late": true,
                    "error": "no route", "why": "Some(\"x\")",
                },
            }])
        );
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

    #[test]
    fn credentials_are_cut_out_of_the_sentence_and_the_facts() {
        let logs = Logs::default();
        with(LevelFilter::TRACE, &logs, || {
            tracing::debug!(
                answer = r#"password: "CANARY""#,
                "GET /?access_token=CANARY"
            );
        });
        let text = serde_json::to_string(&logs.take(1)).unwrap();
        assert!(
            text.contains("[hidden]") && !text.contains("CANARY"),
            "{text}"
        );
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let logs = Logs::default();
        with(LevelFilter::TRACE, &logs, || {
            tracing::trace!(text = "ü".repeat(MAX_TEXT_BYTES), "long");
        });
        let taken = logs.take(1);
        let text = taken[0].fields["text"].as_str().unwrap();
        assert_eq!(text.chars().count(), MAX_TEXT_BYTES / 2 + 1);
        assert!(text.ends_with("ü…"));
    }
}
