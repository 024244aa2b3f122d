//! What an endpoint's answer means for its delivery (docs/webhook-protocol.md §2).
//!
//! Decides the outcome of one attempt from what came back, or did not. It refuses to follow a redirect and to quote an
//! answer, except for the reason of a rejection, which the endpoint wrote for us to pass on.

use serde::Deserialize;

use crate::dispatcher::machine::cut_error;
use crate::dispatcher::machine::Outcome;
use crate::net::http::Answer;
use crate::net::http::NetError;
use crate::retry::parse_retry_after;
use crate::retry::Verdict;

/// The part of the answer's body that decides.
#[derive(Deserialize)]
struct Body {
    accepted: bool,
    #[serde(default)]
    error: Option<String>,
}

/// Judges one attempt; `now_ms` is for a `Retry-After` that is a date.
pub fn judge(result: Result<Answer, NetError>, now_ms: i64) -> Outcome {
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
        Verdict::Answered => accepted(&answer),
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

fn accepted(answer: &Answer) -> Outcome {
    let body = answer.body.as_deref().map(serde_json::from_slice::<Body>);
    match body {
        Some(Ok(Body { accepted: true, .. })) => Outcome::Accepted { parsed: true },
        Some(Ok(Body { error, .. })) => Outcome::Rejected {
            reason: error
                .map(|text| cut_error(&text))
                .filter(|text| !text.is_empty()),
        },
        _ => Outcome::Accepted { parsed: false },
    }
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
            0,
        )
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
                r#"{"accepted":true,"participant_identity":"x"}"#,
                Outcome::Accepted { parsed: true },
            ),
            (204, "", Outcome::Accepted { parsed: false }),
            (200, "ok", Outcome::Accepted { parsed: false }),
            (200, "{}", Outcome::Accepted { parsed: false }),
            (
                200,
                r#"{"accepted":"yes"}"#,
                Outcome::Accepted { parsed: false },
            ),
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
    fn an_answer_too_long_to_read_counts_as_taken() {
        let answer = Answer {
            status: 200,
            retry_after: None,
            body: None,
        };
        assert_eq!(judge(Ok(answer), 0), Outcome::Accepted { parsed: false });
    }

    #[test]
    fn only_an_attempt_that_may_have_arrived_leaves_a_doubt() {
        for (error, doubt) in [
            (NetError::Connect("refused".to_owned()), false),
            (NetError::Tls("bad".to_owned()), false),
            (NetError::Timeout(10), true),
            (NetError::Broken("reset".to_owned()), true),
        ] {
            let outcome = judge(Err(error), 0);
            assert!(
                matches!(outcome, Outcome::Retry { in_doubt, .. } if in_doubt == doubt),
                "{outcome:?}"
            );
        }
        assert!(matches!(
            judge(Err(NetError::Header), 0),
            Outcome::Permanent { .. }
        ));
    }
}
