//! The headers of a webhook that verification looks at, collected from raw header lines so that a repeated one is seen.

/// Hex HMAC of the body; during a rotation several, separated by commas.
pub const HEADER_SIGNATURE: &str = "X-LiveKit-Signature";
/// The body's `timestamp` again.
pub const HEADER_TIMESTAMP: &str = "X-LiveKit-Timestamp";
/// The delivery id of Standard Webhooks.
pub const HEADER_ID: &str = "webhook-id";
/// The body's `timestamp`, as Standard Webhooks sends it.
pub const HEADER_STANDARD_TIMESTAMP: &str = "webhook-timestamp";
/// The signatures of Standard Webhooks.
pub const HEADER_STANDARD_SIGNATURE: &str = "webhook-signature";

/// How often a header came, and with what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Line<'a> {
    /// Not at all, or with nothing in it.
    #[default]
    Absent,
    One(&'a str),
    Repeated,
}

impl<'a> Line<'a> {
    /// A header whose lines were joined with line feeds, which no header value can hold.
    pub fn joined(lines: &'a str) -> Self {
        match lines {
            "" => Line::Absent,
            lines if lines.contains('\n') => Line::Repeated,
            line => Line::One(line),
        }
    }

    fn add(&mut self, value: &'a str) {
        *self = match self {
            Line::Absent if value.is_empty() => Line::Absent,
            Line::Absent => Line::One(value),
            Line::One(_) | Line::Repeated => Line::Repeated,
        };
    }
}

/// The headers that verification looks at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a> {
    /// `X-LiveKit-Signature`.
    pub signature: Line<'a>,
    /// `X-LiveKit-Timestamp`.
    pub timestamp: Line<'a>,
    /// `webhook-id`.
    pub id: Line<'a>,
    /// `webhook-timestamp`.
    pub standard_timestamp: Line<'a>,
    /// `webhook-signature`.
    pub standard_signature: Line<'a>,
}

impl<'a> Headers<'a> {
    /// Picks the headers out of raw lines, in any case of their names.
    pub fn from_lines<'n>(lines: impl IntoIterator<Item = (&'n str, &'a str)>) -> Self {
        let mut headers = Headers::default();
        for (name, value) in lines {
            let line = if name.eq_ignore_ascii_case(HEADER_SIGNATURE) {
                &mut headers.signature
            } else if name.eq_ignore_ascii_case(HEADER_TIMESTAMP) {
                &mut headers.timestamp
            } else if name.eq_ignore_ascii_case(HEADER_ID) {
                &mut headers.id
            } else if name.eq_ignore_ascii_case(HEADER_STANDARD_TIMESTAMP) {
                &mut headers.standard_timestamp
            } else if name.eq_ignore_ascii_case(HEADER_STANDARD_SIGNATURE) {
                &mut headers.standard_signature
            } else {
                continue;
            };
            line.add(value);
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_in_any_case_and_repetition_is_seen() {
        let headers = Headers::from_lines([
            ("x-livekit-signature", "aa"),
            ("X-LIVEKIT-TIMESTAMP", "1"),
            ("x-livekit-timestamp", "1"),
            ("Webhook-Id", ""),
            ("other", "x"),
        ]);
        assert_eq!(headers.signature, Line::One("aa"));
        assert_eq!(headers.timestamp, Line::Repeated);
        assert_eq!(headers.id, Line::Absent);
        assert_eq!(headers.standard_signature, Line::Absent);
    }

    #[test]
    fn joined_lines_are_told_apart_from_one_line_with_commas() {
        assert_eq!(Line::joined(""), Line::Absent);
        assert_eq!(Line::joined("aa, bb"), Line::One("aa, bb"));
        assert_eq!(Line::joined("aa\nbb"), Line::Repeated);
        assert_eq!(Line::joined("\n"), Line::Repeated);
    }
}
