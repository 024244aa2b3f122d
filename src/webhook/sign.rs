//! Signing: the headers that make a body a webhook, for the dispatcher and for tests. It signs what it is given and
//! looks into no body; the caller puts the same timestamp into it.

use std::fmt;

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use hmac::Mac;

use crate::secret::Secrets;
use crate::webhook::error::WebhookError;
use crate::webhook::headers;

/// The values of the five headers that a signature adds to a webhook.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedHeaders {
    signature: String,
    timestamp: String,
    id: String,
    standard_signature: String,
}

impl SignedHeaders {
    /// The headers as name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            (headers::HEADER_SIGNATURE, self.signature.as_str()),
            (headers::HEADER_TIMESTAMP, self.timestamp.as_str()),
            (headers::HEADER_ID, self.id.as_str()),
            (headers::HEADER_STANDARD_TIMESTAMP, self.timestamp.as_str()),
            (
                headers::HEADER_STANDARD_SIGNATURE,
                self.standard_signature.as_str(),
            ),
        ]
        .into_iter()
    }
}

impl fmt::Debug for SignedHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SignedHeaders {{ id: {:?}, timestamp: {:?}, .. }}",
            self.id, self.timestamp
        )
    }
}

/// Signs `body` under every secret that is current at `timestamp_s` (Unix seconds, as in the body), newest first.
/// `id` names the delivery and stays the same for each of its attempts: 1 to 256 visible ASCII characters without a dot.
pub fn sign(
    secrets: &Secrets,
    body: &[u8],
    id: &str,
    timestamp_s: i64,
) -> Result<SignedHeaders, WebhookError> {
    let visible = id
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'.');
    if id.is_empty() || id.len() > 256 || !visible {
        return Err(WebhookError::Config {
            path: "id".to_owned(),
            expected: "1 to 256 visible ASCII characters without a dot",
            found: format!("{} bytes of another form", id.len()),
        });
    }
    let timestamp = timestamp_s.to_string();
    let prefix = format!("{id}.{timestamp}.");
    let mut hex_values = Vec::new();
    let mut standard_values = Vec::new();
    for mac in secrets.macs(timestamp_s.saturating_mul(1_000)) {
        let plain = mac.clone().chain_update(body).finalize().into_bytes();
        let prefixed = mac.chain_update(&prefix).chain_update(body).finalize();
        hex_values.push(hex::encode(plain));
        standard_values.push(format!("v1,{}", STANDARD.encode(prefixed.into_bytes())));
    }
    if hex_values.is_empty() {
        return Err(WebhookError::NoCurrentSecret);
    }
    Ok(SignedHeaders {
        signature: hex_values.join(","),
        timestamp,
        id: id.to_owned(),
        standard_signature: standard_values.join(" "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SecretOptions;

    fn secrets(values: &[(&str, Option<i64>)]) -> Secrets {
        let options: Vec<SecretOptions> = values
            .iter()
            .map(|(value, not_after_ms)| SecretOptions {
                not_after_ms: *not_after_ms,
                ..SecretOptions::new(*value)
            })
            .collect();
        Secrets::new(&options).unwrap()
    }

    fn value<'a>(signed: &'a SignedHeaders, name: &str) -> &'a str {
        signed.iter().find(|(header, _)| *header == name).unwrap().1
    }

    #[test]
    fn the_newest_secret_signs_first_and_an_expired_one_not_at_all() {
        let both = secrets(&[
            ("new-secret-new-secret", None),
            ("old-secret-old-secret", Some(5_000)),
        ]);
        let new = secrets(&[("new-secret-new-secret", None)]);
        let old = secrets(&[("old-secret-old-secret", Some(5_000))]);
        let signature = |secrets: &Secrets, at| {
            let signed = sign(secrets, b"body", "D1", at).unwrap();
            value(&signed, headers::HEADER_SIGNATURE).to_owned()
        };
        assert_eq!(
            signature(&both, 5),
            format!("{},{}", signature(&new, 5), signature(&old, 5))
        );
        assert_eq!(signature(&both, 6), signature(&new, 6));
        assert_eq!(
            sign(&old, b"body", "D1", 6),
            Err(WebhookError::NoCurrentSecret)
        );
    }

    #[test]
    fn an_id_that_standard_webhooks_forbids_is_refused() {
        let secrets = secrets(&[("new-secret-new-secret", None)]);
        for id in ["", "a.b", "a b", "a\n", "é", &"x".repeat(257)] {
            let error = sign(&secrets, b"", id, 1).unwrap_err();
            assert!(matches!(error, WebhookError::Config { .. }), "{id}");
        }
    }

    #[test]
    fn s1_20_signatures_do_not_print() {
        let signed = sign(&secrets(&[("new-secret-new-secret", None)]), b"", "D1", 1).unwrap();
        let printed = format!("{signed:?}");
        assert!(!printed.contains(value(&signed, headers::HEADER_SIGNATURE)));
        assert!(!printed.contains("v1,"));
    }
}
