//! What handlers of header hooks may add: the check of one entry, and how the answers of several handlers combine.
//!
//! Refuses names of the SDK and of the transport, and more than [`MAX_HOOK_HEADERS`] names a turn.

#![forbid(unsafe_code)]

use crate::inference::merge::Header;
use crate::inference::name::{DropReason, HeaderName, HeaderValue, API_KEY_NAME};

/// How many headers the hooks of one turn may add together.
pub const MAX_HOOK_HEADERS: usize = 64;

/// Checks one entry of a handler's answer.
pub fn check_entry(name: &str, value: &str, allow_api_key: bool) -> Result<Header, DropReason> {
    let name = HeaderName::parse(name)?;
    if name.is_sdk_owned() {
        return Err(DropReason::NameSdkOwned);
    }
    if name.is_forbidden() || (name.lower() == API_KEY_NAME && !allow_api_key) {
        return Err(DropReason::NameForbidden);
    }
    let value = HeaderValue::parse(value)?;
    Ok((name, value))
}

/// Adds one handler's checked entry to those before it: on the same name the later one wins.
pub fn add(captured: &mut Vec<Header>, entry: Header) -> Result<(), DropReason> {
    match captured.iter().position(|(name, _)| *name == entry.0) {
        Some(at) => captured[at] = entry,
        None if captured.len() >= MAX_HOOK_HEADERS => return Err(DropReason::TooMany),
        None => captured.push(entry),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixty_fifth_name_is_refused_and_a_known_one_is_still_replaced() {
        let mut captured = Vec::new();
        for at in 0..MAX_HOOK_HEADERS {
            let entry = check_entry(&format!("x-{at}"), "1", false).unwrap();
            add(&mut captured, entry).unwrap();
        }
        let one_more = check_entry("x-more", "1", false).unwrap();
        assert_eq!(add(&mut captured, one_more), Err(DropReason::TooMany));
        let known = check_entry("X-0", "2", false).unwrap();
        assert_eq!(add(&mut captured, known), Ok(()));
        assert_eq!(captured[0].0.as_str(), "X-0");
        assert_eq!(captured[0].1.expose(), "2");
    }
}
