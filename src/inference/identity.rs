//! What the SDK says of itself and of one attempt: the `User-Agent`, and session ids.

#![forbid(unsafe_code)]

/// `roomhook/<version> (<runtime>)`; the runtime as it names itself, such as `node v20.0.0`.
pub fn user_agent(version: &str, runtime: &str) -> String {
    format!("roomhook/{version} ({runtime})")
}

/// A session id from 6 random bytes: `inference_` and 12 hex digits.
pub fn session_id(random: [u8; 6]) -> String {
    format!("inference_{}", hex::encode(random))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s0_13_a_session_id_is_twelve_hex_digits() {
        assert_eq!(
            session_id([0, 1, 2, 0xab, 0xcd, 0xff]),
            "inference_000102abcdff"
        );
    }
}
