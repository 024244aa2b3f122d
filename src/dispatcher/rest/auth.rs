//! Who may report or read a job's status.
//!
//! Decides by the job's own bearer, or by a LiveKit API token with `roomAdmin` on the job's room. It refuses everything
//! else in the same way, whatever is wrong with it, and compares in constant time.

use axum::http::header::AUTHORIZATION;
use axum::http::HeaderMap;
use livekit_token::TokenVerifier;
use subtle::{Choice, ConstantTimeEq};

use crate::dispatcher::config::LiveKit;
use crate::dispatcher::job::hash_bearer;

/// The credentials of a request.
pub struct Presented(String);

impl Presented {
    /// The bearer, if there is exactly one.
    pub fn from(headers: &HeaderMap) -> Option<Presented> {
        let mut lines = headers.get_all(AUTHORIZATION).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return None;
        };
        let (scheme, token) = line.to_str().ok()?.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then(|| Presented(token.trim().to_owned()))
    }

    /// Whether they open a job with these bearer hashes, in this room.
    pub fn opens(&self, livekit: &LiveKit, bearers: &[String], room: &str) -> bool {
        let presented = hash_bearer(&self.0);
        let mut found = Choice::from(0);
        for known in bearers {
            found |= known.as_bytes().ct_eq(presented.as_bytes());
        }
        bool::from(found) || self.is_room_admin(livekit, room)
    }

    fn is_room_admin(&self, livekit: &LiveKit, room: &str) -> bool {
        // A bearer of ours has no dots; a token has two.
        if self.0.matches('.').count() != 2 {
            return false;
        }
        let verifier = TokenVerifier::with_api_key(&livekit.api_key, livekit.api_secret.expose());
        match verifier.verify(&self.0) {
            Ok(claims) => claims.video.room_admin && claims.video.room == room,
            Err(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Secret;
    use axum::http::HeaderValue;
    use livekit_token::{AccessToken, VideoGrants};
    use std::time::Duration;

    const SECRET: &str = "a-secret-of-at-least-thirty-two-bytes";

    fn livekit() -> LiveKit {
        LiveKit {
            url: "ws://127.0.0.1:1".into(),
            api_key: "key".into(),
            api_secret: Secret::new(SECRET.into()),
            public_url: None,
        }
    }

    fn presented(line: &str) -> Option<Presented> {
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, HeaderValue::from_str(line).unwrap());
        Presented::from(&headers)
    }

    fn token(key: &str, secret: &str, room: &str, admin: bool) -> String {
        AccessToken::with_api_key(key, secret)
            .with_ttl(Duration::from_secs(60))
            .with_grants(VideoGrants {
                room_admin: admin,
                room: room.into(),
                ..Default::default()
            })
            .to_jwt()
            .unwrap()
    }

    fn opens(bearer: &str) -> bool {
        let bearers = [hash_bearer("first"), hash_bearer("second")];
        presented(&format!("Bearer {bearer}"))
            .unwrap()
            .opens(&livekit(), &bearers, "r")
    }

    #[test]
    fn every_bearer_of_the_job_opens_it_and_nothing_else_does() {
        assert!(opens("first") && opens("second"));
        for wrong in [
            "",
            "firs",
            "first1",
            "FIRST",
            "a.b.c",
            &hash_bearer("first"),
        ] {
            assert!(!opens(wrong), "{wrong}");
        }
    }

    #[test]
    fn an_api_token_needs_room_admin_on_the_jobs_room_and_the_right_key() {
        assert!(opens(&token("key", SECRET, "r", true)));
        assert!(!opens(&token("key", SECRET, "other", true)));
        assert!(!opens(&token("key", SECRET, "", true)));
        assert!(!opens(&token("key", SECRET, "r", false)));
        assert!(!opens(&token("key2", SECRET, "r", true)));
        assert!(!opens(&token(
            "key",
            "another-secret-of-thirty-two-bytes!!",
            "r",
            true
        )));
        let good = token("key", SECRET, "r", true);
        let payload = good.split('.').nth(1).unwrap();
        // {"alg":"none"} in base64url.
        assert!(!opens(&format!("eyJhbGciOiJub25lIn0.{payload}.")));
    }

    #[test]
    fn only_one_bearer_header_counts() {
        for wrong in ["first", "Basic first", "Bearer"] {
            assert!(presented(wrong).is_none(), "{wrong}");
        }
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer first"));
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer first"));
        assert!(Presented::from(&headers).is_none());
        assert!(Presented::from(&HeaderMap::new()).is_none());
    }
}
