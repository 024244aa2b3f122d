//! The shape of a configuration: which keys there are, and how a text becomes them.
//!
//! Decides what is known, in YAML and in the options of a program alike. It refuses unknown keys (naming the nearest known
//! one), keys that are there twice, wrong shapes and several documents, in one sentence with its place. What a field may
//! hold is not its business.

use std::fmt;

use indexmap::IndexMap;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{
    DeserializeSeed, Error, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_path_to_error::Segment;
use serde_saphyr::Error as YamlError;

use crate::dispatcher::config::error::{ConfigError, Style};
use crate::dispatcher::config::field::{place_of, Field, List, Map, Scalar};

/// Texts under names that are the user's own.
pub type Texts = IndexMap<String, Field<Scalar>>;
pub type AgentList = Field<List<Field<Map<AgentFile>>>>;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    pub livekit: Field<Map<LiveKitFile>>,
    pub listen: Field<Scalar>,
    pub public_status_url: Field<Scalar>,
    pub store: Field<Scalar>,
    pub agents: Field<Agents>,
    pub max_jobs: Field<Scalar>,
    pub retry: Field<Map<RetryFile>>,
    pub participant_identity: Field<Scalar>,
    pub allow_insecure: Field<Scalar>,
    pub start_timeout: Field<Scalar>,
    pub drain_timeout: Field<Scalar>,
    pub join_timeout: Field<Scalar>,
    pub max_duration: Field<Scalar>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LiveKitFile {
    pub url: Field<Scalar>,
    pub api_key: Field<Scalar>,
    pub api_secret: Field<Scalar>,
    pub public_url: Field<Scalar>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryFile {
    pub max_retries: Field<Scalar>,
    pub initial_wait: Field<Scalar>,
    pub max_wait: Field<Scalar>,
    pub budget: Field<Scalar>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentFile {
    pub name: Field<Scalar>,
    pub enabled: Field<Scalar>,
    pub job_types: Field<List<Field<Scalar>>>,
    pub endpoints: Field<List<Field<Map<EndpointFile>>>>,
    /// The proposal's form: one webhook, with the keys of an endpoint beside it.
    pub webhook_url: Field<Scalar>,
    pub secret: Field<Scalar>,
    pub secrets: Field<List<Field<Scalar>>>,
    pub headers: Field<Map<Texts>>,
    pub timeout: Field<Scalar>,
    pub allow_insecure: Field<Scalar>,
    pub retry: Field<Map<RetryFile>>,
    pub join_timeout: Field<Scalar>,
    pub max_duration: Field<Scalar>,
    pub participant_identity: Field<Scalar>,
    pub participant_name: Field<Scalar>,
    pub participant_metadata: Field<Scalar>,
    pub participant_attributes: Field<Map<Texts>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EndpointFile {
    pub url: Field<Scalar>,
    pub secret: Field<Scalar>,
    pub secrets: Field<List<Field<Scalar>>>,
    pub headers: Field<Map<Texts>>,
    pub timeout: Field<Scalar>,
    pub allow_insecure: Field<Scalar>,
}

/// The agents: our list, or LiveKit's section with the proposal's list in it.
#[derive(Debug)]
pub enum Agents {
    List(List<Field<Map<AgentFile>>>),
    Section {
        external_agents: AgentList,
        /// The server's own keys beside it.
        servers: Vec<String>,
    },
}

struct AgentsVisitor;

impl<'de> Visitor<'de> for AgentsVisitor {
    type Value = Agents;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Agents, A::Error> {
        List::deserialize(SeqAccessDeserializer::new(items)).map(Agents::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Agents, A::Error> {
        const OURS: &[&str] = &["external_agents"];
        let (mut external_agents, mut servers) = (AgentList::default(), Vec::new());
        while let Some(key) = entries.next_key::<String>()? {
            if OURS.contains(&key.as_str()) {
                external_agents = entries.next_value()?;
            } else if nearest(&key, OURS).is_some() {
                return Err(A::Error::unknown_field(&key, OURS));
            } else {
                entries.next_value::<IgnoredAny>()?;
                servers.push(key);
            }
        }
        Ok(Agents::Section {
            external_agents,
            servers,
        })
    }
}

impl<'de> Deserialize<'de> for Agents {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AgentsVisitor)
    }
}

/// A file that may be livekit-server's `config.yaml` too: its keys are left to it, and told.
#[derive(Debug)]
pub struct SharedFile {
    pub ours: File,
    pub servers: Vec<String>,
}

/// The keys of livekit-server's `config.yaml` (1.13, pkg/config/config.go).
#[rustfmt::skip]
const SERVER_KEYS: &[&str] = &[
    "port", "bind_addresses", "prometheus_port", "prometheus", "rtc", "redis", "audio", "video", "room", "turn", "ingress",
    "sip", "webhook", "node_selector", "key_file", "keys", "region", "signal_relay", "psrpc", "log_level", "logging",
    "limit", "development", "metric", "trace", "node_stats", "enable_data_tracks", "api",
];

struct FileVisitor;

impl<'de> Visitor<'de> for FileVisitor {
    type Value = SharedFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<SharedFile, A::Error> {
        let mut servers = Vec::new();
        let ours = Ours {
            entries,
            servers: &mut servers,
        };
        let ours = File::deserialize(MapAccessDeserializer::new(ours))?;
        Ok(SharedFile { ours, servers })
    }
}

impl<'de> Deserialize<'de> for SharedFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FileVisitor)
    }
}

/// A map without the server's keys.
struct Ours<'a, A> {
    entries: A,
    servers: &'a mut Vec<String>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Ours<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        while let Some(key) = self.entries.next_key::<String>()? {
            if !SERVER_KEYS.contains(&key.as_str()) {
                return seed.deserialize(key.into_deserializer()).map(Some);
            }
            self.entries.next_value::<IgnoredAny>()?;
            self.servers.push(key);
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.entries.next_value_seed(seed)
    }
}

/// The known name that a misspelt one probably means.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name = name.to_lowercase();
    let limit = (name.chars().count() / 3).max(2);
    let distance = |known: &str| strsim::levenshtein(&name, &known.to_lowercase());
    let best = known.iter().min_by_key(|known| distance(known))?;
    (distance(best) <= limit).then_some(best)
}

/// Reads a YAML text.
pub fn from_yaml(text: &str) -> Result<Field<SharedFile>, ConfigError> {
    read(&with_memory_quoted(text), Style::Yaml)
}

/// `store: :memory:` as people write it. In YAML a colon at the end makes a key, so that this is two keys in one line.
fn with_memory_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    for line in text.split_inclusive('\n') {
        let value = line.strip_prefix("store:").map(str::trim_start);
        match value.and_then(|value| value.strip_prefix(":memory:")) {
            Some(rest) if rest.trim().is_empty() || rest.trim_start().starts_with('#') => {
                out.push_str("store: ':memory:'");
                out.push_str(rest);
            }
            _ => out.push_str(line),
        }
    }
    out
}

/// Reads the same structure from JSON: keys in camelCase. It is given to the same reader, for JSON is YAML too.
pub fn from_options(json: &str) -> Result<Field<SharedFile>, ConfigError> {
    let options: Value = serde_json::from_str(json).map_err(|error| ConfigError {
        path: Style::Options.root().to_owned(),
        place: None,
        message: format!("are not a JSON text: {error}"),
    })?;
    let text = yaml_named(options).to_string();
    let mut ascii = String::with_capacity(text.len());
    for c in text.chars() {
        if (' '..='~').contains(&c) {
            ascii.push(c);
        } else {
            // YAML does not allow every character that JSON does, but every escape.
            for unit in c.encode_utf16(&mut [0; 2]) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    let mut file = read(&ascii, Style::Options)?;
    file.place = None;
    Ok(file)
}

/// Marks a key that is not spelled as an option is, so that no field has it.
const MISSPELT: char = '?';

/// Options with their names in YAML. The keys of `headers` and `participantAttributes` are the user's own.
fn yaml_named(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(yaml_named).collect(),
        Value::Object(entries) => {
            let named = entries.into_iter().map(|(key, value)| {
                let name = Style::yaml_name(&key).unwrap_or_else(|| format!("{MISSPELT}{key}"));
                match name.as_str() {
                    "headers" | "participant_attributes" => (name, value),
                    _ => (name, yaml_named(value)),
                }
            });
            Value::Object(named.collect())
        }
        other => other,
    }
}

fn read(text: &str, style: Style) -> Result<Field<SharedFile>, ConfigError> {
    let mut path = String::new();
    let options = serde_saphyr::options! { strict_booleans: true };
    let file = serde_saphyr::with_deserializer_from_str_with_options(text, options, |yaml| {
        serde_path_to_error::deserialize(yaml).map_err(|error| {
            path = shown_path(error.path(), style);
            error.into_inner()
        })
    });
    file.map_err(|error| {
        let place = error.location().and_then(place_of);
        let (path, message) = explain(error.without_snippet(), path, style);
        ConfigError {
            path,
            // What is wrong with the whole text is wrong from its start.
            place: (style == Style::Yaml).then(|| place.unwrap_or((1, 1))),
            message,
        }
    })
}

/// The path as the user spells it. `Spanned` puts a `value` of its own behind every field.
fn shown_path(path: &serde_path_to_error::Path, style: Style) -> String {
    let mut out = style.root().to_owned();
    let mut is_field = true;
    for segment in path.iter() {
        match segment {
            Segment::Map { key } if is_field && key == "value" => {
                is_field = false;
                continue;
            }
            Segment::Map { key } => join(&mut out, &spelled(key, style)),
            Segment::Seq { index } => out.push_str(&format!("[{index}]")),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
        is_field = true;
    }
    out
}

fn join(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}

/// A key as the user spelled it.
fn spelled(key: &str, style: Style) -> String {
    match key.strip_prefix(MISSPELT) {
        Some(as_it_was) => as_it_was.to_owned(),
        None => style.name(key),
    }
}

/// One sentence for what the reader says, and the path it is about.
fn explain(error: &YamlError, mut path: String, style: Style) -> (String, String) {
    let message = match error {
        YamlError::AliasError { error, .. } => return explain(error, path, style),
        YamlError::SerdeUnknownField {
            field, expected, ..
        } => {
            let field = spelled(field, style);
            if !path.ends_with(&field) {
                join(&mut path, &field);
            }
            let known: Vec<String> = expected.iter().map(|name| style.name(name)).collect();
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            match nearest(&field, &known) {
                Some(name) => format!("is not a known key; did you mean {name}?"),
                None => "is not a known key".to_owned(),
            }
        }
        YamlError::SerdeInvalidType {
            unexpected,
            expected,
            ..
        } => format!("must be {expected}, got {}", kind(unexpected)),
        YamlError::DuplicateMappingKey { key, .. } => {
            join(&mut path, key.as_deref().unwrap_or("a key"));
            "is there twice; keep one of them".to_owned()
        }
        YamlError::Eof { .. } => "must be a map, got nothing".to_owned(),
        YamlError::MultipleDocuments { .. } => {
            path.clear();
            "must be one document; take away the --- that begins another one, and what follows it"
                .to_owned()
        }
        other => {
            // The place is told once, in front.
            let text = other.to_string();
            let text = text.lines().next().unwrap_or_default();
            let end = text.find(" at line ").unwrap_or(text.len());
            let text = text[..end].trim_end_matches([':', ' ', ',']);
            path.clear();
            format!("is not valid YAML: {text}")
        }
    };
    (path, message)
}

/// What came, by the first word of serde's description, which goes on with the value itself.
fn kind(unexpected: &str) -> &'static str {
    match unexpected.split(' ').next().unwrap_or_default() {
        "integer" | "floating" => "a number",
        "boolean" => "a boolean",
        "string" | "character" => "a text",
        "sequence" => "a list",
        "map" => "a map",
        _ => "nothing",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_known_key_is_offered_and_a_far_one_is_not() {
        let known = ["webhook_url", "secret"];
        assert_eq!(nearest("webhok_url", &known), Some("webhook_url"));
        assert_eq!(nearest("Secrets", &known), Some("secret"));
        assert_eq!(nearest("colour", &known), None);
    }

    #[test]
    fn every_field_remembers_its_line_and_column() {
        let file = from_yaml("store: x\nretry:\n  max_retries: 1\n").unwrap();
        let file = file.value.unwrap().ours;
        assert_eq!(file.store.place, Some((1, 8)));
        assert_eq!(file.retry.value.unwrap().0.max_retries.place, Some((3, 16)));
    }

    #[test]
    fn broken_yaml_is_one_sentence_with_a_place_and_no_copy_of_the_text() {
        for text in [
            "agents: [1, 2\nb: sesame",
            "listen: b: sesame",
            "store: 1\nstore: sesame",
            "store: x\n---\nstore: sesame",
            "agents: sesame",
            "agents: [sesame]",
            "- sesame",
            "sesame",
            "\"sesame",
            "livekit: *sesame",
        ] {
            let error = from_yaml(text).unwrap_err();
            assert!(error.place.is_some(), "{text}: {error:?}");
            let message = error.message;
            let is_clean = |word: &str| !message.contains(word);
            assert!(
                is_clean("sesame") && is_clean("\n") && is_clean(" line "),
                "{message}"
            );
            assert!(is_clean("Options") && is_clean("from_str"), "{message}");
        }
    }

    #[test]
    fn options_hold_what_json_holds_and_no_place() {
        let text = "\u{7f}\u{85}\u{2028}\u{feff}\u{1f600}\0\\ \" ${X}";
        let json = serde_json::json!({ "store": text }).to_string();
        let file = from_options(&json).unwrap().value.unwrap().ours;
        assert_eq!(file.store.value, Some(Scalar::from(text)));
        assert_eq!(from_options("{").unwrap_err().place, None);
    }
}
