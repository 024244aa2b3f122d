//! A complaint about a configuration, and the two spellings of its fields.
//!
//! Decides how a field is called where the user wrote it: `timeout: 10s` in YAML is `timeoutMs: 10000` in program options.

use std::fmt;

use crate::dispatcher::config::types::DURATIONS;

/// Line and column in the YAML text, both from 1.
pub type Place = (u64, u64);

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
        let path = match self.path.as_str() {
            "" => "the configuration",
            path => path,
        };
        write!(f, "{path} {}", self.message)
    }
}

impl std::error::Error for ConfigError {}

/// How fields are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `api_key`, and durations as text with a unit: `timeout: 10s`.
    Yaml,
    /// `apiKey`, and durations as milliseconds: `timeoutMs: 10000`.
    Options,
}

impl Style {
    /// What the whole configuration is called.
    pub fn root(self) -> &'static str {
        match self {
            Style::Yaml => "",
            Style::Options => "options",
        }
    }

    /// A field's name in this spelling, from its name in YAML.
    pub fn name(self, field: &str) -> String {
        if self == Style::Yaml {
            return field.to_owned();
        }
        let mut words = field.split('_');
        let mut out = words.next().unwrap_or_default().to_owned();
        for word in words {
            let mut letters = word.chars();
            out.extend(letters.next().map(|first| first.to_ascii_uppercase()));
            out.push_str(letters.as_str());
        }
        if DURATIONS.contains(&field) {
            out.push_str("Ms");
        }
        out
    }

    /// A field's name in YAML, from its name in program options; `None` if it is not spelled as an option is.
    pub fn yaml_name(option: &str) -> Option<String> {
        let mut name = String::new();
        for c in option.chars() {
            if c.is_ascii_uppercase() {
                name.push('_');
            }
            name.push(c.to_ascii_lowercase());
        }
        if let Some(duration) = name.strip_suffix("_ms") {
            name = duration.to_owned();
        }
        let is_option = option.starts_with(|c: char| c.is_ascii_lowercase());
        (is_option && Style::Options.name(&name) == option).then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_one_name_in_each_spelling() {
        for (yaml, option) in [
            ("public_status_url", "publicStatusUrl"),
            ("initial_wait", "initialWaitMs"),
            ("name", "name"),
        ] {
            assert_eq!(Style::Yaml.name(yaml), yaml);
            assert_eq!(Style::Options.name(yaml), option);
            assert_eq!(Style::yaml_name(option).as_deref(), Some(yaml));
        }
        for wrong in ["timeout", "allow_insecure", "nameMs", "Name"] {
            assert_eq!(Style::yaml_name(wrong), None, "{wrong}");
        }
    }
}
