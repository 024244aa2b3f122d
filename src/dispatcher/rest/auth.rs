//! Who may report or read a job's status.
//!
//! Decides by the job's own bearer, or by a LiveKit API token with `roomAdmin` on the job's room. It refuses everything
//! else in the same way, whatever is wrong with it, and compares in constant time.

use axum::http::header::AUTHORIZATION;
use axum::http::HeaderMap;
use livekit_token::TokenVerifier;
use subtle::{ConditionallySelectable, ConstantTimeEq};

use crate::dispatcher::config::LiveKit;
use crate::dispatcher::job::hash_bearer;
use crate::dispatcher::machine::{Bearer, Reporter};

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

    /// Whose they are, if they open a job with these bearers, in this room.
    pub fn opens(&self, livekit: &LiveKit, bearers: &[Bearer], room: &str) -> Option<Reporter> {
        let presented = hash_bearer(&self.0);
        // Deliveries are numbered from 1.
        let mut delivery = 0;
        for known in bearers {
            let same = known.hash.as_bytes().ct_eq(presented.as_bytes());
            delivery.conditional_assign(&known.delivery, same);
        }
        match delivery {
            0 => (self.admin_of(livekit).as_deref() == Some(room)).then_some(Reporter::RoomAdmin),
            number => Some(Reporter::Delivery(number)),
        }
    }

    /// The room of a LiveKit API token with `roomAdmin`.
    pub fn admin_of(&self, livekit: &LiveKit) -> Option<String> {
        // A bearer of ours has no dots; a token has two.
        if self.0.matches('.').count() != 2 {
            return None;
        }
        let verifier = TokenVerifier::with_api_key(&livekit.api_key, livekit.api_secret.expose());
        let video = verifier.verify(&self.0).ok()?.video;
        (video.room_admin && !video.room.is_empty()).then_some(video.room)
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

    fn opens(bearer: &str) -> Option<Reporter> {
        let bearers = [("first", 1), ("second", 2)].map(|(bearer, delivery)| Bearer {
            delivery,
            hash: hash_bearer(bearer),
        });
        presented(&format!("Bearer {bearer}"))
            .unwrap()
            .opens(&livekit(), &bearers, "r")
    }

    #[test]
    fn every_bearer_of_the_job_opens_it_and_nothing_else_does() {
        assert_eq!(opens("first"), Some(Reporter::Delivery(1)));
        assert_eq!(opens("second"), Some(Reporter::Delivery(2)));
        for wrong in [
            "",
            "firs",
            "first1",
            "FIRST",
            "a.b.c",
            &hash_bearer("first"),
        ] {
            assert_eq!(opens(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_api_token_needs_room_admin_on_the_jobs_room_and_the_right_key() {
        let admin = Some(Reporter::RoomAdmin);
        assert_eq!(opens(&token("key", SECRET, "r", true)), admin);
        assert_ne!(opens(&token("key", SECRET, "other", true)), admin);
        assert_ne!(opens(&token("key", SECRET, "", true)), admin);
        assert_ne!(opens(&token("key", SECRET, "r", false)), admin);
        assert_ne!(opens(&token("key2", SECRET, "r", true)), admin);
        assert_ne!(
            opens(&token(
                "key",
                "another-secret-of-thirty-two-bytes!!",
                "r",
                true
            )),
            admin
        );
        let good = token("key", SECRET, "r", true);
        let payload = good.split('.').nth(1).unwrap();
        // {"alg":"none"} in base64url.
        assert_ne!(opens(&format!("eyJhbGciOiJub25lIn0.{payload}.")), admin);
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
