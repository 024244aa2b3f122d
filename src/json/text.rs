//! JSON strings: finding their end eight bytes at a time, checking their escapes, and decoding them when asked.

use std::borrow::Cow;

use crate::json::Flaw;

/// A string as it was written between its quotes; its escapes have been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    written: &'a str,
    escaped: bool,
}

impl<'a> Text<'a> {
    /// What stands between the quotes.
    pub fn written(&self) -> &'a str {
        self.written
    }

    /// Whether it is empty, which no escape can be.
    pub fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    /// What stands between the quotes, if that is the string itself because it holds no escape.
    pub fn plain(&self) -> Option<&'a str> {
        (!self.escaped).then_some(self.written)
    }

    #[inline]
    pub fn decode(&self) -> Cow<'a, str> {
        match self.plain() {
            Some(plain) => Cow::Borrowed(plain),
            None => Cow::Owned(unescape(self.written)),
        }
    }

    /// Whether the string is `other`.
    pub fn is(&self, other: &str) -> bool {
        match self.plain() {
            Some(plain) => plain == other,
            None => unescape(self.written) == other,
        }
    }
}

/// Takes the string whose first byte after the opening quote is at `start`.
#[inline]
pub(super) fn take(text: &str, start: usize) -> Result<Text<'_>, Flaw> {
    let bytes = text.as_bytes();
    let mut at = start;
    let mut escaped = false;
    loop {
        at = next_special(bytes, at);
        match bytes.get(at) {
            Some(b'"') => {
                return Ok(Text {
                    written: &text[start..at],
                    escaped,
                })
            }
            Some(b'\\') => {
                escaped = true;
                at = escape_end(bytes, at)?;
            }
            Some(_) => {
                return Err(Flaw {
                    what: "a control character in a string",
                    at,
                })
            }
            None => {
                return Err(Flaw {
                    what: "a string without an end",
                    at,
                })
            }
        }
    }
}

const ONES: u64 = u64::MAX / 255;
const TOPS: u64 = ONES * 0x80;

/// The high bit of each byte that is a quote, a backslash or a control character. Bytes after the first hit may be
/// marked wrongly, because a subtraction borrows from them; only the first mark counts.
#[inline]
fn specials(word: u64) -> u64 {
    let quotes = word ^ (ONES * b'"' as u64);
    let slashes = word ^ (ONES * b'\\' as u64);
    let found = (quotes.wrapping_sub(ONES) & !quotes)
        | (slashes.wrapping_sub(ONES) & !slashes)
        | (word.wrapping_sub(ONES * 0x20) & !word);
    found & TOPS
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let word = bytes.get(at..at + 8)?.try_into().ok()?;
    Some(u64::from_le_bytes(word))
}

/// The first quote, backslash or control character from `start` on, or the end.
#[inline]
fn next_special(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(word) = word(bytes, at) {
        let marks = specials(word);
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += 8;
        if at - start == SHORT {
            at = skip_blocks(bytes, at);
        }
    }
    let is_special = |byte: &u8| *byte == b'"' || *byte == b'\\' || *byte < 0x20;
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(is_special).unwrap_or(rest.len())
}

/// Strings longer than this, such as tokens, are read in blocks.
const SHORT: usize = 32;

/// Passes over blocks of 32 bytes that hold nothing special; four words at once become vector code.
fn skip_blocks(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    for block in bytes.get(start..).unwrap_or_default().chunks_exact(32) {
        let marks = block.chunks_exact(8).filter_map(|chunk| word(chunk, 0));
        if marks.fold(0, |found, word| found | specials(word)) != 0 {
            break;
        }
        at += 32;
    }
    at
}

/// Where the escape that starts at `at` with its backslash ends; a pair of surrogates is one escape.
fn escape_end(bytes: &[u8], at: usize) -> Result<usize, Flaw> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => {
            let pair = Flaw {
                what: "an unpaired surrogate in a string",
                at,
            };
            match hex4(bytes, at + 2) {
                Some(0xD800..=0xDBFF) => match (bytes.get(at + 6..at + 8), hex4(bytes, at + 8)) {
                    (Some(b"\\u"), Some(0xDC00..=0xDFFF)) => Ok(at + 12),
                    _ => Err(pair),
                },
                Some(0xDC00..=0xDFFF) => Err(pair),
                Some(_) => Ok(at + 6),
                None => Err(Flaw {
                    what: "a \\u escape without four hex digits",
                    at,
                }),
            }
        }
        _ => Err(Flaw {
            what: "an unknown escape in a string",
            at,
        }),
    }
}

fn hex4(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.iter().try_fold(0, |value, byte| {
        Some(value * 16 + char::from(*byte).to_digit(16)?)
    })
}

/// Decodes escapes that `escape_end` has accepted.
fn unescape(written: &str) -> String {
    let mut text = String::with_capacity(written.len());
    let mut rest = written;
    while let Some(slash) = rest.find('\\') {
        text.push_str(&rest[..slash]);
        let bytes = rest.as_bytes();
        let mut after = slash + 2;
        text.push(match bytes.get(slash + 1) {
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let high = hex4(bytes, slash + 2).unwrap_or(0);
                after = slash + 6;
                let mut point = high;
                if (0xD800..0xDC00).contains(&high) {
                    let low = hex4(bytes, slash + 8).unwrap_or(0xDC00);
                    point = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                    after = slash + 12;
                }
                char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            Some(other) => char::from(*other),
            None => char::REPLACEMENT_CHARACTER,
        });
        rest = &rest[after..];
    }
    text.push_str(rest);
    text
}
