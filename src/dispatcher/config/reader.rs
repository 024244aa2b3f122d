//! Typed reading of a configuration tree, with the field's path and place in every complaint.
//!
//! Decides how a field is called in each of the two spellings: YAML (`api_key`, `timeout: 10s`) and program options
//! (`apiKey`, `timeoutMs: 10000`). It refuses unknown keys (naming the nearest known one), wrong types, numbers out of
//! range and durations without a unit. It knows no field by name.

use std::fmt;

use crate::dispatcher::config::text::{nearest, parse_duration, show_duration};
use crate::dispatcher::config::tree::{Node, Place, TreeError, Value};

/// One wrong field of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The field, as the user spells it; empty for the whole text.
    pub path: String,
    /// Where it stands in the YAML text.
    pub place: Option<Place>,
    /// What is wrong, without the path.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.place {
            write!(f, "line {line}, column {column}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{} ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}

impl From<TreeError> for ConfigError {
    fn from(error: TreeError) -> Self {
        ConfigError {
            path: String::new(),
            place: error.place,
            message: error.message,
        }
    }
}

/// How fields are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `api_key`, and durations as text with a unit: `timeout: 10s`.
    Yaml,
    /// `apiKey`, and durations as milliseconds: `timeoutMs: 10000`.
    Options,
}

impl Style {
    /// A field's name in this spelling.
    pub fn name(self, field: &str, duration: bool) -> String {
        if self == Style::Yaml {
            return field.to_owned();
        }
        let mut out = String::new();
        let mut upper = false;
        for c in field.chars() {
            match c {
                '_' => upper = true,
                c if upper => {
                    out.push(c.to_ascii_uppercase());
                    upper = false;
                }
                c => out.push(c),
            }
        }
        if duration {
            out.push_str("Ms");
        }
        out
    }
}

/// A value with its path.
#[derive(Clone)]
pub struct At<'a> {
    node: &'a Node,
    /// The path, as the user spells it.
    pub path: String,
    style: Style,
}

impl<'a> At<'a> {
    pub fn root(node: &'a Node, style: Style) -> Self {
        let path = if style == Style::Yaml { "" } else { "options" };
        At {
            node,
            path: path.to_owned(),
            style,
        }
    }

    /// The complaint about this value.
    pub fn error(&self, message: impl Into<String>) -> ConfigError {
        ConfigError {
            path: if self.path.is_empty() {
                "the configuration".to_owned()
            } else {
                self.path.clone()
            },
            place: self.node.place,
            message: message.into(),
        }
    }

    fn expected(&self, what: &str) -> ConfigError {
        self.error(format!("must be {what}, got {}", self.node.value.kind()))
    }

    /// The spelling in use.
    pub fn style(&self) -> Style {
        self.style
    }

    /// Whether the value is a list.
    pub fn is_list(&self) -> bool {
        matches!(self.node.value, Value::List(_))
    }

    pub fn text(&self) -> Result<&'a str, ConfigError> {
        match &self.node.value {
            Value::Text(text, _) => Ok(text),
            Value::Number(_) | Value::Bool(_) => Err(self.error(format!(
                "must be a text, got {}; put it in quotes",
                self.node.value.kind()
            ))),
            _ => Err(self.expected("a text")),
        }
    }

    /// A text with something in it.
    pub fn filled_text(&self) -> Result<&'a str, ConfigError> {
        match self.text()? {
            "" => Err(self.error("must not be empty")),
            text => Ok(text),
        }
    }

    /// `true` or `false`.
    pub fn boolean(&self) -> Result<bool, ConfigError> {
        match &self.node.value {
            Value::Bool(value) => Ok(*value),
            Value::Text(text, true) if text == "true" => Ok(true),
            Value::Text(text, true) if text == "false" => Ok(false),
            _ => Err(self.expected("true or false")),
        }
    }

    /// A whole number within bounds, both included.
    pub fn integer(&self, min: u64, max: u64) -> Result<u64, ConfigError> {
        let number = match &self.node.value {
            Value::Number(number) => *number,
            Value::Text(text, true) => text.trim().parse().unwrap_or(f64::NAN),
            _ => return Err(self.expected(&format!("a whole number from {min} to {max}"))),
        };
        if number.fract() != 0.0
            || !number.is_finite()
            || number < min as f64
            || number > max as f64
        {
            return Err(self.error(format!("must be a whole number from {min} to {max}")));
        }
        Ok(number as u64)
    }

    /// A duration in milliseconds within bounds, both included.
    pub fn duration(&self, min: u64, max: u64) -> Result<u64, ConfigError> {
        if self.style == Style::Options {
            return self.integer(min, max);
        }
        let Value::Text(text, _) = &self.node.value else {
            return Err(self.error(format!(
                "must be a duration with a unit, such as 500ms, 10s or 2m, got {}",
                self.node.value.kind()
            )));
        };
        let ms = parse_duration(text).map_err(|message| self.error(message))?;
        if ms < min as f64 || ms > max as f64 {
            let (min, max) = (show_duration(min), show_duration(max));
            return Err(self.error(format!("must be a duration from {min} to {max}")));
        }
        Ok(ms.round() as u64)
    }

    /// The items of a list.
    pub fn list(&self) -> Result<Vec<At<'a>>, ConfigError> {
        let Value::List(items) = &self.node.value else {
            return Err(self.expected("a list"));
        };
        Ok(items
            .iter()
            .enumerate()
            .map(|(index, node)| At {
                node,
                path: format!("{}[{index}]", self.path),
                style: self.style,
            })
            .collect())
    }

    /// The entries of a map whose keys are the user's own.
    pub fn entries(&self) -> Result<Vec<(&'a str, At<'a>)>, ConfigError> {
        let Value::Map(entries) = &self.node.value else {
            return Err(self.expected("a map"));
        };
        Ok(entries
            .iter()
            .map(|(key, node)| {
                let path = format!("{}.{}", self.path, key.name);
                (
                    key.name.as_str(),
                    At {
                        node,
                        path,
                        style: self.style,
                    },
                )
            })
            .collect())
    }

    /// The fields of a map with known keys.
    pub fn fields(&self, plain: &[&str], durations: &[&str]) -> Result<Fields<'a>, ConfigError> {
        let Value::Map(entries) = &self.node.value else {
            return Err(self.expected("a map"));
        };
        let known: Vec<String> = (plain.iter().map(|field| self.style.name(field, false)))
            .chain(durations.iter().map(|field| self.style.name(field, true)))
            .collect();
        for (key, _) in entries {
            if !known.contains(&key.name) {
                let hint = match nearest(&key.name, &known) {
                    Some(name) => format!("; did you mean {name}?"),
                    None => String::new(),
                };
                return Err(ConfigError {
                    path: join(&self.path, &key.name),
                    place: key.place,
                    message: format!("is not a known key{hint}"),
                });
            }
        }
        Ok(Fields { at: self.clone() })
    }
}

/// A map whose keys are all known.
pub struct Fields<'a> {
    pub at: At<'a>,
}

impl<'a> Fields<'a> {
    fn find(&self, name: String) -> Option<At<'a>> {
        let Value::Map(entries) = &self.at.node.value else {
            return None;
        };
        let (_, node) = entries.iter().find(|(key, _)| key.name == name)?;
        Some(At {
            node,
            path: join(&self.at.path, &name),
            style: self.at.style,
        })
    }

    /// A field, if it is there.
    pub fn get(&self, field: &str) -> Option<At<'a>> {
        self.find(self.at.style.name(field, false))
    }

    /// A field that must be there.
    pub fn require(&self, field: &str) -> Result<At<'a>, ConfigError> {
        self.get(field).ok_or_else(|| ConfigError {
            path: join(&self.at.path, &self.at.style.name(field, false)),
            place: self.at.node.place,
            message: "is required".to_owned(),
        })
    }

    /// A duration in milliseconds, or its default.
    pub fn duration(
        &self,
        field: &str,
        min: u64,
        max: u64,
        default: u64,
    ) -> Result<u64, ConfigError> {
        match self.find(self.at.style.name(field, true)) {
            Some(at) => at.duration(min, max),
            None => Ok(default),
        }
    }

    /// A duration in milliseconds, if it is there.
    pub fn optional_duration(
        &self,
        field: &str,
        min: u64,
        max: u64,
    ) -> Result<Option<u64>, ConfigError> {
        self.find(self.at.style.name(field, true))
            .map(|at| at.duration(min, max))
            .transpose()
    }

    /// A whole number, or its default.
    pub fn integer(
        &self,
        field: &str,
        min: u64,
        max: u64,
        default: u64,
    ) -> Result<u64, ConfigError> {
        self.get(field)
            .map_or(Ok(default), |at| at.integer(min, max))
    }

    /// A boolean, or its default.
    pub fn boolean(&self, field: &str, default: bool) -> Result<bool, ConfigError> {
        self.get(field).map_or(Ok(default), |at| at.boolean())
    }

    /// A text that may be absent.
    pub fn text(&self, field: &str) -> Result<Option<String>, ConfigError> {
        self.get(field)
            .map(|at| at.text().map(str::to_owned))
            .transpose()
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_one_name_in_each_spelling() {
        assert_eq!(
            Style::Yaml.name("public_status_url", false),
            "public_status_url"
        );
        assert_eq!(
            Style::Options.name("public_status_url", false),
            "publicStatusUrl"
        );
        assert_eq!(Style::Options.name("initial_wait", true), "initialWaitMs");
    }
}
