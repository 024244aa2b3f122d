//! What a webhook is answered: the bodies of docs/webhook-protocol.md §2, byte for byte, and the status of each refusal.
//! A refusal tells the network as little as its sender needs; the reason goes to the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error};

/// An HTTP answer; the content type is always JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: Arc<str>,
    /// `Retry-After` in seconds.
    pub retry_after_s: Option<u32>,
}

/// How an agent decided.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[serde(tag = "is")]
pub enum Decision {
    /// It takes the job.
    #[serde(rename_all = "camelCase")]
    Accepted {
        /// The identity to join with; absent = the token's.
        identity: Option<String>,
        /// The name to join with.
        name: Option<String>,
        /// The participant metadata to join with.
        metadata: Option<String>,
        /// The participant attributes to join with.
        attributes: Option<BTreeMap<String, String>>,
    },
    Rejected {
        /// Why, for the dispatcher's log.
        reason: Option<String>,
    },
    /// It asked for an identity that the token does not carry, and did not handle the error.
    IdentityMismatch,
    /// Its function threw or returned without a decision.
    Threw,
    /// It took too long.
    TimedOut,
    /// The agent closed meanwhile.
    Closing,
}

#[derive(Serialize)]
struct Accepted<'a> {
    accepted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    participant_identity: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    participant_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    participant_metadata: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    participant_attributes: Option<&'a BTreeMap<String, String>>,
}

#[derive(Serialize)]
struct Refused<'a> {
    accepted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

impl Answer {
    /// A repetition of an answer given before.
    pub fn repeated(body: Arc<str>) -> Self {
        Answer::ok(body)
    }

    /// The answer to a `terminated` notice, whose body nobody reads.
    pub fn noted() -> Self {
        Answer::ok("{}".into())
    }

    /// There is no room for another job: the dispatcher moves on to the next endpoint.
    pub fn full() -> Self {
        Answer::refused(200, Some("at capacity"))
    }

    /// The agent closes: the sender tries again, and meets its successor.
    pub fn closing() -> Self {
        Answer {
            retry_after_s: Some(1),
            ..Answer::refused(503, Some("the agent is closing"))
        }
    }

    /// The answer to a decision. `subject` is the identity in the job's token.
    pub fn of(decision: &Decision, subject: Option<&str>) -> Self {
        match decision {
            Decision::Accepted {
                identity,
                name,
                metadata,
                attributes,
            } => Answer::ok(text(&Accepted {
                accepted: true,
                participant_identity: identity.as_deref().or(subject),
                participant_name: name.as_deref(),
                participant_metadata: metadata.as_deref(),
                participant_attributes: attributes.as_ref(),
            })),
            Decision::Rejected { reason } => Answer::refused(200, reason.as_deref()),
            Decision::IdentityMismatch => Answer::refused(200, Some("identity mismatch")),
            Decision::Threw => Answer::refused(500, Some("Internal server error")),
            Decision::TimedOut => Answer {
                retry_after_s: Some(1),
                ..Answer::refused(503, Some("no decision in time"))
            },
            Decision::Closing => Answer::closing(),
        }
    }

    /// The answer to a request that cannot be taken. Every 401 is the same.
    pub fn refusal(error: &Error) -> Self {
        match error.code {
            Code::SignatureMissing | Code::SignatureInvalid | Code::TimestampOutOfTolerance => {
                Answer::refused(401, Some("Invalid signature"))
            }
            Code::BodyInvalid | Code::TokenMismatch => Answer::refused(400, Some(&error.message)),
            Code::BodyTooLarge => Answer::refused(413, Some("Body too large")),
            Code::WrongAgent => Answer::refused(403, Some("Wrong agent")),
            _ => Answer::refused(500, Some("Internal server error")),
        }
    }

    fn ok(body: Arc<str>) -> Self {
        Answer {
            status: 200,
            body,
            retry_after_s: None,
        }
    }

    fn refused(status: u16, error: Option<&str>) -> Self {
        Answer {
            status,
            body: text(&Refused {
                accepted: false,
                error,
            }),
            retry_after_s: None,
        }
    }
}

fn text(body: &impl Serialize) -> Arc<str> {
    serde_json::to_string(body)
        .expect("strings and maps of strings always serialise")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(json: &str) -> Decision {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn s1_08_an_acceptance_names_the_tokens_identity_and_only_what_was_said() {
        let plain = Answer::of(&decision(r#"{"is":"accepted"}"#), Some("agent-1"));
        assert_eq!(
            &*plain.body,
            r#"{"accepted":true,"participant_identity":"agent-1"}"#
        );
        let full = decision(
            r#"{"is":"accepted","name":"Ada","metadata":"{\"a\":1}","attributes":{"b":"2","a":"1"}}"#,
        );
        assert_eq!(
            &*Answer::of(&full, None).body,
            concat!(
                r#"{"accepted":true,"participant_name":"Ada","participant_metadata":"{\"a\":1}","#,
                r#""participant_attributes":{"a":"1","b":"2"}}"#
            )
        );
    }

    #[test]
    fn every_decision_has_its_answer() {
        for (json, status, body, retry_after_s) in [
            (r#"{"is":"rejected"}"#, 200, r#"{"accepted":false}"#, None),
            (
                r#"{"is":"rejected","reason":"busy"}"#,
                200,
                r#"{"accepted":false,"error":"busy"}"#,
                None,
            ),
            (
                r#"{"is":"identityMismatch"}"#,
                200,
                r#"{"accepted":false,"error":"identity mismatch"}"#,
                None,
            ),
            (
                r#"{"is":"threw"}"#,
                500,
                r#"{"accepted":false,"error":"Internal server error"}"#,
                None,
            ),
            (
                r#"{"is":"timedOut"}"#,
                503,
                r#"{"accepted":false,"error":"no decision in time"}"#,
                Some(1),
            ),
            (
                r#"{"is":"closing"}"#,
                503,
                r#"{"accepted":false,"error":"the agent is closing"}"#,
                Some(1),
            ),
        ] {
            let answer = Answer::of(&decision(json), Some("agent-1"));
            assert_eq!(
                (answer.status, &*answer.body, answer.retry_after_s),
                (status, body, retry_after_s)
            );
        }
    }

    #[test]
    fn every_refusal_has_its_status_and_all_401_are_one() {
        let answer = |code| Answer::refusal(&Error::new(code, "room.sid: expected a string"));
        let unauthorised = answer(Code::SignatureMissing);
        assert_eq!(unauthorised.status, 401);
        assert_eq!(unauthorised, answer(Code::SignatureInvalid));
        assert_eq!(unauthorised, answer(Code::TimestampOutOfTolerance));
        assert!(answer(Code::BodyInvalid).body.contains("room.sid"));
        for (code, status) in [
            (Code::BodyInvalid, 400),
            (Code::TokenMismatch, 400),
            (Code::WrongAgent, 403),
            (Code::BodyTooLarge, 413),
            (Code::RawBodyUnavailable, 500),
        ] {
            assert_eq!(answer(code).status, status);
        }
    }
}
