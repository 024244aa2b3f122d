//! A configuration as a tree of values that remember where they stood.
//!
//! Decides what a YAML text or a JSON text says and where each value stood, and puts `${NAME}` variables in. It refuses
//! duplicate keys, keys that are not text, several documents, and unknown variables. Variables are put into values that
//! are already parsed, so that what a variable holds can never become structure.

use std::fmt;

use serde::{de, Deserialize, Deserializer};
use serde_saphyr::Spanned;

use crate::dispatcher::config::text::expand;

/// Line and column in the YAML text, both from 1.
pub type Place = (u64, u64);

/// A value and where it stood. A value from JSON stood nowhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub place: Option<Place>,
    pub value: Value,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing, or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    Number(f64),
    /// A text, and whether a variable was put into it: such a text may still be meant as a number.
    Text(String, bool),
    List(Vec<Node>),
    /// Keys with their values, in the order of the text.
    Map(Vec<(Key, Node)>),
}

/// A key and where it stood.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    pub name: String,
    pub place: Option<Place>,
}

/// What is wrong, without the field's path, which only the reader knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeError {
    pub place: Option<Place>,
    pub message: String,
}

impl Value {
    /// Names the kind of a value for an error message, never its content.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::Text(..) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// Reads a YAML text and puts the variables in.
pub fn from_yaml(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Node, TreeError> {
    let options = serde_saphyr::options! { strict_booleans: true };
    let raw: Spanned<Raw> =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| TreeError {
            place: error.location().map(|at| (at.line(), at.column())),
            message: syntax(error.without_snippet()),
        })?;
    let mut node = Node::from(raw);
    substitute(&mut node, env)?;
    unique_keys(&node)?;
    Ok(node)
}

/// Reads a JSON text. Variables are not put in: a program has its own.
pub fn from_json(text: &str) -> Result<Node, TreeError> {
    serde_json::from_str(text)
        .map(from_json_value)
        .map_err(|error| TreeError {
            place: None,
            message: format!("this is not a JSON text: {error}"),
        })
}

fn from_json_value(json: serde_json::Value) -> Node {
    let value = match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::Number(value) => Value::Number(value.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(value) => Value::Text(value, false),
        serde_json::Value::Array(items) => {
            Value::List(items.into_iter().map(from_json_value).collect())
        }
        serde_json::Value::Object(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(name, value)| (Key { name, place: None }, from_json_value(value)))
                .collect(),
        ),
    };
    Node { place: None, value }
}

/// The parser's own sentence without its copy of the place, which is told once, in front.
fn syntax(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    let first = match first.find(" at line ") {
        Some(at) => &first[..at],
        None => first,
    };
    format!(
        "this is not valid YAML: {}",
        first.trim_end_matches([':', ' ', ','])
    )
}

/// The shape the YAML parser is asked for: anything.
enum Raw {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl From<Spanned<Raw>> for Node {
    fn from(raw: Spanned<Raw>) -> Node {
        let place = place_of(raw.referenced);
        raw.value.settle(place)
    }
}

fn place_of(at: serde_saphyr::Location) -> Option<Place> {
    (at.line() > 0).then(|| (at.line(), at.column()))
}

impl Raw {
    fn settle(self, place: Option<Place>) -> Node {
        let value = match self {
            Raw::Null => Value::Null,
            Raw::Bool(value) => Value::Bool(value),
            Raw::Number(value) => Value::Number(value),
            Raw::Text(value) => Value::Text(value, false),
            Raw::List(items) => Value::List(items.into_iter().map(Node::from).collect()),
            Raw::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| {
                        let place = place_of(key.referenced);
                        (
                            Key {
                                name: key.value,
                                place,
                            },
                            Node::from(value),
                        )
                    })
                    .collect(),
            ),
        };
        Node { place, value }
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> de::Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

fn unique_keys(node: &Node) -> Result<(), TreeError> {
    match &node.value {
        Value::List(items) => items.iter().try_for_each(unique_keys),
        Value::Map(entries) => {
            for (at, (key, value)) in entries.iter().enumerate() {
                if entries[..at]
                    .iter()
                    .any(|(earlier, _)| earlier.name == key.name)
                {
                    return Err(TreeError {
                        place: key.place,
                        message: format!("the key {} is there twice", key.name),
                    });
                }
                unique_keys(value)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn substitute(node: &mut Node, env: &dyn Fn(&str) -> Option<String>) -> Result<(), TreeError> {
    let place = node.place;
    match &mut node.value {
        Value::Text(text, filled) if text.contains("${") => {
            *text = expand(text, env).map_err(|message| TreeError { place, message })?;
            *filled = true;
            Ok(())
        }
        Value::List(items) => items.iter_mut().try_for_each(|item| substitute(item, env)),
        Value::Map(entries) => entries
            .iter_mut()
            .try_for_each(|(_, value)| substitute(value, env)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_env(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn every_value_remembers_its_line_and_column() {
        let node = from_yaml("a:\n  - b: 1\n    c: [x, null]\n", &no_env).unwrap();
        let Value::Map(entries) = node.value else {
            panic!("a map")
        };
        assert_eq!(entries[0].0.place, Some((1, 1)));
        let Value::List(items) = &entries[0].1.value else {
            panic!("a list")
        };
        let Value::Map(inner) = &items[0].value else {
            panic!("a map")
        };
        assert_eq!(inner[0].1.place, Some((2, 8)));
        assert_eq!(inner[0].1.value, Value::Number(1.0));
        let Value::List(pair) = &inner[1].1.value else {
            panic!("a list")
        };
        assert_eq!(pair[0].place, Some((3, 9)));
        assert_eq!(pair[1].value, Value::Null);
    }

    #[test]
    fn a_variable_fills_a_value_and_never_becomes_structure() {
        let env = |name: &str| (name == "X").then(|| "1\nb: 2".to_owned());
        let node = from_yaml("a: pre-${X}\nc: $${X} $5", &env).unwrap();
        let Value::Map(entries) = node.value else {
            panic!("a map")
        };
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0].1.value, Value::Text("pre-1\nb: 2".into(), true));
        assert_eq!(entries[1].1.value, Value::Text("${X} $5".into(), true));
    }

    #[test]
    fn a_missing_variable_and_an_open_brace_are_named_with_their_place() {
        let missing = from_yaml("a: 1\nb: ${NOT_THERE}", &no_env).unwrap_err();
        assert_eq!(missing.place, Some((2, 4)));
        assert_eq!(
            missing.message,
            "the environment variable NOT_THERE is not set"
        );
        assert!(from_yaml("a: ${OPEN", &no_env)
            .unwrap_err()
            .message
            .contains("closing brace"));
        assert!(from_yaml("a: ${A B}", &no_env)
            .unwrap_err()
            .message
            .contains("letters, digits"));
    }

    #[test]
    fn broken_yaml_is_one_sentence_with_a_place_and_no_copy_of_the_text() {
        for text in ["a: [1, 2\nb: sesame", "a: b: sesame", "a: 1\na: sesame"] {
            let error = from_yaml(text, &no_env).unwrap_err();
            assert!(error.place.is_some(), "{text}: {error:?}");
            assert!(!error.message.contains("sesame"), "{}", error.message);
            assert!(
                !error.message.contains('\n') && !error.message.contains("line"),
                "{}",
                error.message
            );
        }
    }

    #[test]
    fn json_is_read_into_the_same_tree_without_places_or_variables() {
        let node = from_json(r#"{"a": "${X}", "b": [1]}"#).unwrap();
        let Value::Map(entries) = node.value else {
            panic!("a map")
        };
        assert_eq!(
            entries[0].1,
            Node {
                place: None,
                value: Value::Text("${X}".into(), false)
            }
        );
        assert!(from_json("{")
            .unwrap_err()
            .message
            .contains("not a JSON text"));
    }
}
