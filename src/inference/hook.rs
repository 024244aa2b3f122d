//! What the handlers of one turn's header hooks add: the check of each entry, how the answers of several handlers combine,
//! and to which calls the result may go.
//!
//! Refuses names of the SDK and of the transport, and more than [`MAX_HOOK_HEADERS`] names a turn.

#![forbid(unsafe_code)]

use std::sync::Arc;

use crate::inference::merge::{Caller, Merge};
use crate::inference::name::{check_value, DropReason, Name};
use crate::inference::scope::{Scope, Target};

/// How many headers the hooks of one turn may add together.
pub const MAX_HOOK_HEADERS: usize = 64;

/// Checks one entry of a handler's answer. `granted`: whether it may set `x-api-key`.
pub fn check_entry(name: &str, value: &str, granted: bool) -> Result<(), DropReason> {
    let name = Name::parse(name)?;
    if name.is_sdk_owned() {
        return Err(DropReason::NameSdkOwned);
    }
    if name.is_of_transport() || (name.needs_grant() && !granted) {
        return Err(DropReason::NameForbidden);
    }
    check_value(value)
}

/// One header, and the scopes it must not leave. It has no `Debug`: values never print.
#[derive(Clone)]
struct Captured {
    name: String,
    value: String,
    scopes: Vec<Arc<Scope>>,
}

/// The headers of one turn, in the order in which they were added: on the same name the later one wins.
#[derive(Clone, Default)]
pub struct Turn(Vec<Captured>);

impl Turn {
    /// Adds one entry of a handler.
    pub fn add(
        &mut self,
        name: &str,
        value: &str,
        granted: bool,
        scopes: &[Arc<Scope>],
    ) -> Result<(), DropReason> {
        check_entry(name, value, granted)?;
        if !self.has(name) && self.names() >= MAX_HOOK_HEADERS {
            return Err(DropReason::TooMany);
        }
        self.0.push(Captured {
            name: name.to_owned(),
            value: value.to_owned(),
            scopes: scopes.to_vec(),
        });
        Ok(())
    }

    fn has(&self, name: &str) -> bool {
        self.0
            .iter()
            .any(|entry| entry.name.eq_ignore_ascii_case(name))
    }

    fn names(&self) -> usize {
        let mut merge = Merge::new(Caller::Request);
        self.0
            .iter()
            .for_each(|entry| merge.put(&entry.name, &entry.value));
        merge.headers().len()
    }

    /// This turn inside another one, which it overrides.
    pub fn inside(&self, outer: &Turn) -> Turn {
        Turn(outer.0.iter().chain(&self.0).cloned().collect())
    }

    /// Puts what may go to a call into its headers.
    pub fn put<'a>(&'a self, target: &Target, merge: &mut Merge<'a>) {
        for entry in &self.0 {
            if entry.scopes.iter().all(|scope| scope.covers(target)) {
                merge.put(&entry.name, &entry.value);
            }
        }
    }

    /// Puts everything into what the next handler sees.
    pub fn put_all<'a>(&'a self, merge: &mut Merge<'a>) {
        self.0
            .iter()
            .for_each(|entry| merge.put(&entry.name, &entry.value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixty_fifth_name_is_refused_and_a_known_one_is_still_replaced() {
        let mut turn = Turn::default();
        for at in 0..MAX_HOOK_HEADERS {
            turn.add(&format!("x-{at}"), "1", false, &[]).unwrap();
        }
        assert_eq!(
            turn.add("x-more", "1", false, &[]),
            Err(DropReason::TooMany)
        );
        assert_eq!(turn.add("X-0", "2", false, &[]), Ok(()));
        assert_eq!(turn.names(), MAX_HOOK_HEADERS);
    }
}
