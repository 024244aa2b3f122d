//! The shared vectors of tests/vectors/webhook.json, and what they are good for beyond themselves.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::id::Secret;
use crate::secret::{SecretOptions, Secrets};

mod properties;

#[derive(Deserialize)]
struct Vectors {
    secret: String,
    signatures: Vec<SignatureVector>,
    signing: Vec<SigningVector>,
    verdicts: Vec<Verdict>,
}

#[derive(Deserialize)]
struct SignatureVector {
    name: String,
    body: String,
    signature: String,
}

#[derive(Deserialize)]
struct SigningVector {
    secrets: Vec<String>,
    id: String,
    timestamp: i64,
    body: String,
    headers: std::collections::BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct VectorSecret {
    secret: String,
    not_after_ms: Option<i64>,
}

#[derive(Deserialize)]
struct VectorOptions {
    secrets: Vec<VectorSecret>,
    agent_name: Option<String>,
    scheme: Option<String>,
}

#[derive(Deserialize)]
struct Verdict {
    name: String,
    options: VectorOptions,
    now_ms: i64,
    headers: Vec<(String, String)>,
    body: Option<String>,
    body_base64: Option<String>,
    code: Option<String>,
    message: Option<String>,
    expect: Option<Value>,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../../tests/vectors/webhook.json")).unwrap()
}

fn secrets(values: &[&str]) -> Vec<SecretOptions> {
    values
        .iter()
        .map(|value| SecretOptions::new(*value))
        .collect()
}

fn verifier(options: &VectorOptions) -> Verifier {
    let secrets = options.secrets.iter().map(|secret| SecretOptions {
        value: Secret::new(secret.secret.clone()),
        not_after_ms: secret.not_after_ms,
    });
    Verifier::new(VerifierOptions {
        scheme: match options.scheme.as_deref() {
            Some("standard") => Scheme::Standard,
            _ => Scheme::LiveKit,
        },
        agent_name: options.agent_name.clone(),
        ..VerifierOptions::new(secrets.collect())
    })
    .unwrap()
}

/// What was read, in the shape of the vectors' `expect`.
fn seen(notification: &Notification) -> Value {
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let mut seen = serde_json::json!({
        "event": notification.event,
        "job_id": notification.job_id.as_str(),
        "dispatch_id": text(notification.dispatch_id.as_str()),
        "job_type": notification.job_type.map(|job_type| job_type.as_str()),
        "agent_name": notification.agent_name,
        "room_sid": notification.room.sid.as_str(),
        "room_name": notification.room.name.0,
        "created_at": notification.room.created_at_s,
        "metadata": notification.metadata.0,
        "attributes": notification.attributes.0,
        "participant_identity": notification.participant_identity.as_ref().map(|identity| &identity.0),
        "server_url": notification.server_url,
        "status_url": notification.status_url,
        "status_token": notification.status_token.as_ref().map(Secret::expose),
        "access_token": notification.access_token.as_ref().map(Secret::expose),
        "attempt": notification.attempt,
        "deadline_ms": notification.deadline_ms,
        "timestamp": notification.timestamp_s,
    });
    if let Some(participant) = &notification.participant {
        seen["participant"] = serde_json::json!({
            "sid": participant.sid.as_str(),
            "identity": participant.identity.0,
            "name": participant.name.0,
            "kind": text(&participant.kind),
            "metadata": participant.metadata.0,
            "attributes": participant.attributes.0,
        });
    }
    if let Some(reason) = &notification.reason {
        seen["reason"] = reason.as_str().into();
    }
    seen
}

#[test]
fn s1_01_the_protocols_signature_vectors_hold() {
    let vectors = vectors();
    let secrets = Secrets::new(&secrets(&[&vectors.secret])).unwrap();
    for vector in vectors.signatures {
        let signed = sign(&secrets, vector.body.as_bytes(), "D_1", 1).unwrap();
        let signature = signed.iter().next().unwrap();
        assert_eq!(
            signature,
            (HEADER_SIGNATURE, &*vector.signature),
            "{}",
            vector.name
        );
    }
}

#[test]
fn signing_gives_the_vectors_headers() {
    for vector in vectors().signing {
        let values: Vec<&str> = vector.secrets.iter().map(String::as_str).collect();
        let secrets = Secrets::new(&secrets(&values)).unwrap();
        let signed = sign(
            &secrets,
            vector.body.as_bytes(),
            &vector.id,
            vector.timestamp,
        )
        .unwrap();
        let headers = signed
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(
            headers.collect::<std::collections::BTreeMap<_, _>>(),
            vector.headers
        );
    }
}

#[test]
fn every_vector_gets_its_verdict() {
    let vectors = vectors();
    assert!(vectors.verdicts.len() > 100);
    for vector in vectors.verdicts {
        let body = match (&vector.body, &vector.body_base64) {
            (Some(body), _) => body.clone().into_bytes(),
            (None, Some(encoded)) => STANDARD.decode(encoded).unwrap(),
            (None, None) => panic!("{}: no body", vector.name),
        };
        let lines = vector
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let result =
            verifier(&vector.options).verify(&Headers::from_lines(lines), &body, vector.now_ms);
        let code = result.as_ref().err().map(|error| error.code().as_str());
        assert_eq!(code, vector.code.as_deref(), "{}: {result:?}", vector.name);
        if let (Err(error), Some(part)) = (&result, &vector.message) {
            assert!(error.to_string().contains(part), "{}: {error}", vector.name);
        }
        if let (Ok(notification), Some(expected)) = (&result, &vector.expect) {
            assert_eq!(&seen(notification), expected, "{}", vector.name);
        }
    }
}

/// The first vector: a complete job, its verifier, its signature.
fn complete_job() -> (Verifier, Vec<u8>, String, i64) {
    let first = vectors().verdicts.swap_remove(0);
    let signature = first.headers[0].1.clone();
    let body = first.body.unwrap().into_bytes();
    (verifier(&first.options), body, signature, first.now_ms)
}

fn refuses(verifier: &Verifier, signature: &str, body: &[u8], now_ms: i64) -> Option<WebhookError> {
    let headers = Headers {
        signature: Line::One(signature),
        ..Headers::default()
    };
    verifier.verify(&headers, body, now_ms).err()
}

#[test]
fn s1_01_every_single_bit_of_the_body_counts() {
    let (verifier, mut body, signature, now_ms) = complete_job();
    assert_eq!(refuses(&verifier, &signature, &body, now_ms), None);
    for bit in 0..body.len() * 8 {
        body[bit / 8] ^= 1 << (bit % 8);
        let error = refuses(&verifier, &signature, &body, now_ms);
        assert_eq!(error, Some(WebhookError::SignatureMismatch), "bit {bit}");
        body[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn s1_01_every_single_bit_of_the_signature_and_the_secret_counts() {
    let (verifier, body, signature, now_ms) = complete_job();
    let mut digest = hex::decode(&signature).unwrap();
    for bit in 0..digest.len() * 8 {
        digest[bit / 8] ^= 1 << (bit % 8);
        let error = refuses(&verifier, &hex::encode(&digest), &body, now_ms);
        assert_eq!(error, Some(WebhookError::SignatureMismatch), "bit {bit}");
        digest[bit / 8] ^= 1 << (bit % 8);
    }
    let secret = vectors().secret.into_bytes();
    for bit in 0..secret.len() * 8 {
        let mut changed = secret.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let encoded = format!("whsec_{}", STANDARD.encode(changed));
        let other = Verifier::new(VerifierOptions::new(secrets(&[&encoded]))).unwrap();
        let error = refuses(&other, &signature, &body, now_ms);
        assert_eq!(error, Some(WebhookError::SignatureMismatch), "bit {bit}");
    }
}

#[test]
fn s1_06_options_that_make_no_sense_are_construction_errors_that_name_the_field() {
    let good = VerifierOptions::new(secrets(&["your-webhook-secret"]));
    for (options, field) in [
        (
            VerifierOptions {
                secrets: vec![],
                ..good.clone()
            },
            "secrets ",
        ),
        (
            VerifierOptions {
                tolerance_s: 0,
                ..good.clone()
            },
            "tolerance_s:",
        ),
        (
            VerifierOptions {
                max_body_bytes: 0,
                ..good.clone()
            },
            "max_body_bytes:",
        ),
    ] {
        let error = Verifier::new(options).unwrap_err();
        assert_eq!(error.code(), crate::error::Code::ConfigInvalid);
        assert!(error.to_string().starts_with(field), "{error}");
    }
}

#[test]
fn s1_17_a_body_over_the_limit_is_refused_before_its_mac_is_computed() {
    let (verifier, _, _, now_ms) = complete_job();
    let error = refuses(
        &verifier,
        "not even a signature",
        &vec![b' '; 4 * 1024 * 1024 + 1],
        now_ms,
    );
    assert_eq!(
        error,
        Some(WebhookError::BodyTooLarge {
            limit: 4_194_304,
            found: 4_194_305
        })
    );
}

#[test]
fn s1_11_the_idempotency_key_tells_participants_and_events_apart() {
    let (verifier, body, signature, now_ms) = complete_job();
    let headers = Headers {
        signature: Line::One(&signature),
        ..Headers::default()
    };
    let job = verifier.verify(&headers, &body, now_ms).unwrap();
    let mut offer = job.clone();
    offer.event = Event::Offer;
    assert_eq!(job.idempotency_key(), job.clone().idempotency_key());
    assert_ne!(job.idempotency_key(), offer.idempotency_key());
    let participant = |sid: &str| {
        let mut job = job.clone();
        job.participant = Some(Participant {
            sid: sid.into(),
            identity: crate::id::Pii("ada".to_owned()),
            name: crate::id::Pii(String::new()),
            kind: String::new(),
            metadata: crate::id::Pii(String::new()),
            attributes: crate::id::Pii(Default::default()),
        });
        job.idempotency_key()
    };
    assert_ne!(participant("PA_1"), participant("PA_2"));
}

#[test]
fn s1_20_neither_a_notification_nor_an_error_prints_what_is_confidential() {
    let mut printed = String::new();
    let mut confidential = vec![vectors().secret];
    for vector in vectors().verdicts {
        let body = vector.body.unwrap_or_default();
        let lines = vector
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let verifier = verifier(&vector.options);
        let result = verifier.verify(&Headers::from_lines(lines), body.as_bytes(), vector.now_ms);
        printed += &format!("{verifier:?} {result:?}");
        if let Err(error) = result {
            printed += &format!("{error} {}", crate::error::Error::from(error.clone()));
        }
        confidential.extend(
            vector
                .headers
                .into_iter()
                .filter(|line| line.1.len() > 60)
                .map(|line| line.1),
        );
    }
    confidential.extend(
        [
            "eyJ",
            "lobby",
            "agent-AJ_1",
            "\"ada\"",
            "st_1",
            "greeter\\\"",
        ]
        .map(str::to_owned),
    );
    for word in confidential {
        assert!(!printed.contains(&word), "{word}");
    }
}
