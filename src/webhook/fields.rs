//! Single fields of a body: their types and ranges, and the path of the one that is wrong. `null` counts as absent.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::json::{Json, Object};

/// A field of the body that is not of the documented form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: expected {expected}, got {found}")]
pub struct FieldProblem {
    /// The field, such as `room.sid`.
    pub path: String,
    /// What it should be.
    pub expected: &'static str,
    /// The kind of what it is.
    pub found: &'static str,
}

/// The fields of the body or of one of its objects.
pub(super) struct Fields<'o, 'a> {
    object: Option<&'o Object<'a>>,
    /// What stands before a field's name in messages: nothing, or such as `room.`.
    prefix: &'static str,
}

impl<'o, 'a> Fields<'o, 'a> {
    pub(super) fn of(object: &'o Object<'a>) -> Self {
        Fields {
            object: Some(object),
            prefix: "",
        }
    }

    /// The fields of the object under a key, or of none.
    pub(super) fn object(
        &self,
        key: &str,
        prefix: &'static str,
    ) -> Result<Fields<'o, 'a>, FieldProblem> {
        let object = match self.get(key) {
            Json::Object(object) => Some(object),
            Json::Null => None,
            other => return Err(self.problem(key, "an object", other.kind())),
        };
        Ok(Fields { object, prefix })
    }

    pub(super) const fn is_there(&self) -> bool {
        self.object.is_some()
    }

    pub(super) fn get(&self, key: &str) -> &'o Json<'a> {
        self.object.map_or(&Json::Null, |object| object.get(key))
    }

    pub(super) fn problem(
        &self,
        key: &str,
        expected: &'static str,
        found: &'static str,
    ) -> FieldProblem {
        FieldProblem {
            path: format!("{}{key}", self.prefix),
            expected,
            found,
        }
    }

    /// A string, and nothing if it is empty.
    pub(super) fn text(&self, key: &str) -> Result<Option<&'o str>, FieldProblem> {
        match self.get(key) {
            Json::Text(text) => Ok(Some(text.as_ref()).filter(|text| !text.is_empty())),
            Json::Null => Ok(None),
            other => Err(self.problem(key, "a string", other.kind())),
        }
    }

    /// A string, empty if absent.
    pub(super) fn owned(&self, key: &str) -> Result<String, FieldProblem> {
        Ok(self.text(key)?.unwrap_or_default().to_owned())
    }

    /// A string that must be there and not be empty.
    pub(super) fn filled(&self, key: &str) -> Result<&'o str, FieldProblem> {
        self.text(key)?.ok_or_else(|| {
            let found = match self.get(key) {
                Json::Null => "nothing",
                _ => "an empty one",
            };
            self.problem(key, "a non-empty string", found)
        })
    }

    /// One of the words that `parse` knows.
    pub(super) fn word<T>(
        &self,
        key: &str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, FieldProblem> {
        match self.get(key) {
            Json::Null => Ok(None),
            Json::Text(text) => parse(text)
                .map(Some)
                .ok_or_else(|| self.problem(key, expected, "another word")),
            other => Err(self.problem(key, expected, other.kind())),
        }
    }

    pub(super) fn integer(
        &self,
        key: &str,
        range: RangeInclusive<i64>,
    ) -> Result<Option<i64>, FieldProblem> {
        match self.get(key) {
            Json::Integer(integer) if range.contains(integer) => Ok(Some(*integer)),
            Json::Integer(_) => {
                Err(self.problem(key, "a whole number in range", "one out of range"))
            }
            Json::Null => Ok(None),
            other => Err(self.problem(key, "a whole number", other.kind())),
        }
    }

    /// An object whose values are strings; empty if absent.
    pub(super) fn strings(&self, key: &str) -> Result<BTreeMap<String, String>, FieldProblem> {
        const EXPECTED: &str = "an object of strings";
        let members = match self.get(key) {
            Json::Null => return Ok(BTreeMap::new()),
            Json::Object(object) => object.iter(),
            other => return Err(self.problem(key, EXPECTED, other.kind())),
        };
        members
            .map(|(name, value)| match value {
                Json::Text(text) => Ok((name.to_owned(), text.clone().into_owned())),
                other => Err(self.problem(key, EXPECTED, other.kind())),
            })
            .collect()
    }

    /// A URL of one of the schemes.
    pub(super) fn url(
        &self,
        key: &str,
        schemes: &[&str],
        expected: &'static str,
    ) -> Result<Option<String>, FieldProblem> {
        let Some(url) = self.text(key)? else {
            return Ok(None);
        };
        let known = url.split_once("://").is_some_and(|(scheme, rest)| {
            schemes
                .iter()
                .any(|known| known.eq_ignore_ascii_case(scheme))
                && !rest.is_empty()
                && !rest.starts_with('/')
        });
        if known {
            return Ok(Some(url.to_owned()));
        }
        Err(self.problem(key, expected, "another string"))
    }
}
