//! The gateway's token: a JWT (HS256) that may perform inference and nothing else, minted from a time passed in.

#![forbid(unsafe_code)]

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine as _;
use hmac::{Hmac, Mac};
use serde::Serialize;
use sha2::Sha256;

use crate::id::Secret;
use crate::inference::gateway::Keys;

/// Seconds a token lives unless told otherwise.
pub const DEFAULT_TTL_SECONDS: u64 = 600;

#[derive(Serialize)]
struct Grant {
    perform: bool,
}

// LiveKit's own claims struct knows no `inference` grant.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'static str,
    nbf: u64,
    exp: u64,
    jti: &'a str,
    inference: Grant,
}

/// Mints a token. `id` makes two tokens of one second differ, so that a refused one can be replaced at once.
pub fn mint(keys: &Keys, now_seconds: u64, ttl_seconds: u64, id: &str) -> Secret<String> {
    let claims = Claims {
        iss: &keys.api_key,
        sub: "agent",
        nbf: now_seconds,
        exp: now_seconds.saturating_add(ttl_seconds),
        jti: id,
        inference: Grant { perform: true },
    };
    let payload = serde_json::to_vec(&claims).expect("strings and numbers always serialise");
    let mut token = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let mut mac = Hmac::<Sha256>::new_from_slice(keys.api_secret.expose().as_bytes())
        .expect("HMAC takes keys of any length");
    mac.update(token.as_bytes());
    let signature = mac.finalize().into_bytes();
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Secret::new(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn keys() -> Keys {
        Keys {
            api_key: "APIkey".to_owned(),
            api_secret: Secret::new("a secret of thirty-two characters".to_owned()),
        }
    }

    fn part(token: &str, at: usize) -> Value {
        let bytes = URL_SAFE_NO_PAD
            .decode(token.split('.').nth(at).unwrap())
            .unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn s0_15_the_claims_are_exactly_these() {
        let token = mint(&keys(), 1_700_000_000, DEFAULT_TTL_SECONDS, "0a");
        let token = token.expose();
        assert_eq!(
            part(token, 0),
            serde_json::json!({ "alg": "HS256", "typ": "JWT" })
        );
        assert_eq!(
            part(token, 1),
            serde_json::json!({
                "iss": "APIkey", "sub": "agent", "nbf": 1_700_000_000u64, "exp": 1_700_000_600u64, "jti": "0a",
                "inference": { "perform": true },
            })
        );
    }

    #[test]
    fn s0_15_the_signature_verifies_and_a_changed_byte_does_not() {
        let token = mint(&keys(), 1_700_000_000, 600, "0a");
        let (signed, signature) = token.expose().rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let verify = |text: &str| {
            let mut mac =
                Hmac::<Sha256>::new_from_slice(keys().api_secret.expose().as_bytes()).unwrap();
            mac.update(text.as_bytes());
            mac.verify_slice(&signature).is_ok()
        };
        assert!(verify(signed));
        assert!(!verify(&format!("{signed}x")));
    }

    #[test]
    fn two_tokens_of_one_second_differ() {
        assert!(mint(&keys(), 1, 600, "a") != mint(&keys(), 1, 600, "b"));
    }

    #[test]
    fn a_ttl_beyond_all_time_does_not_overflow() {
        assert_eq!(
            part(mint(&keys(), u64::MAX, 600, "a").expose(), 1)["exp"],
            u64::MAX
        );
    }
}
