//! Webhook secrets: their bytes, their length, how many at a time, how long each is current. Every home that takes one
//! asks here. It refuses one that can be guessed and only counts one that is merely weak, so that the caller can warn.

use std::fmt;

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{alphabet, Engine};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::error::{Code, Error};
use crate::id::Secret;

/// Secrets at a time: the current one, its successor or predecessor, and one to spare.
pub const MAX_SECRETS: usize = 3;
/// A secret with fewer bytes is refused.
pub const MIN_SECRET_BYTES: usize = 16;
/// A secret with fewer bytes works, with a warning.
pub const STRONG_SECRET_BYTES: usize = 32;

/// Marks a secret whose bytes are given in base64, as Standard Webhooks writes them.
const BASE64_PREFIX: &str = "whsec_";
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a secret, or a list of them, cannot be used; reads on after its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretFlaw {
    #[error("must hold 1 to {MAX_SECRETS} secrets, got {0}")]
    Count(usize),
    #[error("must be base64 after whsec_")]
    NotBase64,
    #[error("must be at least {MIN_SECRET_BYTES} bytes long, got {0}; a good one comes from: openssl rand -hex 32")]
    TooShort(usize),
}

/// Which of the `secrets` is wrong, and how.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} {flaw}")]
pub struct SecretError {
    /// `secrets` or `secrets[1]`.
    pub path: String,
    pub flaw: SecretFlaw,
}

impl From<SecretError> for Error {
    fn from(error: SecretError) -> Self {
        Error::new(Code::ConfigInvalid, error.to_string())
    }
}

/// The bytes of a secret: those of its UTF-8 text, or the decoded ones of `whsec_<base64>`, padded or not.
pub fn key_bytes(value: &str) -> Result<Vec<u8>, SecretFlaw> {
    let bytes = match value.strip_prefix(BASE64_PREFIX) {
        Some(encoded) => BASE64.decode(encoded).map_err(|_| SecretFlaw::NotBase64)?,
        None => value.as_bytes().to_vec(),
    };
    if bytes.len() < MIN_SECRET_BYTES {
        return Err(SecretFlaw::TooShort(bytes.len()));
    }
    Ok(bytes)
}

/// Whether there are as many secrets as there may be.
pub fn check_count(count: usize) -> Result<(), SecretFlaw> {
    match count {
        1..=MAX_SECRETS => Ok(()),
        other => Err(SecretFlaw::Count(other)),
    }
}

/// One secret as configured.
#[derive(Clone, Debug)]
pub struct SecretOptions {
    /// The secret, as `key_bytes` reads it.
    pub value: Secret<String>,
    /// Milliseconds since the Unix epoch after which it neither verifies nor signs. `None`: for ever.
    pub not_after_ms: Option<i64>,
}

impl SecretOptions {
    /// A secret without an end.
    pub fn new(value: impl Into<String>) -> Self {
        SecretOptions {
            value: Secret::new(value.into()),
            not_after_ms: None,
        }
    }
}

#[derive(Clone)]
struct Key {
    mac: Hmac<Sha256>,
    not_after_ms: Option<i64>,
    weak: bool,
}

/// The keys of one endpoint, newest first, hashed once.
#[derive(Clone)]
pub struct Secrets(Vec<Key>);

impl Secrets {
    /// Checks and prepares 1 to `MAX_SECRETS` secrets, given newest first.
    pub fn new(options: &[SecretOptions]) -> Result<Secrets, SecretError> {
        check_count(options.len()).map_err(|flaw| SecretError {
            path: "secrets".to_owned(),
            flaw,
        })?;
        let keys = options.iter().enumerate().map(|(index, option)| {
            key(option).map_err(|flaw| SecretError {
                path: format!("secrets[{index}]"),
                flaw,
            })
        });
        keys.collect::<Result<Vec<Key>, SecretError>>().map(Secrets)
    }

    /// How many of them have fewer than `STRONG_SECRET_BYTES`.
    pub fn weak(&self) -> usize {
        self.0.iter().filter(|key| key.weak).count()
    }

    /// A MAC to feed for each secret that is current at `now_ms`, newest first.
    pub fn macs(&self, now_ms: i64) -> impl Iterator<Item = Hmac<Sha256>> + '_ {
        self.0
            .iter()
            .filter(move |key| key.not_after_ms.is_none_or(|end| now_ms <= end))
            .map(|key| key.mac.clone())
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({} × [REDACTED])", self.0.len())
    }
}

fn key(option: &SecretOptions) -> Result<Key, SecretFlaw> {
    let bytes = key_bytes(option.value.expose())?;
    Ok(Key {
        // HMAC takes a key of any length (RFC 2104 §2), and this one is not short.
        mac: Hmac::new_from_slice(&bytes).map_err(|_| SecretFlaw::TooShort(bytes.len()))?,
        not_after_ms: option.not_after_ms,
        weak: bytes.len() < STRONG_SECRET_BYTES,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(options: &[SecretOptions]) -> String {
        Secrets::new(options).unwrap_err().path
    }

    #[test]
    fn s1_06_no_secret_an_empty_one_and_a_short_one_are_construction_errors_that_name_the_field() {
        let good = || SecretOptions::new("0123456789abcdef");
        assert_eq!(path(&[]), "secrets");
        assert_eq!(path(&[good(), good(), good(), good()]), "secrets");
        assert_eq!(path(&[SecretOptions::new("")]), "secrets[0]");
        assert_eq!(
            path(&[good(), SecretOptions::new("0123456789abcde")]),
            "secrets[1]"
        );
        assert_eq!(path(&[SecretOptions::new("whsec_***")]), "secrets[0]");
        assert_eq!(path(&[SecretOptions::new("whsec_c2hvcnQ=")]), "secrets[0]");
        assert!(Secrets::new(&[good(), good(), good()]).is_ok());
    }

    #[test]
    fn weak_secrets_are_counted() {
        let secrets = Secrets::new(&[
            SecretOptions::new("a".repeat(31)),
            SecretOptions::new("a".repeat(32)),
        ]);
        assert_eq!(secrets.unwrap().weak(), 1);
    }

    #[test]
    fn a_whsec_secret_means_its_decoded_bytes_with_or_without_padding() {
        let mac = |value: &str| {
            let secrets = Secrets::new(&[SecretOptions::new(value)]).unwrap();
            let mut mac = secrets.macs(0).next().unwrap();
            mac.update(b"body");
            mac.finalize().into_bytes()
        };
        assert_eq!(
            mac("whsec_eW91ci13ZWJob29rLXNlY3JldA=="),
            mac("your-webhook-secret")
        );
        assert_eq!(
            mac("whsec_eW91ci13ZWJob29rLXNlY3JldA"),
            mac("your-webhook-secret")
        );
    }

    #[test]
    fn s1_20_secrets_do_not_print() {
        let option = SecretOptions::new("your-webhook-secret");
        let secrets = Secrets::new(std::slice::from_ref(&option)).unwrap();
        assert!(!format!("{option:?} {secrets:?}").contains("webhook-secret"));
    }
}
