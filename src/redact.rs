//! Cuts credentials out of texts that others wrote: signed tokens and webhook secrets by their looks, what follows the name
//! of a password, a secret, a key or a TURN credential, and values that are known. It knows nothing of rooms and identities:
//! who logs such a text keeps its level low. It refuses to judge the rest of the text, which is the user's own.

#![forbid(unsafe_code)]

use std::borrow::Cow;

/// Names whose value is a credential, in lower case. The end of a longer name counts too: `turn_password`.
const NAMES: [&str; 10] = [
    "password",
    "passwd",
    "ice-pwd",
    "credential",
    "secret",
    "access_token",
    "api_key",
    "apikey",
    "api-key",
    "api key",
];

/// A header whose value is a credential, spaces included.
const HEADER: &str = "authorization";

/// What every signed token begins with (`{"` in base64), and every webhook secret of Standard Webhooks.
const TOKENS: [&str; 2] = ["eyJ", "whsec_"];

/// Stands in a log where something was cut out, and in a reason that is reported to others.
const HIDDEN: &str = "[hidden]";
const REDACTED: &str = "[redacted]";

/// The most that [`redact`] leaves of a text.
pub const MAX_REASON_BYTES: usize = 1024;

/// Shorter values are found in any text.
const MIN_VALUE_BYTES: usize = 3;

/// Makes a text fit to be reported: without credentials and without the values named, on one line, and cut at 1 KiB on a
/// character's border.
pub fn redact(text: &str, values: &[&str]) -> String {
    let mut clean = text.to_owned();
    for value in values.iter().filter(|value| value.len() >= MIN_VALUE_BYTES) {
        clean = clean.replace(value, REDACTED);
    }
    let clean: String = cut(&clean, REDACTED)
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    let clean = clean.trim();
    let mut end = clean.len().min(MAX_REASON_BYTES);
    while !clean.is_char_boundary(end) {
        end -= 1;
    }
    clean[..end].to_owned()
}

/// The text without credentials; the same text when it has none.
pub fn scrub(text: &str) -> Cow<'_, str> {
    cut(text, HIDDEN)
}

fn cut<'a>(text: &'a str, mark: &str) -> Cow<'a, str> {
    let mut cuts = tokens(text);
    // Folding keeps every byte at its place.
    let folded = text.to_ascii_lowercase();
    for name in NAMES {
        cuts.extend(values(text, &folded, name, false));
    }
    cuts.extend(values(text, &folded, HEADER, true));
    if cuts.is_empty() {
        return Cow::Borrowed(text);
    }
    cuts.sort_unstable();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (from, to) in cuts {
        if from >= at {
            out.push_str(&text[at..from]);
            out.push_str(mark);
        }
        at = at.max(to);
    }
    out.push_str(&text[at..]);
    Cow::Owned(out)
}

type Cut = (usize, usize);

fn tokens(text: &str) -> Vec<Cut> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.=+/".contains(letter);
    let ends = |from: usize| {
        text[from..]
            .find(|letter| !plain(letter))
            .map_or(text.len(), |length| from + length)
    };
    TOKENS
        .iter()
        .flat_map(|token| text.match_indices(token))
        .map(|(from, _)| (from, ends(from)))
        .collect()
}

/// Where the values are that follow `name` and a colon or an equals sign, as HTTP, SDP, JSON, URLs and Rust write it.
fn values(text: &str, folded: &str, name: &str, spaces: bool) -> Vec<Cut> {
    let mut found = Vec::new();
    for (at, _) in folded.match_indices(name) {
        let rest = &text[at + name.len()..];
        let value = rest.trim_start_matches(['"', '\\', ' ']);
        let Some(value) = value.strip_prefix([':', '=']) else {
            continue;
        };
        let value = value.trim_start_matches(' ');
        let value = value.strip_prefix("Some(").unwrap_or(value);
        let value = value.trim_start_matches(['"', '\\', ' ']);
        let from = text.len() - value.len();
        let over = |letter: char| {
            matches!(
                letter,
                '"' | '\\' | '\r' | '\n' | ',' | ';' | '&' | ')' | '}'
            ) || (letter == ' ' && !spaces)
        };
        let value = &value[..value.find(over).unwrap_or(value.len())];
        // The end of the sentence around it.
        let length = value.trim_end_matches([':', '.']).len();
        if length > 0 {
            found.push((from, from + length));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn credentials_are_cut_out_in_every_way_they_are_written() {
        for (text, clean) in [
            (
                "GET /rtc?access_token=eyJhbGci.eyJpc3Mi.c2ln&sdk=node failed",
                "GET /rtc?access_token=[hidden]&sdk=node failed",
            ),
            (
                "GET /?access_token=abc: 401",
                "GET /?access_token=[hidden]: 401",
            ),
            ("token eyJhbGci.eyJpc3Mi.c2ln.", "token [hidden]"),
            (
                r#"Host: x\r\nauthorization: Bearer abc def\r\n\r\n"#,
                r#"Host: x\r\nauthorization: [hidden]\r\n\r\n"#,
            ),
            (
                "Authorization: Basic YTpi\r\nX: 1",
                "Authorization: [hidden]\r\nX: 1",
            ),
            (
                r#"ICEServer { username: "u", credential: "c+/=" }"#,
                r#"ICEServer { username: "u", credential: "[hidden]" }"#,
            ),
            (
                r#"turn_password: "h5V", enabled"#,
                r#"turn_password: "[hidden]", enabled"#,
            ),
            (
                r#"password: Some("h5V") }"#,
                r#"password: Some("[hidden]") }"#,
            ),
            ("a=ice-pwd:upNe+/x\r\na=x", "a=ice-pwd:[hidden]\r\na=x"),
            (
                r#"{\"apiKey\":\"k\",\"apiSecret\": \"s\"}"#,
                r#"{\"apiKey\":\"[hidden]\",\"apiSecret\": \"[hidden]\"}"#,
            ),
            ("x-api-key: k", "x-api-key: [hidden]"),
            (
                "401 Unauthorized - invalid API key: APIx7",
                "401 Unauthorized - invalid API key: [hidden]",
            ),
        ] {
            assert_eq!(scrub(text), clean);
        }
    }

    #[test]
    fn reasons_are_redacted_and_cut_on_a_character() {
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZ2VudCJ9.c2lnbmF0dXJl";
        let text = format!(
            "GET wss://host/rtc?access_token={jwt}&x=1 with my-secret-value,\nwhsec_QUJD+/=!"
        );
        assert_eq!(
            redact(&text, &["my-secret-value"]),
            "GET wss://host/rtc?access_token=[redacted]&x=1 with [redacted], [redacted]!"
        );
        let long = redact(&"é".repeat(2_000), &[]);
        assert_eq!(long.len(), MAX_REASON_BYTES);
        assert_eq!(redact("plain: a.b.c", &["", "a"]), "plain: a.b.c");
    }

    #[test]
    fn what_holds_no_credential_is_not_copied() {
        for text in [
            "",
            "nothing here",
            "the password is wrong",
            "credential: \"\"",
            "secrets",
        ] {
            assert!(
                matches!(scrub(text), Cow::Borrowed(same) if same == text),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_survives_redaction_with_a_token_in_it_or_longer_than_the_limit(text in ".{0,1500}", at in 0_usize..40) {
            let at = text.char_indices().nth(at).map_or(text.len(), |(at, _)| at);
            let mixed = format!("{}eyJaaaa.bbbb.cccc{}", &text[..at], &text[at..]);
            let clean = redact(&mixed, &[]);
            prop_assert!(clean.len() <= MAX_REASON_BYTES);
            prop_assert!(!clean.contains("eyJaaaa.bbbb"));
        }

        #[test]
        fn no_text_is_too_strange(text in ".*") {
            scrub(&text);
        }

        #[test]
        fn a_secret_never_stays(before in "[a-zß \"]{0,9}", after in "(, [a-z]{0,5})?") {
            let text = format!("{before}password=CANARY{after}");
            prop_assert!(!scrub(&text).contains("CANARY"));
        }
    }
}
