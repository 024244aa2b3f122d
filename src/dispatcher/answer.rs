//! What an endpoint's answer means for its delivery (docs/webhook-protocol.md §2).
//!
//! Decides the outcome of one attempt from what came back, or did not. It refuses to follow a redirect and to quote an
//! answer, except for its `error`, which the endpoint wrote for us to pass on.

use serde_json::{Map, Value};

use crate::dispatcher::machine::{cut_error, Outcome, Reading};
use crate::dispatcher::post::PostError;
use crate::net::http::Answer;
use crate::redact::redact;
use crate::retry::{parse_retry_after, Verdict};

/// How much of an endpoint's own words is passed on, in characters.
const MAX_SAID: usize = 200;

/// Judges one attempt; `identity` is the token's subject, `now_ms` is for a `Retry-After` that is a date.
pub fn judge(result: Result<Answer, PostError>, identity: &str, now_ms: i64) -> Outcome {
    let answer = match result {
        Ok(answer) => answer,
        Err(PostError::Net(error)) if error.retryable() => {
            return Outcome::Retry {
                in_doubt: !error.nothing_sent(),
                why: error.to_string(),
                retry_after_ms: None,
            };
        }
        Err(error) => {
            return Outcome::Permanent {
                why: error.to_string(),
                gone: false,
            };
        }
    };
    let why = refusal(&answer);
    match Verdict::of(answer.status) {
        Verdict::Answered => read(&answer, identity),
        Verdict::Retry => Outcome::Retry {
            why,
            retry_after_ms: answer
                .retry_after
                .and_then(|text| parse_retry_after(&text, now_ms)),
            // A proxy may be speaking: the agent behind it may have taken the job. 503 and 4xx say that nobody did.
            in_doubt: answer.status >= 500 && answer.status != 503,
        },
        Verdict::Gone => Outcome::Permanent { why, gone: true },
        Verdict::Redirect => Outcome::Permanent {
            why: format!("{why}, a redirect, which is never followed"),
            gone: false,
        },
        Verdict::Refused => Outcome::Permanent { why, gone: false },
    }
}

/// What a 2xx means. `accepted` is read by itself, so that no other field of an answer can turn a yes or a no around.
fn read(answer: &Answer, identity: &str) -> Outcome {
    let body = answer.body.as_deref();
    if body.is_some_and(|body| body.iter().all(u8::is_ascii_whitespace)) {
        let reading = Reading::Empty;
        return Outcome::Accepted { reading };
    }
    match body.map(serde_json::from_slice::<Map<String, Value>>) {
        Some(Ok(body)) if body.get("accepted") == Some(&Value::Bool(true)) => {
            let reading = other_fields(&body, identity);
            Outcome::Accepted { reading }
        }
        Some(Ok(body)) => Outcome::Rejected {
            reason: body.get("error").and_then(reason),
        },
        // An error page, or an answer that was cut: whoever wrote it may have taken the job.
        _ => Outcome::Retry {
            why: format!(
                "it answered {} without the JSON object that the protocol asks for",
                answer.status
            ),
            retry_after_ms: None,
            in_doubt: true,
        },
    }
}

/// What an endpoint answered instead of taking the job: its status, its own words, and where to look.
fn refusal(answer: &Answer) -> String {
    let body = answer.body.as_deref().unwrap_or_default();
    let body: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
    let mut why = format!("it answered {}", answer.status);
    if let Some(said) = body.get("error").and_then(reason) {
        let said: String = redact(&said, &[]).chars().take(MAX_SAID).collect();
        why.push_str(&format!(" ({said})"));
    }
    why.push_str(match answer.status {
        401 | 403 => "; compare its secret here with the agent's, and the two clocks",
        404 | 405 => "; compare the path of its URL with the agent's webhook",
        413 => "; it takes no body as large as this job's",
        _ => "",
    });
    why
}

/// An agent that names another identity than the token's joins under the token's all the same, because LiveKit looks at
/// nothing else. To send it away would start a second agent beside it.
fn other_fields(body: &Map<String, Value>, identity: &str) -> Reading {
    let is_text = |name| matches!(body.get(name), None | Some(Value::Null | Value::String(_)));
    let is_map = matches!(
        body.get("participant_attributes"),
        None | Some(Value::Null | Value::Object(_))
    );
    match body.get("participant_identity").and_then(Value::as_str) {
        Some(named) if !named.is_empty() && named != identity => Reading::OtherIdentity,
        _ if !is_map
            || ![
                "participant_identity",
                "participant_name",
                "participant_metadata",
            ]
            .into_iter()
            .all(is_text) =>
        {
            Reading::WrongFields
        }
        _ => Reading::Clear,
    }
}

/// Why not: a text, or what an error object says in its `message` or `code`.
fn reason(error: &Value) -> Option<String> {
    let text = match error {
        Value::Object(error) => ["message", "code"]
            .into_iter()
            .find_map(|key| error.get(key)?.as_str()),
        error => error.as_str(),
    };
    text.filter(|text| !text.is_empty()).map(cut_error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::http::NetError;
    use bytes::Bytes;

    fn answer(status: u16, body: &str, retry_after: Option<&str>) -> Outcome {
        judge(
            Ok(Answer {
                status,
                retry_after: retry_after.map(str::to_owned),
                body: Some(Bytes::from(body.to_owned())),
            }),
            "agent-1",
            0,
        )
    }

    fn clear() -> Outcome {
        let reading = Reading::Clear;
        Outcome::Accepted { reading }
    }

    fn empty() -> Outcome {
        let reading = Reading::Empty;
        Outcome::Accepted { reading }
    }

    fn no(reason: Option<&str>) -> Outcome {
        let reason = reason.map(str::to_owned);
        Outcome::Rejected { reason }
    }

    fn retry(why: &str, retry_after_ms: Option<u64>) -> Outcome {
        Outcome::Retry {
            why: why.to_owned(),
            retry_after_ms,
            in_doubt: false,
        }
    }

    fn doubtful(why: &str) -> Outcome {
        Outcome::Retry {
            why: why.to_owned(),
            retry_after_ms: None,
            in_doubt: true,
        }
    }

    fn permanent(why: &str, gone: bool) -> Outcome {
        Outcome::Permanent {
            why: why.to_owned(),
            gone,
        }
    }

    #[test]
    fn f_d15_each_answer_has_the_outcome_of_the_protocols_table() {
        for (status, body, outcome) in [
            (
                200,
                r#"{"accepted":true,"participant_identity":"agent-1"}"#,
                clear(),
            ),
            (204, "", empty()),
            (
                302,
                "",
                permanent(
                    "it answered 302, a redirect, which is never followed",
                    false,
                ),
            ),
            (400, "", permanent("it answered 400", false)),
            (
                401,
                r#"{"accepted":false,"error":"unauthorized"}"#,
                permanent("it answered 401 (unauthorized); compare its secret here with the agent's, and the two clocks", false),
            ),
            (
                404,
                "<html>",
                permanent("it answered 404; compare the path of its URL with the agent's webhook", false),
            ),
            (
                422,
                r#"{"error":{"code":"x","message":"no\u0000 eyJhbGciOiJIUzI1NiJ9.e30.c2ln"}}"#,
                permanent("it answered 422 (no  [redacted])", false),
            ),
            (410, "", permanent("it answered 410", true)),
            (413, "", permanent("it answered 413; it takes no body as large as this job's", false)),
            (408, "", retry("it answered 408", None)),
            (425, "", retry("it answered 425", None)),
            (429, "", retry("it answered 429", None)),
            (500, r#"{"accepted":false}"#, doubtful("it answered 500")),
            (502, "", doubtful("it answered 502")),
            (504, "", doubtful("it answered 504")),
            (503, "", retry("it answered 503", None)),
        ] {
            assert_eq!(answer(status, body, None), outcome, "{status} {body}");
        }
        assert_eq!(
            answer(429, "", Some("5")),
            retry("it answered 429", Some(5_000))
        );
        assert_eq!(answer(429, "", Some("-1")), retry("it answered 429", None));
    }

    #[test]
    fn f_d15_an_endpoints_own_words_are_cut() {
        let body = serde_json::json!({ "error": "x".repeat(5_000) }).to_string();
        let Outcome::Permanent { why, .. } = answer(400, &body, None) else {
            panic!("a permanent failure");
        };
        assert_eq!(why, format!("it answered 400 ({})", "x".repeat(MAX_SAID)));
    }

    #[test]
    fn another_identity_than_the_tokens_is_noticed_and_the_job_is_taken_all_the_same() {
        for (body, reading) in [
            (r#"{"accepted":true}"#, Reading::Clear),
            (
                r#"{"accepted":true,"participant_identity":null}"#,
                Reading::Clear,
            ),
            (
                r#"{"accepted":true,"participant_identity":""}"#,
                Reading::Clear,
            ),
            (
                r#"{"accepted":true,"participant_identity":"ai-agent-1"}"#,
                Reading::OtherIdentity,
            ),
            (
                r#"{"accepted":true,"participant_identity":7,"error":{}}"#,
                Reading::WrongFields,
            ),
            (
                r#"{"accepted":true,"participant_attributes":[]}"#,
                Reading::WrongFields,
            ),
        ] {
            assert_eq!(
                answer(200, body, None),
                Outcome::Accepted { reading },
                "{body}"
            );
        }
    }

    #[test]
    fn f_d7_an_answer_that_says_no_is_no_and_what_is_no_answer_is_asked_for_again() {
        const NONE: &str = "it answered 200 without the JSON object that the protocol asks for";
        for (body, outcome) in [
            (r#"{"accepted":false,"error":"busy"}"#, no(Some("busy"))),
            (r#"{"accepted":false}"#, no(None)),
            (
                r#"{"accepted":false,"error":{"code":"busy"}}"#,
                no(Some("busy")),
            ),
            (
                r#"{"accepted":false,"error":{"code":7,"message":"try later"}}"#,
                no(Some("try later")),
            ),
            (
                r#"{"accepted":false,"error":["x"],"participant_identity":7}"#,
                no(None),
            ),
            (r#"{"error":"busy"}"#, no(Some("busy"))),
            (r#"{"accepted":"yes"}"#, no(None)),
            (r#"{"accepted":1,"error":""}"#, no(None)),
            (r#"{"accepted":null}"#, no(None)),
            ("{}", no(None)),
            ("", empty()),
            (" \r\n", empty()),
            ("ok", doubtful(NONE)),
            ("true", doubtful(NONE)),
            ("null", doubtful(NONE)),
            ("[]", doubtful(NONE)),
            (r#"{"accepted":tr"#, doubtful(NONE)),
            ("<html>busy</html>", doubtful(NONE)),
            ("\u{1f}\u{8b}\u{8}", doubtful(NONE)),
        ] {
            assert_eq!(answer(200, body, None), outcome, "{body}");
        }
        let too_long = Answer {
            status: 200,
            retry_after: None,
            body: None,
        };
        assert_eq!(judge(Ok(too_long), "agent-1", 0), doubtful(NONE));
    }

    #[test]
    fn only_an_attempt_that_may_have_arrived_leaves_a_doubt() {
        for (error, doubt) in [
            (NetError::Connect("refused".to_owned()), false),
            (NetError::Tls("bad".to_owned()), false),
            (NetError::NotSent(10), false),
            (NetError::Timeout(10), true),
            (NetError::Broken("reset".to_owned()), true),
        ] {
            let outcome = judge(Err(error.into()), "agent-1", 0);
            assert!(
                matches!(outcome, Outcome::Retry { in_doubt, .. } if in_doubt == doubt),
                "{outcome:?}"
            );
        }
        assert!(matches!(
            judge(Err(NetError::Header.into()), "agent-1", 0),
            Outcome::Permanent { .. }
        ));
    }
}
