//! The grammar of JSON numbers, and the whole ones among them that JavaScript holds exactly.

use crate::json::Flaw;

const EXACT: std::ops::RangeInclusive<i64> = -9_007_199_254_740_991..=9_007_199_254_740_991;

/// Where the number that starts at `start` ends.
pub(super) fn end(bytes: &[u8], start: usize) -> Result<usize, Flaw> {
    let mut at = start + usize::from(bytes.get(start) == Some(&b'-'));
    let leading_zero = bytes.get(at) == Some(&b'0');
    let first = at;
    at = digits(bytes, at)?;
    if leading_zero && at > first + 1 {
        return Err(Flaw {
            what: "a number with a leading zero",
            at: first,
        });
    }
    if bytes.get(at) == Some(&b'.') {
        at = digits(bytes, at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at += 1;
        if let Some(b'+' | b'-') = bytes.get(at) {
            at += 1;
        }
        at = digits(bytes, at)?;
    }
    Ok(at)
}

fn digits(bytes: &[u8], start: usize) -> Result<usize, Flaw> {
    let mut at = start;
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    if at == start {
        return Err(Flaw {
            what: "expected a digit",
            at,
        });
    }
    Ok(at)
}

/// The whole number that was written, unless it has a fraction or an exponent or is beyond 2^53 − 1 either way.
pub(super) fn integer(written: &str) -> Option<i64> {
    written.parse().ok().filter(|value| EXACT.contains(value))
}
