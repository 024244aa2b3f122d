//! The one merge every inference request goes through: SDK User-Agent < hooks < the caller < the SDK's own names.
//!
//! **Whatever goes in, what comes out has one field per name, and no field of the SDK comes from anybody else.** A bad
//! entry is dropped and reported by name; it never fails the request.

#![forbid(unsafe_code)]

use crate::inference::name::{DropReason, HeaderName, HeaderValue};

/// One header as it was given: name and value, `None` = skip.
pub type Given<'a> = (&'a str, Option<&'a str>);

pub type Header = (HeaderName, HeaderValue);

/// What one request is made of, lowest precedence first.
#[derive(Clone, Debug, Default)]
pub struct Layers<'a> {
    pub user_agent: &'a str,
    /// What hooks added; they were checked when they were captured.
    pub hook: &'a [Header],
    /// What the caller gave for this request.
    pub call: &'a [Given<'a>],
    /// The SDK's own headers; an empty or malformed value omits that header and no other.
    pub own: &'a [Given<'a>],
    /// Also drop the names that a transport writes itself.
    pub forbid_transport: bool,
}

/// Merges the layers. `on_drop` is told the name and the reason of every entry that was dropped.
pub fn merge(layers: &Layers<'_>, mut on_drop: impl FnMut(&str, DropReason)) -> Vec<Header> {
    let mut merged = Vec::new();
    if let (Ok(name), Ok(value)) = (
        HeaderName::parse("User-Agent"),
        HeaderValue::parse(layers.user_agent),
    ) {
        merged.push((name, value));
    }
    for (name, value) in layers.hook {
        put(&mut merged, name.clone(), value.clone());
    }
    for (name, value) in layers.call {
        let Some(value) = value else { continue };
        match check_call(name, value, layers.forbid_transport) {
            Ok((name, value)) => put(&mut merged, name, value),
            Err(reason) => on_drop(name, reason),
        }
    }
    for (name, value) in layers.own {
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            continue;
        };
        match HeaderName::parse(name).and_then(|name| Ok((name, HeaderValue::parse_own(value)?))) {
            Ok((name, value)) => put(&mut merged, name, value),
            Err(DropReason::ValueEmpty) => {}
            Err(reason) => on_drop(name, reason),
        }
    }
    merged
}

fn check_call(name: &str, value: &str, forbid_transport: bool) -> Result<Header, DropReason> {
    let name = HeaderName::parse(name)?;
    if name.is_sdk_owned() {
        return Err(DropReason::NameSdkOwned);
    }
    let transport = forbid_transport && (name.is_forbidden() || name.is_of_upgrade());
    if transport || name.lower() == "__proto__" {
        return Err(DropReason::NameForbidden);
    }
    let value = HeaderValue::parse(value)?;
    Ok((name, value))
}

/// Puts a header in the place of the one it replaces, spelled as the newcomer spells it, or at the end.
fn put(merged: &mut Vec<Header>, name: HeaderName, value: HeaderValue) {
    match merged.iter_mut().find(|(other, _)| *other == name) {
        Some(entry) => *entry = (name, value),
        None => merged.push((name, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::name::SDK_OWNED;
    use proptest::prelude::*;
    use std::collections::HashSet;

    /// Any spelling of a name of interest, or rubbish.
    fn name() -> impl Strategy<Value = String> {
        let known: Vec<String> = SDK_OWNED
            .iter()
            .chain(&["user-agent", "x-a", "x-b", "host", "__proto__"])
            .map(|name| (*name).to_owned())
            .collect();
        let spelled = (proptest::sample::select(known), any::<u32>()).prop_map(|(name, upper)| {
            name.chars()
                .enumerate()
                .map(|(at, character)| match upper >> (at % 32) & 1 {
                    1 => character.to_ascii_uppercase(),
                    _ => character,
                })
                .collect()
        });
        prop_oneof![4 => spelled, 1 => ".{0,20}"]
    }

    proptest! {
        #[test]
        fn one_field_per_name_and_nobody_speaks_for_the_sdk(
            call in prop::collection::vec((name(), "[ -~]{0,8}"), 0..12),
            agent in prop::option::of("[ -~\r\n]{0,8}"),
        ) {
            let call: Vec<Given> = call.iter().map(|(name, value)| (name.as_str(), Some(value.as_str()))).collect();
            let own = [("X-LiveKit-Agent-Id", agent.as_deref())];
            let merged = merge(
                &Layers { user_agent: "ua", call: &call, own: &own, ..Layers::default() },
                |_, _| {},
            );
            let names: HashSet<&str> = merged.iter().map(|(name, _)| name.lower()).collect();
            prop_assert_eq!(names.len(), merged.len());
            for (name, value) in &merged {
                if name.is_sdk_owned() {
                    prop_assert_eq!(name.as_str(), "X-LiveKit-Agent-Id");
                    prop_assert_eq!(Some(value.expose()), agent.as_deref());
                }
            }
        }

        #[test]
        fn every_entry_of_the_caller_is_sent_or_reported(
            call in prop::collection::vec((name(), ".{0,8}"), 0..12),
        ) {
            let given: Vec<Given> = call.iter().map(|(name, value)| (name.as_str(), Some(value.as_str()))).collect();
            let mut dropped = 0;
            let layers = Layers { user_agent: "ua", call: &given, forbid_transport: true, ..Layers::default() };
            let merged = merge(&layers, |_, _| dropped += 1);
            let sent = given
                .iter()
                .filter(|(name, value)| check_call(name, value.unwrap(), true).is_ok())
                .count();
            prop_assert_eq!(sent + dropped, given.len());
            prop_assert!(merged.len() <= sent + 1);
        }
    }
}
