//! The one merge every inference request goes through: SDK User-Agent < hooks < the caller < the SDK's own names.
//!
//! **Whatever goes in, what comes out has one field per name, and no field of the SDK comes from anybody else.** A bad
//! entry is dropped and reported by name; it never fails the request.

#![forbid(unsafe_code)]

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use crate::inference::name::{
    check_own_value, check_value, printable_name, DropReason, Name, ATTRIBUTION, SDK_OWNED,
};

/// Whose headers a caller gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A request that `fetch` sends: it judges the names of the transport itself.
    Request,
    /// The upgrade of a socket: it writes those names.
    Upgrade,
    /// A call of a model that brings credentials of its own. Names go out in lower case, as its SDK compares them.
    Model,
}

/// A merge under way: the layers are put in from the lowest to the highest.
pub struct Merge<'a> {
    caller: Caller,
    sent: Vec<(&'a str, &'a str)>,
    dropped: Vec<(&'a str, DropReason)>,
}

impl<'a> Merge<'a> {
    /// Nothing yet.
    pub fn new(caller: Caller) -> Self {
        Merge {
            caller,
            sent: Vec::with_capacity(16),
            dropped: Vec::new(),
        }
    }

    /// Puts a header that was checked before in the place of the one it replaces, spelled as the newcomer spells it, or at
    /// the end.
    pub fn put(&mut self, name: &'a str, value: &'a str) {
        let same = |sent: &&mut (&str, &str)| sent.0.eq_ignore_ascii_case(name);
        match self.sent.iter_mut().find(same) {
            Some(sent) => *sent = (name, value),
            None => self.sent.push((name, value)),
        }
    }

    /// What is sent: names and values.
    pub fn headers(&self) -> &[(&'a str, &'a str)] {
        &self.sent
    }

    /// Reports an entry that is not sent.
    pub fn drop_entry(&mut self, name: &'a str, reason: DropReason) {
        self.dropped.push((name, reason));
    }

    /// One entry of the caller.
    pub fn call(&mut self, name: &'a str, value: &'a str) {
        match check_call(self.caller, name, value) {
            Ok(()) => self.put(name, value),
            Err(reason) => self.drop_entry(name, reason),
        }
    }

    /// What the SDK says of the request: values in the order of [`SDK_OWNED`]. An empty, blank or malformed one omits that
    /// header and no other. A server that is not LiveKit's is told who is calling, and nothing else.
    pub fn own(&mut self, values: impl Iterator<Item = &'a str>) {
        let told = match self.caller {
            Caller::Model => ATTRIBUTION,
            Caller::Request | Caller::Upgrade => SDK_OWNED.len(),
        };
        for (name, value) in SDK_OWNED.into_iter().zip(values).take(told) {
            match check_own_value(value) {
                Ok(()) => self.put(name, value),
                Err(DropReason::ValueEmpty) => {}
                Err(reason) => self.drop_entry(name, reason),
            }
        }
    }
}

/// An array of the headers as a record, then a pair of name and reason for every entry that was dropped.
impl Serialize for Merge<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all = serializer.serialize_seq(Some(1 + self.dropped.len()))?;
        all.serialize_element(&Record(&self.sent, self.caller == Caller::Model))?;
        for (name, reason) in &self.dropped {
            all.serialize_element(&(printable_name(name), reason.as_str()))?;
        }
        all.end()
    }
}

struct Record<'a>(&'a [(&'a str, &'a str)], bool);

impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut record = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            if self.1 {
                record.serialize_entry(&name.to_ascii_lowercase(), value)?;
            } else {
                record.serialize_entry(name, value)?;
            }
        }
        record.end()
    }
}

fn check_call(caller: Caller, name: &str, value: &str) -> Result<(), DropReason> {
    let name = Name::parse(name)?;
    // A model's own `Authorization` is for its own server.
    if name.is_sdk_owned() && (caller != Caller::Model || name.is_of_livekit()) {
        return Err(DropReason::NameSdkOwned);
    }
    let taken = caller == Caller::Upgrade && (name.is_of_transport() || name.is_of_upgrade());
    if taken || name.is_proto() {
        return Err(DropReason::NameForbidden);
    }
    check_value(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    /// Any spelling of a name of interest, or rubbish.
    fn name() -> impl Strategy<Value = String> {
        let known: Vec<String> = SDK_OWNED
            .iter()
            .chain(&["user-agent", "x-a", "x-b", "host", "__proto__"])
            .map(|name| name.to_ascii_lowercase())
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

    #[test]
    fn no_credential_goes_to_a_server_that_is_not_livekits() {
        let mut merge = Merge::new(Caller::Model);
        merge.call("Authorization", "Bearer theirs");
        merge.own(
            [
                "RM_a",
                "AJ_b",
                "PA_c",
                "token",
                "id",
                "openai",
                "low",
                "Bearer ours",
            ]
            .into_iter(),
        );
        let names: Vec<&str> = merge.headers().iter().map(|(name, _)| *name).collect();
        assert_eq!(
            names,
            [&["Authorization"], &SDK_OWNED[..ATTRIBUTION]].concat()
        );
        assert_eq!(merge.headers()[0].1, "Bearer theirs");
    }

    proptest! {
        #[test]
        fn one_field_per_name_and_nobody_speaks_for_the_sdk(
            call in prop::collection::vec((name(), "[ -~]{0,8}"), 0..12),
            agent in "[ -~\r\n]{0,8}",
        ) {
            let mut merge = Merge::new(Caller::Request);
            merge.put("User-Agent", "ua");
            call.iter().for_each(|(name, value)| merge.call(name, value));
            merge.own(["", "", agent.as_str()].into_iter());
            let names: HashSet<String> = merge.sent.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
            prop_assert_eq!(names.len(), merge.sent.len());
            for (name, value) in &merge.sent {
                if Name::parse(name).unwrap().is_sdk_owned() {
                    prop_assert_eq!(*name, "X-LiveKit-Agent-Id");
                    prop_assert_eq!(*value, agent.as_str());
                }
            }
        }

        #[test]
        fn every_entry_of_the_caller_is_sent_or_reported(
            call in prop::collection::vec((name(), ".{0,8}"), 0..12),
            caller in proptest::sample::select(vec![Caller::Request, Caller::Upgrade, Caller::Model]),
        ) {
            let mut merge = Merge::new(caller);
            call.iter().for_each(|(name, value)| merge.call(name, value));
            let sent = call.iter().filter(|(name, value)| check_call(caller, name, value).is_ok()).count();
            prop_assert_eq!(sent + merge.dropped.len(), call.len());
            prop_assert!(merge.sent.len() <= sent);
        }

        #[test]
        fn what_crosses_is_json_of_one_record_and_what_was_dropped(
            call in prop::collection::vec((name(), ".{0,8}"), 0..12),
        ) {
            let mut merge = Merge::new(Caller::Request);
            call.iter().for_each(|(name, value)| merge.call(name, value));
            let json: serde_json::Value = serde_json::from_str(&serde_json::to_string(&merge).unwrap()).unwrap();
            prop_assert_eq!(json.as_array().unwrap().len(), 1 + merge.dropped.len());
            for (name, value) in &merge.sent {
                prop_assert_eq!(json[0][*name].as_str(), Some(*value));
            }
        }
    }
}
