//! Types and ranges of single fields. The first problem is kept and reading goes on, because bytes that are no JSON at
//! all are the more basic fault.

use std::ops::RangeInclusive;

use crate::json::{Flaw, Reader, Text, Value};
use crate::webhook::body::Strings;
use crate::webhook::error::FieldProblem;

/// The first problem so far.
#[derive(Default)]
pub(super) struct Checks(Option<FieldProblem>);

impl Checks {
    pub(super) fn first_problem(self) -> Result<(), FieldProblem> {
        self.0.map_or(Ok(()), Err)
    }

    fn wrong(&mut self, path: &'static str, expected: &'static str, found: &'static str) {
        self.0.get_or_insert(FieldProblem {
            path,
            expected,
            found,
        });
    }

    pub(super) fn text<'a>(
        &mut self,
        path: &'static str,
        reader: &mut Reader<'a>,
    ) -> Result<Option<Text<'a>>, Flaw> {
        match reader.value()? {
            Value::Text(text) => return Ok(Some(text)),
            Value::Null => {}
            other => self.wrong(path, "a string", other.kind()),
        }
        Ok(None)
    }

    /// Some senders write protobuf enums as numbers; those are let through and not kept.
    pub(super) fn text_or_number<'a>(
        &mut self,
        path: &'static str,
        reader: &mut Reader<'a>,
    ) -> Result<Option<Text<'a>>, Flaw> {
        match reader.value()? {
            Value::Text(text) => return Ok(Some(text)),
            Value::Null | Value::Number(_) => {}
            other => self.wrong(path, "a string", other.kind()),
        }
        Ok(None)
    }

    /// One of the words that `parse` knows.
    pub(super) fn word<T>(
        &mut self,
        path: &'static str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
        reader: &mut Reader<'_>,
    ) -> Result<Option<T>, Flaw> {
        let found = match reader.value()? {
            Value::Null => return Ok(None),
            Value::Text(text) => match parse(text.decode().as_ref()) {
                Some(known) => return Ok(Some(known)),
                None => "another word",
            },
            other => other.kind(),
        };
        self.wrong(path, expected, found);
        Ok(None)
    }

    pub(super) fn integer(
        &mut self,
        path: &'static str,
        range: RangeInclusive<i64>,
        reader: &mut Reader<'_>,
    ) -> Result<Option<i64>, Flaw> {
        let value = reader.value()?;
        match value.integer() {
            Some(integer) if range.contains(&integer) => return Ok(Some(integer)),
            None if value == Value::Null => {}
            Some(_) => self.wrong(path, "a whole number in range", "one out of range"),
            None => self.wrong(path, "a whole number", value.kind()),
        }
        Ok(None)
    }

    /// An object whose values are strings.
    pub(super) fn strings<'a>(
        &mut self,
        path: &'static str,
        reader: &mut Reader<'a>,
    ) -> Result<Strings<'a>, Flaw> {
        const EXPECTED: &str = "an object of strings";
        if !reader.at_object() {
            self.absent(path, EXPECTED, reader)?;
            return Ok("");
        }
        reader.written(|reader| {
            reader.object(|_, reader| {
                match reader.value()? {
                    Value::Text(_) => {}
                    other => self.wrong(path, EXPECTED, other.kind()),
                }
                Ok(())
            })
        })
    }

    /// A field that is no object, where only `null` may stand instead.
    pub(super) fn absent(
        &mut self,
        path: &'static str,
        expected: &'static str,
        reader: &mut Reader<'_>,
    ) -> Result<(), Flaw> {
        match reader.value()? {
            Value::Null => {}
            other => self.wrong(path, expected, other.kind()),
        }
        Ok(())
    }
}

pub(super) fn missing(path: &'static str, expected: &'static str) -> FieldProblem {
    FieldProblem {
        path,
        expected,
        found: "nothing",
    }
}

/// A field that must be there and not be empty.
pub(super) fn need(path: &'static str, text: Option<Text<'_>>) -> Result<(), FieldProblem> {
    const EXPECTED: &str = "a non-empty string";
    match text {
        None => Err(missing(path, EXPECTED)),
        Some(text) if text.is_empty() => Err(FieldProblem {
            path,
            expected: EXPECTED,
            found: "an empty one",
        }),
        Some(_) => Ok(()),
    }
}

/// A URL of one of the schemes, if there is anything.
pub(super) fn url(
    path: &'static str,
    text: Option<Text<'_>>,
    schemes: &'static [&'static str],
) -> Result<(), FieldProblem> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(());
    };
    let url = text.decode();
    let known = schemes.iter().any(|scheme| {
        url.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
            && has_host(&url[scheme.len()..])
    });
    if known {
        return Ok(());
    }
    Err(FieldProblem {
        path,
        expected: if schemes.contains(&"wss") {
            "a wss:, ws:, https: or http: URL"
        } else {
            "an https: or http: URL"
        },
        found: "another string",
    })
}

fn has_host(after_scheme: &str) -> bool {
    after_scheme
        .strip_prefix("://")
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
}
