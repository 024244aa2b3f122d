//! What an endpoint's answer means for its delivery (docs/webhook-protocol.md §2).
//!
//! Decides the outcome of one attempt from what came back, or did not. It refuses to follow a redirect and to quote an
//! answer, except for the reason of a rejection, which the endpoint wrote for us to pass on.

use serde::Deserialize;

use crate::dispatcher::machine::{cut_error, Outcome, Reading};
use crate::net::http::{Answer, NetError};
use crate::retry::{parse_retry_after, Verdict};

/// The part of the answer's body that decides.
#[derive(Deserialize)]
struct Body {
    accepted: bool,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    participant_identity: Option<String>,
}

/// Judges one attempt; `identity` is the token's subject, `now_ms` is for a `Retry-After` that is a date.
pub fn judge(result: Result<Answer, NetError>, identity: &str, now_ms: i64) -> Outcome {
    let answer = match result {
        Ok(answer) => answer,
        Err(error) if error.retryable() => {
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
    let why = format!("it answered {}", answer.status);
    match Verdict::of(answer.status) {
        Verdict::Answered => accepted(&answer, identity),
        Verdict::Retry => Outcome::Retry {
            why,
            retry_after_ms: answer
                .retry_after
                .and_then(|text| parse_retry_after(&text, now_ms)),
            in_doubt: false,
        },
        Verdict::Gone => Outcome::Permanent { why, gone: true },
        Verdict::Redirect => Outcome::Permanent {
            why: format!("{why}, a redirect, which is never followed"),
            gone: false,
        },
        Verdict::Refused => Outcome::Permanent { why, gone: false },
    }
}

/// An agent that names another identity than the token's joins under the token's all the same, because LiveKit looks at
/// nothing else. To send it away would start a second agent beside it.
fn accepted(answer: &Answer, identity: &str) -> Outcome {
    let body = answer.body.as_deref().map(serde_json::from_slice::<Body>);
    let reading = match body {
        Some(Ok(body)) if !body.accepted => {
            let reason = body.error.map(|text| cut_error(&text));
            return Outcome::Rejected {
                reason: reason.filter(|text| !text.is_empty()),
            };
        }
        Some(Ok(body)) => match body.participant_identity.as_deref() {
            Some(named) if !named.is_empty() && named != identity => Reading::OtherIdentity,
            _ => Reading::Clear,
        },
        _ => Reading::Unreadable,
    };
    Outcome::Accepted { reading }
}

#[cfg(test)]
mod tests {
    use super::*;
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

    fn unreadable() -> Outcome {
        let reading = Reading::Unreadable;
        Outcome::Accepted { reading }
    }

    fn retry(why: &str, retry_after_ms: Option<u64>) -> Outcome {
        Outcome::Retry {
            why: why.to_owned(),
            retry_after_ms,
            in_doubt: false,
        }
    }

    fn permanent(why: &str, gone: bool) -> Outcome {
        Outcome::Permanent {
            why: why.to_owned(),
            gone,
        }
    }

    #[test]
    fn each_answer_has_the_outcome_of_the_protocols_table() {
        for (status, body, outcome) in [
            (
                200,
                r#"{"accepted":true,"participant_identity":"agent-1"}"#,
                clear(),
            ),
            (204, "", unreadable()),
            (200, "ok", unreadable()),
            (200, "{}", unreadable()),
            (200, r#"{"accepted":"yes"}"#, unreadable()),
            (
                200,
                r#"{"accepted":false,"error":"busy"}"#,
                Outcome::Rejected {
                    reason: Some("busy".to_owned()),
                },
            ),
            (
                200,
                r#"{"accepted":false}"#,
                Outcome::Rejected { reason: None },
            ),
            (
                302,
                "",
                permanent(
                    "it answered 302, a redirect, which is never followed",
                    false,
                ),
            ),
            (400, "", permanent("it answered 400", false)),
            (401, "", permanent("it answered 401", false)),
            (404, "", permanent("it answered 404", false)),
            (410, "", permanent("it answered 410", true)),
            (413, "", permanent("it answered 413", false)),
            (408, "", retry("it answered 408", None)),
            (425, "", retry("it answered 425", None)),
            (429, "", retry("it answered 429", None)),
            (500, r#"{"accepted":false}"#, retry("it answered 500", None)),
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
                r#"{"accepted":true,"participant_identity":7}"#,
                Reading::Unreadable,
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
    fn an_answer_too_long_to_read_counts_as_taken() {
        let answer = Answer {
            status: 200,
            retry_after: None,
            body: None,
        };
        assert_eq!(judge(Ok(answer), "agent-1", 0), unreadable());
    }

    #[test]
    fn only_an_attempt_that_may_have_arrived_leaves_a_doubt() {
        for (error, doubt) in [
            (NetError::Connect("refused".to_owned()), false),
            (NetError::Tls("bad".to_owned()), false),
            (NetError::Timeout(10), true),
            (NetError::Broken("reset".to_owned()), true),
        ] {
            let outcome = judge(Err(error), "agent-1", 0);
            assert!(
                matches!(outcome, Outcome::Retry { in_doubt, .. } if in_doubt == doubt),
                "{outcome:?}"
            );
        }
        assert!(matches!(
            judge(Err(NetError::Header), "agent-1", 0),
            Outcome::Permanent { .. }
        ));
    }
}
