//! Cuts credentials out of texts that others wrote: signed tokens, and what follows the name of a password, a secret, a
//! key or a TURN credential. It knows nothing of rooms and identities: who logs such a text keeps its level low.

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

/// What every signed token begins with: `{"` in base64.
const TOKEN: &str = "eyJ";

/// The text without credentials; the same text when it has none.
pub fn scrub(text: &str) -> Cow<'_, str> {
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
            out.push_str("[hidden]");
        }
        at = at.max(to);
    }
    out.push_str(&text[at..]);
    Cow::Owned(out)
}

type Cut = (usize, usize);

fn tokens(text: &str) -> Vec<Cut> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.=".contains(letter);
    let ends = |from: usize| {
        text[from..]
            .find(|letter| !plain(letter))
            .map_or(text.len(), |length| from + length)
    };
    text.match_indices(TOKEN)
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
