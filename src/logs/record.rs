//! One log record: how a `tracing` event becomes the level, the sentence and the facts that the rest of the package logs.
//! Credentials are cut out of every text, and what is too long is cut off.

use std::borrow::Cow;
use std::fmt::Debug;

use serde::Serialize;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use crate::redact::scrub;

/// The longest text of a record, in bytes; the rest is cut off.
const MAX_TEXT_BYTES: usize = 16 * 1024;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: &'static str,
    pub message: String,
    /// The facts; `target` is the module that wrote the record.
    pub fields: Map<String, Value>,
}

impl Record {
    /// What an event says.
    pub(super) fn of(event: &Event<'_>) -> Record {
        let metadata = event.metadata();
        let mut found = Found::default();
        found.put("target", metadata.target().into());
        event.record(&mut found);
        Record {
            level: name(*metadata.level()),
            message: found.message,
            fields: found.fields,
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::tests::with;
    use crate::logs::Logs;
    use tracing_subscriber::filter::LevelFilter;

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
