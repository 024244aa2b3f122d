//! The receiver's checks in the order of docs/webhook-protocol.md §5: size, MAC over the received bytes, strict JSON,
//! schema, freshness, agent name, token. Time is an argument. It remembers nothing: duplicates, capacity and the answer
//! are the receiver's.
//!
//! **Nothing of a body is looked at before its MAC has matched.**

use crate::json::{read_object, Json, Object};
use crate::secret::{SecretOptions, Secrets};
use crate::token::Claims;
use crate::webhook::error::WebhookError;
use crate::webhook::headers;
use crate::webhook::headers::{Headers, Line};
use crate::webhook::notification::Notification;
use crate::webhook::signature::Digests;

/// How far the signed timestamp may be from the receiver's clock, either way, unless configured.
pub const DEFAULT_TOLERANCE_S: u32 = 300;
/// The largest body, unless configured: 4 MiB. LiveKit allows 512 KiB a metadata field, and escaping doubles quotes.
pub const DEFAULT_MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// Which headers carry the signature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    /// `X-LiveKit-Signature`, and `X-LiveKit-Timestamp` if it is there.
    #[default]
    LiveKit,
    /// `webhook-id`, `webhook-timestamp` and `webhook-signature` of Standard Webhooks.
    Standard,
}

/// What a verifier is made of.
#[derive(Clone, Debug)]
pub struct VerifierOptions {
    /// 1 to 3 secrets, newest first.
    pub secrets: Vec<SecretOptions>,
    /// Which headers carry the signature.
    pub scheme: Scheme,
    /// This agent's name. A webhook for another name is refused; one that names none is taken.
    pub agent_name: Option<String>,
    /// How far the signed timestamp may be off, in seconds, at least 1.
    pub tolerance_s: u32,
    /// The largest body, at least 1.
    pub max_body_bytes: usize,
}

impl VerifierOptions {
    /// The protocol's defaults with these secrets.
    pub fn new(secrets: Vec<SecretOptions>) -> Self {
        VerifierOptions {
            secrets,
            scheme: Scheme::LiveKit,
            agent_name: None,
            tolerance_s: DEFAULT_TOLERANCE_S,
            max_body_bytes: DEFAULT_MAX_BODY_BYTES,
        }
    }
}

/// Verifies webhooks for one agent.
#[derive(Clone, Debug)]
pub struct Verifier {
    secrets: Secrets,
    scheme: Scheme,
    agent_name: Option<String>,
    tolerance_s: i64,
    max_body_bytes: usize,
}

impl Verifier {
    /// Checks the options and prepares the keys.
    pub fn new(options: VerifierOptions) -> Result<Verifier, WebhookError> {
        if options.tolerance_s == 0 || options.max_body_bytes == 0 {
            return Err(WebhookError::Config {
                path: if options.tolerance_s == 0 {
                    "tolerance_s"
                } else {
                    "max_body_bytes"
                }
                .to_owned(),
                expected: "at least 1",
                found: "0".to_owned(),
            });
        }
        Ok(Verifier {
            secrets: Secrets::new(&options.secrets)?,
            scheme: options.scheme,
            agent_name: options.agent_name,
            tolerance_s: options.tolerance_s.into(),
            max_body_bytes: options.max_body_bytes,
        })
    }

    /// How many secrets are shorter than is good; worth a warning.
    pub fn weak_secrets(&self) -> usize {
        self.secrets.weak()
    }

    /// The largest body that is looked at, in bytes.
    pub fn max_body_bytes(&self) -> usize {
        self.max_body_bytes
    }

    /// Verifies a webhook and reads it. `now_ms` is the time since the Unix epoch.
    pub fn verify(
        &self,
        headers: &Headers<'_>,
        body: &[u8],
        now_ms: i64,
    ) -> Result<Notification, WebhookError> {
        if body.len() > self.max_body_bytes {
            return Err(WebhookError::BodyTooLarge {
                limit: self.max_body_bytes,
                found: body.len(),
            });
        }
        let sent = self.check_mac(headers, body, now_ms)?;
        let text = std::str::from_utf8(body).map_err(|_| WebhookError::NotUtf8)?;
        let object = read_object(text)?;
        let timestamp = timestamp_of(&object);
        let mut notification = Notification::read(&object, *timestamp.as_ref().unwrap_or(&0))?;
        let now_s = now_ms.div_euclid(1_000);
        self.check_time(timestamp?, sent, now_s)?;
        self.check_name(&notification)?;
        if let Some(claims) = check_token(&notification, now_s)? {
            notification.participant_identity = Some(claims.subject.clone());
            notification.claims = Some(claims);
        }
        Ok(notification)
    }

    /// Checks the MAC and returns the timestamp header, which the MAC of the LiveKit scheme does not cover.
    fn check_mac<'h>(
        &self,
        headers: &Headers<'h>,
        body: &[u8],
        now_ms: i64,
    ) -> Result<Option<TimestampHeader<'h>>, WebhookError> {
        let macs = self.secrets.macs(now_ms);
        let (matches, sent) = match self.scheme {
            Scheme::LiveKit => {
                let header = one(headers::HEADER_SIGNATURE, headers.signature)?;
                let digests = Digests::from_hex(header)
                    .ok_or(WebhookError::SignatureMalformed(headers::HEADER_SIGNATURE))?;
                let sent = match headers.timestamp {
                    Line::Absent => None,
                    line => Some((headers::HEADER_TIMESTAMP, line)),
                };
                (digests.match_any(macs, &[body]), sent)
            }
            Scheme::Standard => {
                let id = one(headers::HEADER_ID, headers.id)?;
                let at = one(
                    headers::HEADER_STANDARD_TIMESTAMP,
                    headers.standard_timestamp,
                )?;
                let header = one(
                    headers::HEADER_STANDARD_SIGNATURE,
                    headers.standard_signature,
                )?;
                let digests = Digests::from_standard(header).ok_or(
                    WebhookError::SignatureMalformed(headers::HEADER_STANDARD_SIGNATURE),
                )?;
                let parts = [id.as_bytes(), b".", at.as_bytes(), b".", body];
                let sent = (headers::HEADER_STANDARD_TIMESTAMP, Line::One(at));
                (digests.match_any(macs, &parts), Some(sent))
            }
        };
        if !matches {
            return Err(WebhookError::SignatureMismatch);
        }
        Ok(sent)
    }

    fn check_time(
        &self,
        timestamp_s: i64,
        sent: Option<TimestampHeader<'_>>,
        now_s: i64,
    ) -> Result<(), WebhookError> {
        if let Some((name, line)) = sent {
            if line != Line::One(timestamp_s.to_string().as_str()) {
                return Err(WebhookError::TimestampDiffers(name));
            }
        }
        let age_s = now_s.saturating_sub(timestamp_s);
        let tolerance_s = self.tolerance_s;
        if age_s > tolerance_s {
            return Err(WebhookError::TimestampStale { age_s, tolerance_s });
        }
        if age_s < -tolerance_s {
            return Err(WebhookError::TimestampAhead {
                ahead_s: age_s.saturating_neg(),
                tolerance_s,
            });
        }
        Ok(())
    }

    fn check_name(&self, notification: &Notification) -> Result<(), WebhookError> {
        match (&self.agent_name, &notification.agent_name) {
            (Some(ours), Some(theirs)) if ours != theirs => Err(WebhookError::WrongAgent),
            _ => Ok(()),
        }
    }
}

type TimestampHeader<'h> = (&'static str, Line<'h>);

fn one<'h>(name: &'static str, line: Line<'h>) -> Result<&'h str, WebhookError> {
    match line {
        Line::One(value) => Ok(value),
        Line::Absent => Err(WebhookError::SignatureMissing(name)),
        Line::Repeated => Err(WebhookError::SignatureRepeated(name)),
    }
}

fn timestamp_of(body: &Object<'_>) -> Result<i64, WebhookError> {
    match body.get("timestamp") {
        Json::Integer(seconds @ 0..) => Ok(*seconds),
        Json::Null => Err(WebhookError::TimestampMissing),
        _ => Err(WebhookError::TimestampNotInteger),
    }
}

/// The token of a job must fit the job; other events carry none that counts.
fn check_token(notification: &Notification, now_s: i64) -> Result<Option<Claims>, WebhookError> {
    let Some(token) = &notification.access_token else {
        return Ok(None);
    };
    let claims = Claims::decode(token.expose())?;
    let identity = notification.participant_identity.as_ref();
    let identity = identity.map(|identity| identity.0.as_str());
    claims.check(&notification.room.name.0, identity, now_s)?;
    Ok(Some(claims))
}
