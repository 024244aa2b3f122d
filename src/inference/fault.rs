//! What the gateway says when it fails: in the body of an answer or of a refused upgrade, in an event of a stream, in a
//! message of a session. One reader and one judgement for all, so that what is tried again does not depend on the way a
//! failure came.
//!
//! **A code is an HTTP status only from 400 to 599**: sessions repeat a status there, and have codes of their own
//! elsewhere (2007: nothing was heard for too long; livekit/agents-js PR 2413). It refuses nothing: what it cannot read
//! is absent. A sentence of the gateway can repeat what it was asked, so it is for the caller's error, never for a log.

#![forbid(unsafe_code)]

use serde_json::Value;

use crate::inference::attempt::is_retryable_status;

/// The `type` of every quota error, spent credits and limits a minute alike (livekit/agents PR 6012).
const QUOTA: &str = "inference_quota_exceeded";

/// Quotas that come back with the next billing period (the same PR); all other categories are limits a minute or limits
/// of what runs at once.
const SPENT: [&str; 3] = ["MaxGatewayCredits", "MaxBargeInRequests", "MaxEotRequests"];

/// How the `code` or `type` begins of what is wrong with the request or the account itself, in OpenAI's and Anthropic's
/// words; it decides where no status does.
const FINAL: [&str; 9] = [
    "invalid_",
    "authentication_",
    "permission_",
    "not_found",
    "model_not_found",
    "request_too_large",
    "context_length_",
    "content_",
    "unsupported_",
];

/// Spent credit in OpenAI's words, sent with 429 like a rate limit.
const NO_CREDIT: [&str; 3] = [
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
];

/// A failure that the gateway told of. A field that it did not send is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// The HTTP status; of a message, its code if that is one.
    pub status: Option<u16>,
    /// `type`, such as `inference_quota_exceeded`.
    pub kind: Option<String>,
    pub code: Option<String>,
    /// The quota that was passed, such as `MaxGatewayCredits`.
    pub category: Option<String>,
    /// What it is a quota of: `llm`, `stt`, `tts`, `bargein`, `eot`.
    pub quota_type: Option<String>,
    pub remaining_limit: Option<String>,
    /// What to do, in the gateway's words.
    pub hint: Option<String>,
    /// What happened, in the gateway's words.
    pub message: Option<String>,
    /// Whether the same request can succeed later.
    pub retryable: bool,
}

/// Reads what the gateway said, and judges it. `status` is that of the answer, `None` for what came inside a good one.
pub fn read(status: Option<u16>, body: &str) -> Fault {
    let parsed = serde_json::from_str(body).unwrap_or(Value::Null);
    // Google's compatible endpoint wraps the object in an array.
    let root = parsed.get(0).unwrap_or(&parsed);
    let error = root.get("error").unwrap_or(&Value::Null);
    let find = |name: &str| word(error.get(name)).or_else(|| word(root.get(name)));
    let message = word(error.get("message"))
        .or_else(|| word(Some(error)))
        .or_else(|| word(root.get("message")))
        .or_else(|| word(root.get("detail")))
        .or_else(|| plain(root, body));
    let code = find("code").filter(|code| code != "0");
    let number = code.as_deref().and_then(|code| code.parse::<i64>().ok());
    let said = number.and_then(|code| u16::try_from(code).ok());
    let mut fault = Fault {
        status: status.or(said.filter(|code| (400..600).contains(code))),
        // The type of a session's message says only that it is an error.
        kind: find("type").filter(|kind| kind != "error"),
        category: find("category").or_else(|| category_in(message.as_deref()?)),
        quota_type: find("quota_type"),
        remaining_limit: find("remaining_limit"),
        hint: find("hint"),
        message,
        retryable: false,
        code,
    };
    fault.retryable = fault.heals(number.is_some());
    fault
}

impl Fault {
    fn heals(&self, has_number: bool) -> bool {
        let words: Vec<&str> = [self.kind.as_deref(), self.code.as_deref()]
            .into_iter()
            .flatten()
            .collect();
        let spent = (self.category.as_deref()).is_some_and(|name| SPENT.contains(&name));
        if spent || words.iter().any(|word| NO_CREDIT.contains(word)) {
            return false;
        }
        if let Some(status) = self.status {
            return is_retryable_status(status);
        }
        let is_final = |word: &&str| FINAL.iter().any(|start| word.starts_with(start));
        // A number of the gateway's own is its last word: nothing tells that asking again would change it.
        words.contains(&QUOTA) || !has_number && !words.iter().any(is_final)
    }
}

fn word(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// An answer that is no JSON and no page is a sentence.
fn plain(root: &Value, body: &str) -> Option<String> {
    let text = body.trim();
    (root.is_null() && !text.is_empty() && !text.starts_with(['<', '{', '[']) && text != "null")
        .then(|| text.to_owned())
}

/// Some services only write it into the sentence: `… exceeded, category: MaxGatewayCredits, remaining_limit: 0`.
fn category_in(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("category: ")?;
    let end = rest
        .find(|letter: char| !letter.is_ascii_alphanumeric())
        .unwrap_or(rest.len());
    (end > 0).then(|| rest[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn heals(status: Option<u16>, body: &str) -> bool {
        read(status, body).retryable
    }

    #[test]
    fn f_a1_what_waiting_cannot_cure_is_final_in_every_envelope_and_a_rate_limit_is_not() {
        for (category, retryable) in [
            ("MaxGatewayCredits", false),
            ("MaxBargeInRequests", false),
            ("MaxEotRequests", false),
            ("MaxConcurrentGatewayLLMRpm", true),
            ("MaxConcurrentGatewayLLMTpm", true),
            ("MaxConcurrentGatewaySTT", true),
            ("", true),
        ] {
            let quota = format!(
                r#"{{"error":"x","type":"{QUOTA}","category":"{category}","quota_type":"llm","remaining_limit":0,"hint":"upgrade"}}"#
            );
            let session = format!(
                r#"{{"type":"error","code":429,"message":"exceeded, category: {category}, remaining_limit: 0"}}"#
            );
            for status in [Some(429), Some(503), None] {
                assert_eq!(heals(status, &quota), retryable, "{category} {status:?}");
                assert_eq!(
                    heals(status, &format!(r#"{{"type":"error","error":{quota}}}"#)),
                    retryable,
                    "{category} {status:?}"
                );
                assert_eq!(heals(status, &session), retryable, "{category} {status:?}");
            }
        }
        let fault = read(
            Some(429),
            r#"{"error":"x","type":"inference_quota_exceeded","category":"MaxGatewayCredits","quota_type":"llm","remaining_limit":"0","hint":"Upgrade."}"#,
        );
        assert_eq!(fault.kind.as_deref(), Some(QUOTA));
        assert_eq!(fault.category.as_deref(), Some("MaxGatewayCredits"));
        assert_eq!(fault.quota_type.as_deref(), Some("llm"));
        assert_eq!(fault.remaining_limit.as_deref(), Some("0"));
        assert_eq!(fault.hint.as_deref(), Some("Upgrade."));
        assert_eq!(fault.message.as_deref(), Some("x"));
        assert!(!heals(
            Some(429),
            r#"{"error":{"code":"insufficient_quota","type":"insufficient_quota"}}"#
        ));
    }

    #[test]
    fn f_a2_a_code_is_a_status_from_400_to_599_and_else_the_last_word() {
        let said = |code: &str| read(None, &format!(r#"{{"type":"error","code":{code}}}"#));
        for (code, status, retryable) in [
            ("2007", None, false),
            ("1011", None, false),
            ("-1", None, false),
            ("99999999999", None, false),
            ("400", Some(400), false),
            ("\"403\"", Some(403), false),
            ("429", Some(429), true),
            ("503", Some(503), true),
            ("0", None, true),
            ("null", None, true),
            ("\"overloaded\"", None, true),
            ("\"invalid_api_key\"", None, false),
            ("\"context_length_exceeded\"", None, false),
        ] {
            let fault = said(code);
            assert_eq!(
                (fault.status, fault.retryable),
                (status, retryable),
                "{code}"
            );
        }
        assert_eq!(said("2007").code.as_deref(), Some("2007"));
    }

    #[test]
    fn the_status_of_an_answer_decides_whatever_its_code_says() {
        assert!(heals(Some(503), r#"{"error":{"code":400}}"#));
        assert!(!heals(Some(400), r#"{"error":{"code":503}}"#));
        assert!(heals(Some(500), "<html>"));
        assert!(!heals(Some(404), ""));
    }

    #[test]
    fn f_a6_the_sentence_is_found_wherever_it_stands() {
        let sentence = |body: &str| read(Some(400), body).message;
        for body in [
            r#"{"error":{"message":"no such model"}}"#,
            r#"{"error":"no such model"}"#,
            r#"{"message":"no such model"}"#,
            r#"{"detail":" no such model "}"#,
            r#"[{"error":{"message":"no such model"}}]"#,
            "no such model\n",
        ] {
            assert_eq!(sentence(body).as_deref(), Some("no such model"), "{body}");
        }
        for body in [
            "",
            "null",
            "<html>busy</html>",
            "[]",
            "{}",
            "{\"error\":{}}",
        ] {
            assert_eq!(sentence(body), None, "{body}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_judged_without_a_panic(status in prop::option::of(0u16..1000), body in "\\PC*") {
            let fault = read(status, &body);
            prop_assert!(status.is_none() || fault.status == status);
        }
    }
}
