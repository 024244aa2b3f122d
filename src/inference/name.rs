//! Which header names and values may be sent, and which names belong to the SDK or to the transport.
//!
//! Refuses whatever could break out of a header line; a refusal says why, and never repeats the value. It does not look at
//! who asked: the merge and the hooks decide that.

#![forbid(unsafe_code)]

/// The longest value that is sent, in bytes.
pub const MAX_VALUE_BYTES: usize = 8192;
/// The longest name that is sent, in bytes.
pub const MAX_NAME_BYTES: usize = 256;
/// The longest provider name, in bytes.
pub const MAX_PROVIDER_BYTES: usize = 256;

/// The names that only the SDK sets, as it spells them and in the order in which it sends them.
pub const SDK_OWNED: [&str; 8] = [
    "X-LiveKit-Room-Id",
    "X-LiveKit-Job-Id",
    "X-LiveKit-Agent-Id",
    "X-LiveKit-Worker-Token",
    "X-LiveKit-Session-ID",
    "X-LiveKit-Inference-Provider",
    "X-LiveKit-Inference-Priority",
    "Authorization",
];

/// How many of them say who is calling, and no more: the others are credentials, or mean something to LiveKit's gateway
/// only.
pub const ATTRIBUTION: usize = 3;

/// How urgently the gateway serves a request: what `X-LiveKit-Inference-Priority` may say.
pub const PRIORITIES: [&str; 3] = ["priority", "standard", "low"];

// They frame the message or belong to the connection (RFC 9110 §7.6.1). `__proto__` is a token that no plain JavaScript
// object can carry.
const OF_TRANSPORT: [&str; 9] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "trailer",
    "keep-alive",
    PROTO,
];
const PROTO: &str = "__proto__";

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
    /// The reason as it stands in log lines and in the vectors.
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

/// A header's name: an RFC 9110 token as it was spelled. Names are compared without regard to case.
#[derive(Clone, Copy, Debug)]
pub struct Name<'a>(&'a str);

impl<'a> Name<'a> {
    /// Takes a token of 1 to [`MAX_NAME_BYTES`] bytes.
    pub fn parse(name: &'a str) -> Result<Self, DropReason> {
        let token = !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.bytes().all(is_tchar);
        token.then_some(Name(name)).ok_or(DropReason::NameInvalid)
    }

    fn is(self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }

    fn begins(self, with: &str) -> bool {
        let start = self.0.as_bytes().get(..with.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(with.as_bytes()))
    }

    /// Whether only the SDK sets it.
    pub fn is_sdk_owned(self) -> bool {
        SDK_OWNED.iter().any(|owned| self.is(owned))
    }

    /// Whether it is one of LiveKit's own.
    pub fn is_of_livekit(self) -> bool {
        self.begins("x-livekit-")
    }

    /// Whether nobody but the transport sets it.
    pub fn is_of_transport(self) -> bool {
        OF_TRANSPORT.iter().any(|other| self.is(other)) || self.begins("proxy-")
    }

    /// Whether it belongs to the WebSocket upgrade (RFC 6455 §11.3).
    pub fn is_of_upgrade(self) -> bool {
        self.begins("sec-websocket-")
    }

    /// Whether a plugin may only set it when it was granted it.
    pub fn needs_grant(self) -> bool {
        self.is("x-api-key")
    }

    /// Whether no plain JavaScript object can carry it.
    pub fn is_proto(self) -> bool {
        self.is(PROTO)
    }
}

/// Visible ASCII, SP and HTAB of at most [`MAX_VALUE_BYTES`] bytes, so no CR, LF, NUL or obs-text (RFC 9110 §5.5). An empty
/// value is right.
pub fn check_value(value: &str) -> Result<(), DropReason> {
    if !value
        .bytes()
        .all(|byte| matches!(byte, b'\t' | 0x20..=0x7e))
    {
        return Err(DropReason::ValueInvalid);
    }
    if value.len() > MAX_VALUE_BYTES {
        return Err(DropReason::ValueTooLong);
    }
    Ok(())
}

/// As [`check_value`], for the SDK's own headers, which are never empty or blank.
pub fn check_own_value(value: &str) -> Result<(), DropReason> {
    if value.bytes().all(|byte| matches!(byte, b'\t' | b' ')) {
        return Err(DropReason::ValueEmpty);
    }
    check_value(value)
}

/// Whether a text can be the name of a provider: a value that begins and ends with something visible.
pub fn is_provider(text: &str) -> bool {
    let ends = [text.bytes().next(), text.bytes().last()];
    let visible = ends.iter().flatten().filter(|byte| byte.is_ascii_graphic());
    visible.count() == 2 && text.len() <= MAX_PROVIDER_BYTES && check_value(text).is_ok()
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
            assert_eq!(Name::parse(name).unwrap_err(), DropReason::NameInvalid);
        }
    }

    #[test]
    fn a_provider_begins_and_ends_visibly() {
        for name in ["openai", "a", "two words", "a\tb"] {
            assert!(is_provider(name), "{name:?}");
        }
        for name in ["", " ", "a ", "\ta", "a\r\nb", "é", &"a".repeat(257)] {
            assert!(!is_provider(name), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_cannot_end_a_line(name in ".*", value in ".*") {
            if Name::parse(&name).is_ok() {
                prop_assert!(!name.contains([':', ' ', '\r', '\n', '\0']));
            }
            if check_value(&value).is_ok() {
                prop_assert!(value.bytes().all(|byte| byte == b'\t' || (0x20..0x7f).contains(&byte)));
            }
        }

        #[test]
        fn a_printed_name_is_a_token_and_its_ellipsis(name in ".*") {
            let printed = printable_name(&name);
            let bare = printed.strip_suffix('…').unwrap_or(&printed);
            prop_assert!(bare.is_empty() || Name::parse(bare).is_ok());
            prop_assert!(name.starts_with(bare));
        }
    }
}
