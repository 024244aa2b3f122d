//! What one field of a configuration holds, where it stood, and what it must be.
//!
//! Decides how a scalar becomes a text, a number, a truth value or a duration, and puts `${NAME}` variables in: into
//! values that are already parsed, so that what a variable holds can never become structure. It knows no field by name.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use humantime::{format_duration, parse_duration};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::{Location, Spanned};

use crate::dispatcher::config::error::{ConfigError, Place, Style};

/// A field that may be absent, and where it stood. A field of program options stood nowhere.
#[derive(Clone, Debug)]
pub struct Field<T> {
    pub place: Option<Place>,
    pub value: Option<T>,
}

impl<T> Default for Field<T> {
    fn default() -> Self {
        Field {
            place: None,
            value: None,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<T>::deserialize(deserializer)?;
        Ok(Field {
            place: place_of(spanned.referenced),
            value: Some(spanned.value),
        })
    }
}

pub fn place_of(at: Location) -> Option<Place> {
    (at.line() > 0).then(|| (at.line(), at.column()))
}

/// Anything that stands for one value. Whether it is of the right kind is asked later, when the field's path is known.
pub type Scalar = serde_json::Value;

/// Names the kind of a value for an error message, never its content.
fn kind(value: &Scalar) -> &'static str {
    match value {
        Scalar::Null => "nothing",
        Scalar::Bool(_) => "a boolean",
        Scalar::Number(_) => "a number",
        Scalar::String(_) => "a text",
        Scalar::Array(_) => "a list",
        Scalar::Object(_) => "a map",
    }
}

/// What came, for fields that never hold a secret.
fn shown(value: &Scalar) -> String {
    match value {
        Scalar::Bool(_) | Scalar::Number(_) => value.to_string(),
        Scalar::String(text) => {
            let start: String = text.chars().take(40).collect();
            format!("a text ({start:?})")
        }
        other => kind(other).to_owned(),
    }
}

/// A map with the keys of `T`. Asked for as "anything", so that what came instead can be named.
#[derive(Clone, Debug, Default)]
pub struct Map<T>(pub T);

/// A list, in the same way.
#[derive(Clone, Debug)]
pub struct List<T>(pub Vec<T>);

struct MapVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for MapVisitor<T> {
    type Value = Map<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Map<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(entries)).map(Map)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Map<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MapVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<List<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(List(list))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

/// How the fields of one configuration are spelled, and who answers for `${NAME}`.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    pub style: Style,
    pub env: &'a dyn Fn(&str) -> Option<String>,
}

/// A field with its path, to be read or complained about.
#[derive(Clone)]
pub struct At<'a, T> {
    reading: Reading<'a>,
    /// The path, as the user spells it; empty for the whole configuration.
    pub path: String,
    place: Option<Place>,
    pub value: Option<&'a T>,
}

impl<'a, T> At<'a, T> {
    pub fn root(reading: Reading<'a>, field: &'a Field<T>) -> Self {
        At {
            reading,
            path: reading.style.root().to_owned(),
            place: field.place,
            value: field.value.as_ref(),
        }
    }

    fn below<U>(&self, path: String, field: &'a Field<U>) -> At<'a, U> {
        At {
            reading: self.reading,
            path,
            // A field that is absent is missed where the map begins that lacks it.
            place: field.place.or(self.place),
            value: field.value.as_ref(),
        }
    }

    /// A field of this map, by its name in YAML.
    pub fn get<U>(&self, name: &str, field: &'a Field<U>) -> At<'a, U> {
        self.entry(&self.reading.style.name(name), field)
    }

    /// An entry of this map whose keys are the user's own.
    pub fn entry<U>(&self, name: &str, field: &'a Field<U>) -> At<'a, U> {
        let dot = if self.path.is_empty() { "" } else { "." };
        self.below(format!("{}{dot}{name}", self.path), field)
    }

    pub fn item<U>(&self, index: usize, field: &'a Field<U>) -> At<'a, U> {
        self.below(format!("{}[{index}]", self.path), field)
    }

    /// The complaint about this field.
    pub fn error(&self, message: impl Into<String>) -> ConfigError {
        ConfigError {
            path: self.path.clone(),
            place: self.place,
            message: message.into(),
        }
    }

    /// A field's name in the spelling of this configuration.
    pub fn name(&self, name: &str) -> String {
        self.reading.style.name(name)
    }

    /// The field, which must be there.
    pub fn need(&self) -> Result<&'a T, ConfigError> {
        self.value.ok_or_else(|| self.error("is required"))
    }

    /// Refuses a field that does not belong here.
    pub fn forbid(&self, why: &str) -> Result<(), ConfigError> {
        match self.value {
            Some(_) => Err(self.error(why)),
            None => Ok(()),
        }
    }
}

impl<T> At<'_, Map<T>> {
    pub fn need_map(&self) -> Result<&T, ConfigError> {
        self.need().map(|map| &map.0)
    }
}

impl At<'_, Scalar> {
    /// The text with its variables put in, and whether there were any.
    fn expanded(&self, text: &str) -> Result<(String, bool), ConfigError> {
        if self.reading.style == Style::Options {
            return Ok((text.to_owned(), false));
        }
        let expanded = expand(text, self.reading.env).map_err(|message| self.error(message))?;
        let changed = expanded != text;
        Ok((expanded, changed))
    }

    pub fn text(&self) -> Result<Option<String>, ConfigError> {
        match self.value {
            None => Ok(None),
            Some(Scalar::String(text)) => self.expanded(text).map(|(text, _)| Some(text)),
            Some(other) => {
                let fix = match other {
                    Scalar::Number(_) | Scalar::Bool(_) => "; put it in quotes",
                    _ => "",
                };
                Err(self.error(format!("must be a text, got {}{fix}", kind(other))))
            }
        }
    }

    /// A text with something in it.
    pub fn filled_text(&self) -> Result<Option<String>, ConfigError> {
        match self.text()? {
            Some(text) if text.is_empty() => Err(self.error("must not be empty")),
            text => Ok(text),
        }
    }

    /// A text with something in it, which must be there.
    pub fn need_text(&self) -> Result<String, ConfigError> {
        self.need()?;
        Ok(self.filled_text()?.unwrap_or_default())
    }

    pub fn boolean(&self) -> Result<Option<bool>, ConfigError> {
        let value = match self.value {
            None => return Ok(None),
            Some(Scalar::Bool(value)) => Some(*value),
            Some(Scalar::String(text)) => match self.expanded(text)? {
                (text, true) => text.parse().ok(),
                _ => None,
            },
            Some(_) => None,
        };
        let wrong = || self.wrong("true or false");
        value.map(Some).ok_or_else(wrong)
    }

    /// A whole number within bounds, both included.
    pub fn integer(&self, min: u64, max: u64) -> Result<Option<u64>, ConfigError> {
        let number = match self.value {
            None => return Ok(None),
            Some(Scalar::Number(number)) => number.as_f64().unwrap_or(f64::NAN),
            Some(Scalar::String(text)) => match self.expanded(text)? {
                (text, true) => text.trim().parse().unwrap_or(f64::NAN),
                _ => f64::NAN,
            },
            Some(_) => f64::NAN,
        };
        if !(min as f64..=max as f64).contains(&number) || number.fract() != 0.0 {
            return Err(self.wrong(&format!("a whole number from {min} to {max}")));
        }
        Ok(Some(number as u64))
    }

    /// A duration in milliseconds within bounds, both included: a number in program options, a text with a unit in YAML.
    pub fn duration(&self, min: u64, max: u64) -> Result<Option<u64>, ConfigError> {
        const FORM: &str = "a duration with a unit, such as 500ms, 10s or 2m";
        if self.reading.style == Style::Options {
            return self.integer(min, max);
        }
        let text = match self.value {
            None => return Ok(None),
            Some(Scalar::String(text)) => self.expanded(text)?.0,
            // Nothing has no unit and needs none.
            Some(Scalar::Number(number)) if number.as_f64() == Some(0.0) => "0s".to_owned(),
            Some(_) => return Err(self.wrong(FORM)),
        };
        if text.trim().starts_with('-') {
            return Err(self.error(format!("must not be negative, got {}", self.came())));
        }
        let time = parse_duration(text.trim()).map_err(|_| self.wrong(FORM))?;
        let (min, max) = (Duration::from_millis(min), Duration::from_millis(max));
        if time < min || time > max {
            let (min, max) = (format_duration(min), format_duration(max));
            return Err(self.wrong(&format!("a duration from {min} to {max}")));
        }
        Ok(Some(time.as_millis() as u64))
    }

    fn came(&self) -> String {
        self.value.map_or("nothing".to_owned(), shown)
    }

    fn wrong(&self, expected: &str) -> ConfigError {
        self.error(format!("must be {expected}, got {}", self.came()))
    }
}

/// `${NAME}` becomes the variable's value; `$$` before a brace or a name is one `$`; any other `$` is a plain character.
/// `$NAME` without braces is refused: whoever writes it means the variable, and would get the five letters as a secret.
fn expand(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let starts_name = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        if let Some(escaped) = tail.strip_prefix('$') {
            let is_escape = escaped.starts_with('{') || starts_name(escaped);
            out.push_str(if is_escape { "$" } else { "$$" });
            // What follows an escape is plain, its brace or first letter included.
            let plain = usize::from(is_escape);
            out.push_str(&escaped[..plain]);
            rest = &escaped[plain..];
        } else if let Some(tail) = tail.strip_prefix('{') {
            let end = tail
                .find('}')
                .ok_or("has a ${ without its closing brace; write $${ for a literal ${")?;
            let name = &tail[..end];
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err("has a variable that is not written ${NAME}, with letters, digits and _ only; write $${ for a literal ${".to_owned());
            }
            let value = env(name).ok_or_else(|| {
                format!("needs the environment variable {name}, which is not set")
            })?;
            out.push_str(&value);
            rest = &tail[end + 1..];
        } else if starts_name(tail) {
            return Err("has a $ before a name; write ${NAME} for the environment variable, or $$ for a literal $".to_owned());
        } else {
            out.push('$');
            rest = tail;
        }
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        (name == "X").then(|| "1\nb: 2".to_owned())
    }

    #[test]
    fn a_variable_fills_a_value_and_never_becomes_structure() {
        for (text, expected) in [
            ("pre-${X}", "pre-1\nb: 2"),
            ("${X}${X}", "1\nb: 21\nb: 2"),
            ("$${X} $5 a$ $$5 $$", "${X} $5 a$ $$5 $$"),
            ("$$NAME", "$NAME"),
        ] {
            assert_eq!(expand(text, &env).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn f_d14_a_variable_without_braces_is_refused_and_never_taken_for_its_value() {
        for text in ["$X", "$GREETER_SECRET", "Bearer $TOKEN", "a$_b"] {
            let error = expand(text, &env).unwrap_err();
            assert!(error.contains("write ${NAME}"), "{text}: {error}");
        }
    }

    #[test]
    fn a_missing_variable_and_an_open_brace_are_named() {
        for (text, words) in [
            (
                "${NOT_THERE}",
                "the environment variable NOT_THERE, which is not set",
            ),
            ("${OPEN", "closing brace"),
            ("${A B}", "letters, digits"),
            ("${}", "letters, digits"),
        ] {
            let error = expand(text, &env).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
