//! Webhook verification and signing for JavaScript. One synchronous call judges the received bytes and gives what they
//! say as JSON text; building the object here, property by property, would cost more than all the rest.

use napi::bindgen_prelude::External;
use napi_derive::napi;

use crate::clock::{Clock, SystemClock};
use crate::error::Error;
use crate::node::agent::{secret_options, NativeAgentSecret};
use crate::node::convert;
use crate::node::error::throw;
use crate::secret::Secrets;
use crate::webhook;
use crate::webhook::{Headers, Line, Notification, Scheme, Verifier, VerifierOptions};

const DAY_S: i64 = 24 * 60 * 60;
const MAX_SECONDS: i64 = convert::MAX_SAFE_INTEGER / 1_000;

const MAX_BODY_BYTES: i64 = 1 << 30;

/// The options of a verifier, complete.
#[napi(object)]
pub struct NativeWebhookVerifierOptions {
    /// 1 to 3 secrets, newest first.
    pub secrets: Vec<NativeAgentSecret>,
    /// Whether the Standard Webhooks headers carry the signature.
    pub standard_scheme: bool,
    /// The agent's name.
    pub name: Option<String>,
    /// Freshness window in seconds, both ways.
    pub tolerance_s: f64,
    /// The largest body.
    pub max_body_bytes: f64,
    /// Epoch milliseconds to judge by; absent = the machine's clock.
    pub now_ms: Option<f64>,
}

/// A verifier whose keys are prepared. JavaScript holds it as an opaque value, which is cheaper to pass than a class.
pub struct NativeVerifier {
    verifier: Verifier,
    standard: bool,
    now_ms: Option<i64>,
}

/// Checks the options and prepares the keys.
#[napi(catch_unwind)]
pub fn native_webhook_verifier(
    options: NativeWebhookVerifierOptions,
) -> napi::Result<External<NativeVerifier>> {
    verifier(options).map(External::new).map_err(throw)
}

/// How many of a verifier's secrets are shorter than is good.
#[napi(catch_unwind)]
pub fn native_weak_webhook_secrets(verifier: &External<NativeVerifier>) -> u32 {
    u32::try_from(verifier.verifier.weak_secrets()).unwrap_or(u32::MAX)
}

/// Verifies a body against the scheme's headers: each header's lines joined with line feeds, an absent one empty; `id`
/// counts only in the standard scheme. Returns the notification as JSON.
#[napi(catch_unwind)]
pub fn native_verify_webhook(
    verifier: &External<NativeVerifier>,
    body: &[u8],
    signature: String,
    timestamp: String,
    id: Option<String>,
) -> napi::Result<String> {
    verifier
        .check(
            body,
            &signature,
            &timestamp,
            id.as_deref().unwrap_or_default(),
        )
        .and_then(|notification| convert::json(&notification))
        .map_err(throw)
}

impl NativeVerifier {
    fn check(
        &self,
        body: &[u8],
        signature: &str,
        timestamp: &str,
        id: &str,
    ) -> Result<Notification, Error> {
        let (signature, timestamp) = (Line::joined(signature), Line::joined(timestamp));
        let headers = if self.standard {
            Headers {
                id: Line::joined(id),
                standard_timestamp: timestamp,
                standard_signature: signature,
                ..Headers::default()
            }
        } else {
            Headers {
                signature,
                timestamp,
                ..Headers::default()
            }
        };
        let now_ms = self.now_ms.unwrap_or_else(|| SystemClock.now_ms());
        Ok(self.verifier.verify(&headers, body, now_ms)?)
    }
}

fn verifier(options: NativeWebhookVerifierOptions) -> Result<NativeVerifier, Error> {
    let standard = options.standard_scheme;
    let verifier = Verifier::new(VerifierOptions {
        secrets: secret_options(options.secrets)?,
        scheme: if standard {
            Scheme::Standard
        } else {
            Scheme::LiveKit
        },
        agent_name: options.name,
        tolerance_s: convert::integer(options.tolerance_s, "clockToleranceS", 1..=DAY_S)?,
        max_body_bytes: convert::integer(
            options.max_body_bytes,
            "maxBodyBytes",
            1..=MAX_BODY_BYTES,
        )?,
    })?;
    Ok(NativeVerifier {
        verifier,
        standard,
        now_ms: options
            .now_ms
            .map(|now_ms| convert::integer(now_ms, "now", 0..=convert::MAX_SAFE_INTEGER))
            .transpose()?,
    })
}

/// Signs a body; returns the five header names and values in turn.
#[napi(catch_unwind)]
pub fn native_sign_webhook(
    body: &[u8],
    given: Vec<NativeAgentSecret>,
    id: String,
    timestamp_s: f64,
) -> napi::Result<Vec<String>> {
    sign(body, given, &id, timestamp_s).map_err(throw)
}

fn sign(
    body: &[u8],
    given: Vec<NativeAgentSecret>,
    id: &str,
    timestamp_s: f64,
) -> Result<Vec<String>, Error> {
    let timestamp_s = convert::integer(timestamp_s, "timestamp", 0..=MAX_SECONDS)?;
    let signed = webhook::sign(
        &Secrets::new(&secret_options(given)?)?,
        body,
        id,
        timestamp_s,
    )?;
    let headers = signed.iter();
    Ok(headers
        .flat_map(|(name, value)| [name.to_owned(), value.to_owned()])
        .collect())
}
