//! Header names and values as types, and the names that belong to the SDK or to the transport.
//!
//! Refuses whatever could break out of a header line; a refusal says why, and never repeats the value.

#![forbid(unsafe_code)]

use std::fmt;

/// The longest value that is sent, in bytes.
pub const MAX_VALUE_BYTES: usize = 8192;
/// The longest name that is sent, in bytes.
pub const MAX_NAME_BYTES: usize = 256;

/// The names that only the SDK sets, in lower case.
pub const SDK_OWNED: [&str; 8] = [
    "authorization",
    "x-livekit-room-id",
    "x-livekit-job-id",
    "x-livekit-agent-id",
    "x-livekit-worker-token",
    "x-livekit-session-id",
    "x-livekit-inference-provider",
    "x-livekit-inference-priority",
];

/// The name a plugin may only set when it was granted it.
pub const API_KEY_NAME: &str = "x-api-key";

// `__proto__` is a valid token that no plain JavaScript object can carry.
const FORBIDDEN: [&str; 9] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "trailer",
    "keep-alive",
    "__proto__",
];

/// Why an entry is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Not an RFC 9110 token, or too long.
    NameInvalid,
    /// The transport sets it, or a grant is missing.
    NameForbidden,
    /// The SDK sets it.
    NameSdkOwned,
    /// Empty or blank where that says nothing.
    ValueEmpty,
    /// Something else than visible ASCII, SP and HTAB.
    ValueInvalid,
    /// More than [`MAX_VALUE_BYTES`].
    ValueTooLong,
    /// The hooks of one turn added too many.
    TooMany,
}

impl DropReason {
    /// The reason as it stands in log lines and in the shared vectors.
    pub const fn as_str(self) -> &'static str {
        match self {
            DropReason::NameInvalid => "name-invalid",
            DropReason::NameForbidden => "name-forbidden",
            DropReason::NameSdkOwned => "name-sdk-owned",
            DropReason::ValueEmpty => "value-empty",
            DropReason::ValueInvalid => "value-invalid",
            DropReason::ValueTooLong => "value-too-long",
            DropReason::TooMany => "too-many",
        }
    }
}

/// A header's name: an RFC 9110 token, kept as it was spelled, equal without regard to case.
#[derive(Clone, Debug)]
pub struct HeaderName {
    spelled: String,
    lower: String,
}

impl HeaderName {
    /// Takes a token of 1 to [`MAX_NAME_BYTES`] bytes.
    pub fn parse(name: &str) -> Result<Self, DropReason> {
        let token = !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.bytes().all(is_tchar);
        if !token {
            return Err(DropReason::NameInvalid);
        }
        Ok(HeaderName {
            spelled: name.to_owned(),
            lower: name.to_ascii_lowercase(),
        })
    }

    /// As it was spelled.
    pub fn as_str(&self) -> &str {
        &self.spelled
    }

    pub fn lower(&self) -> &str {
        &self.lower
    }

    /// Whether only the SDK sets it.
    pub fn is_sdk_owned(&self) -> bool {
        SDK_OWNED.contains(&self.lower())
    }

    /// Whether it frames the message or belongs to the connection, so that nobody but the transport sets it.
    pub fn is_forbidden(&self) -> bool {
        FORBIDDEN.contains(&self.lower()) || self.lower.starts_with("proxy-")
    }

    /// Whether it belongs to the WebSocket upgrade.
    pub fn is_of_upgrade(&self) -> bool {
        self.lower.starts_with("sec-websocket-")
    }
}

impl PartialEq for HeaderName {
    fn eq(&self, other: &Self) -> bool {
        self.lower == other.lower
    }
}

impl Eq for HeaderName {}

/// A header's value: visible ASCII, SP and HTAB, so no CR, LF, NUL or obs-text. It never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct HeaderValue(String);

impl HeaderValue {
    /// Takes a value of at most [`MAX_VALUE_BYTES`] bytes; an empty one is right.
    pub fn parse(value: &str) -> Result<Self, DropReason> {
        if value.encode_utf16().count() > MAX_VALUE_BYTES {
            return Err(DropReason::ValueTooLong);
        }
        if !value
            .bytes()
            .all(|byte| matches!(byte, b'\t' | 0x20..=0x7e))
        {
            return Err(DropReason::ValueInvalid);
        }
        Ok(HeaderValue(value.to_owned()))
    }

    /// As [`HeaderValue::parse`], for the SDK's own headers, which are never empty or blank.
    pub fn parse_own(value: &str) -> Result<Self, DropReason> {
        let parsed = HeaderValue::parse(value)?;
        if value.bytes().all(|byte| matches!(byte, b'\t' | b' ')) {
            return Err(DropReason::ValueEmpty);
        }
        Ok(parsed)
    }

    /// The value itself. Every call is a place to review.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for HeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

/// A name as it may appear in a log line: what leads it as a token, so that an injected line or value never shows.
pub fn printable_name(name: &str) -> String {
    let leading: String = name
        .chars()
        .take(64)
        .take_while(|character| u8::try_from(*character).is_ok_and(is_tchar))
        .collect();
    if leading.len() == name.len() {
        leading
    } else {
        format!("{leading}…")
    }
}

fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn look_alikes_of_ascii_letters_are_no_tokens() {
        // U+017F folds to `s` and U+212A to `k`, so a fold before the check would let them pass as SDK names.
        for name in ["X-LiveKit-Job-Id\u{212a}", "ho\u{17f}t", "x\u{2011}a", ""] {
            assert_eq!(
                HeaderName::parse(name).unwrap_err(),
                DropReason::NameInvalid
            );
        }
    }

    #[test]
    fn a_value_never_prints() {
        let value = HeaderValue::parse("canary").unwrap();
        assert_eq!(format!("{value:?}"), "[REDACTED]");
    }

    proptest! {
        #[test]
        fn what_is_accepted_cannot_end_a_line(name in ".*", value in ".*") {
            if let Ok(name) = HeaderName::parse(&name) {
                prop_assert!(!name.as_str().contains([':', ' ', '\r', '\n', '\0']));
            }
            if let Ok(value) = HeaderValue::parse(&value) {
                prop_assert!(value.expose().bytes().all(|byte| byte == b'\t' || (0x20..0x7f).contains(&byte)));
            }
        }

        #[test]
        fn a_printed_name_is_a_token_and_its_ellipsis(name in ".*") {
            let printed = printable_name(&name);
            let bare = printed.strip_suffix('…').unwrap_or(&printed);
            prop_assert!(bare.is_empty() || HeaderName::parse(bare).is_ok());
            prop_assert!(name.starts_with(bare));
        }
    }
}
