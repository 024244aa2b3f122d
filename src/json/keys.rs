//! Refuses a key that its object has already had, and `__proto__`. Keys are compared as strings, not as they are
//! written. Cheap for the few keys of a webhook, and not quadratic for the many of a hostile one.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::json::text::Text;

const FEW: usize = 24;

/// The keys of one object so far.
pub(super) struct Keys<'a> {
    few: [&'a str; FEW],
    count: usize,
    // One bit per hash: a clear bit proves that a key is new.
    filter: u64,
    many: Option<HashSet<Cow<'a, str>>>,
}

impl<'a> Keys<'a> {
    pub(super) fn new() -> Self {
        Keys {
            few: [""; FEW],
            count: 0,
            filter: 0,
            many: None,
        }
    }

    pub(super) fn add(&mut self, key: Text<'a>) -> Result<(), &'static str> {
        if key.is("__proto__") {
            return Err("a __proto__ key");
        }
        let new = match (key.plain(), &mut self.many) {
            (_, Some(many)) => many.insert(key.decode()),
            (Some(plain), None) if self.count < FEW => self.add_to_few(plain),
            _ => self.move_to_many().insert(key.decode()),
        };
        if new {
            Ok(())
        } else {
            Err("a key for the second time")
        }
    }

    fn add_to_few(&mut self, key: &'a str) -> bool {
        let bit = 1u64 << hash(key.as_bytes());
        if self.filter & bit != 0 && self.few[..self.count].contains(&key) {
            return false;
        }
        self.filter |= bit;
        self.few[self.count] = key;
        self.count += 1;
        true
    }

    fn move_to_many(&mut self) -> &mut HashSet<Cow<'a, str>> {
        let few = self.few[..self.count].iter().map(|key| Cow::Borrowed(*key));
        self.many.insert(few.collect())
    }
}

/// A number below 64 that differs for most keys of one object.
fn hash(key: &[u8]) -> u32 {
    let ends = match (key.first(), key.last()) {
        (Some(first), Some(last)) => {
            u32::from(*first).wrapping_mul(7) ^ u32::from(*last).wrapping_mul(29)
        }
        _ => 0,
    };
    (ends ^ (key.len() as u32).wrapping_mul(13)) & 63
}
