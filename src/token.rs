//! What a LiveKit join token says about itself, read without verifying it: the reader of a job webhook holds no API
//! secret, and LiveKit verifies the token when it is used. It mints nothing and decides nothing about permissions.

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{alphabet, Engine};

use crate::id::Pii;
use crate::json::{read_object, Flaw, Json, Object};

/// How far the clocks of LiveKit and of this machine may differ, in seconds, as in LiveKit's own verifier.
pub const LEEWAY_S: i64 = 60;

const BASE64_URL: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The claims of a join token that matter to whoever uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// `sub`: the participant identity that joins with this token.
    pub subject: Pii<String>,
    /// `name`: the participant's display name.
    pub name: Option<Pii<String>>,
    /// `exp`: Unix seconds after which LiveKit refuses the token.
    pub expires_at_s: Option<i64>,
    /// `nbf`: Unix seconds before which LiveKit refuses the token.
    pub not_before_s: Option<i64>,
    /// `video.room`: the room it admits to.
    pub room: Option<Pii<String>>,
    /// `video.roomJoin`.
    pub room_join: bool,
    /// `video.canUpdateOwnMetadata`: whether name, metadata and attributes can be set after joining.
    pub can_update_own_metadata: bool,
}

/// Why a token does not fit, in words that quote nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFlaw {
    /// Not three base64url parts with a JSON object in the middle.
    #[error("expected a JWT")]
    NotAToken,
    /// No `sub` claim, or an empty one.
    #[error("expected a `sub` claim with the participant identity")]
    NoSubject,
    /// `sub` is another identity.
    #[error("its `sub` claim differs from participant_identity")]
    OtherSubject,
    /// `video.room` is another room, or absent.
    #[error("its `video.room` grant differs from room.name")]
    OtherRoom,
    /// `video.roomJoin` is not true.
    #[error("it does not grant `video.roomJoin`")]
    NoRoomJoin,
    /// No `exp` claim.
    #[error("expected an `exp` claim")]
    NoExpiry,
    /// `exp` has passed.
    #[error("it has expired")]
    Expired,
    /// `nbf` lies ahead.
    #[error("it is not valid yet")]
    NotYetValid,
}

impl Claims {
    /// Reads the claims of a token in its compact form.
    pub fn decode(token: &str) -> Result<Claims, TokenFlaw> {
        let mut parts = token.split('.');
        let (Some(_header), Some(payload), Some(_signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenFlaw::NotAToken);
        };
        let bytes = BASE64_URL
            .decode(payload)
            .map_err(|_| TokenFlaw::NotAToken)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| TokenFlaw::NotAToken)?;
        let claims = read(text).map_err(|_| TokenFlaw::NotAToken)?;
        if claims.subject.0.is_empty() {
            return Err(TokenFlaw::NoSubject);
        }
        Ok(claims)
    }

    /// Whether the token is what a job for `room` and `identity` needs: it admits to that room, carries that identity
    /// (any, where `None`), and is valid at `now_s`, give or take `LEEWAY_S`.
    pub fn check(&self, room: &str, identity: Option<&str>, now_s: i64) -> Result<(), TokenFlaw> {
        if self.room.as_ref().is_none_or(|granted| granted.0 != room) {
            return Err(TokenFlaw::OtherRoom);
        }
        if !self.room_join {
            return Err(TokenFlaw::NoRoomJoin);
        }
        if identity.is_some_and(|identity| identity != self.subject.0) {
            return Err(TokenFlaw::OtherSubject);
        }
        let expires_at_s = self.expires_at_s.ok_or(TokenFlaw::NoExpiry)?;
        if expires_at_s.saturating_add(LEEWAY_S) <= now_s {
            return Err(TokenFlaw::Expired);
        }
        if self
            .not_before_s
            .is_some_and(|at| at.saturating_sub(LEEWAY_S) > now_s)
        {
            return Err(TokenFlaw::NotYetValid);
        }
        Ok(())
    }
}

fn read(text: &str) -> Result<Claims, Flaw> {
    let body = read_object(text)?;
    let nothing = Object::default();
    let video = body.get("video").as_object().unwrap_or(&nothing);
    Ok(Claims {
        subject: string(body.get("sub")).unwrap_or(Pii(String::new())),
        name: string(body.get("name")),
        expires_at_s: seconds(body.get("exp")),
        not_before_s: seconds(body.get("nbf")),
        room: string(video.get("room")),
        room_join: *video.get("roomJoin") == Json::Bool(true),
        can_update_own_metadata: *video.get("canUpdateOwnMetadata") == Json::Bool(true),
    })
}

fn string(value: &Json<'_>) -> Option<Pii<String>> {
    value.as_text().map(|text| Pii(text.to_owned()))
}

/// A NumericDate of RFC 7519: seconds, possibly with a fraction, which is cut off.
fn seconds(value: &Json<'_>) -> Option<i64> {
    match value {
        Json::Integer(seconds) => Some(*seconds),
        Json::Number(seconds) => Some(*seconds as i64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn token(claims: &serde_json::Value) -> String {
        let part = |value: &serde_json::Value| BASE64_URL.encode(value.to_string());
        format!("{}.{}.c2ln", part(&json!({ "alg": "HS256" })), part(claims))
    }

    fn claims() -> serde_json::Value {
        json!({
            "sub": "agent-1", "name": "Agent", "exp": 2_000, "nbf": 1_000, "iss": "key",
            "video": { "room": "lobby", "roomJoin": true, "canUpdateOwnMetadata": true, "agent": true }
        })
    }

    fn checked(change: impl FnOnce(&mut serde_json::Value), now_s: i64) -> Result<(), TokenFlaw> {
        let mut claims = claims();
        change(&mut claims);
        Claims::decode(&token(&claims))?.check("lobby", Some("agent-1"), now_s)
    }

    #[test]
    fn claims_are_read_without_a_key() {
        let claims = Claims::decode(&token(&claims())).unwrap();
        assert_eq!(claims.subject.0, "agent-1");
        assert_eq!(claims.name, Some(Pii("Agent".to_owned())));
        assert_eq!(claims.room, Some(Pii("lobby".to_owned())));
        assert_eq!(
            (claims.not_before_s, claims.expires_at_s),
            (Some(1_000), Some(2_000))
        );
        assert!(claims.room_join && claims.can_update_own_metadata);
        assert!(!format!("{claims:?}").contains("agent-1"));
    }

    #[test]
    fn s1_15_a_token_that_does_not_fit_says_in_what() {
        assert_eq!(checked(|_| {}, 1_500), Ok(()));
        for (change, flaw) in [
            (
                json!({ "video": { "room": "attic", "roomJoin": true } }),
                TokenFlaw::OtherRoom,
            ),
            (
                json!({ "video": { "roomJoin": true } }),
                TokenFlaw::OtherRoom,
            ),
            (json!({ "video": "all" }), TokenFlaw::OtherRoom),
            (
                json!({ "video": { "room": "lobby" } }),
                TokenFlaw::NoRoomJoin,
            ),
            (json!({ "sub": "agent-2" }), TokenFlaw::OtherSubject),
            (json!({ "sub": "" }), TokenFlaw::NoSubject),
            (json!({ "sub": 7 }), TokenFlaw::NoSubject),
            (json!({ "exp": null }), TokenFlaw::NoExpiry),
            (json!({ "exp": "2000" }), TokenFlaw::NoExpiry),
            (json!({ "exp": 1_440 }), TokenFlaw::Expired),
            (json!({ "nbf": 1_561 }), TokenFlaw::NotYetValid),
        ] {
            let changed = checked(
                |claims| {
                    for (key, value) in change.as_object().unwrap() {
                        claims[key] = value.clone();
                    }
                },
                1_500,
            );
            assert_eq!(changed, Err(flaw), "{change}");
        }
    }

    #[test]
    fn clocks_may_differ_by_the_leeway() {
        assert_eq!(checked(|_| {}, 2_059), Ok(()));
        assert_eq!(checked(|_| {}, 2_060), Err(TokenFlaw::Expired));
        assert_eq!(checked(|_| {}, 940), Ok(()));
        assert_eq!(checked(|_| {}, 939), Err(TokenFlaw::NotYetValid));
    }

    #[test]
    fn what_is_not_a_token_is_refused() {
        for text in [
            "",
            "a",
            "a.b",
            "a.b.c",
            "a.e30.c.d",
            "a.W10.c",
            "a.e3.c",
            "..",
            "a.\u{e9}.c",
        ] {
            assert!(Claims::decode(text).is_err(), "{text}");
        }
        assert_eq!(Claims::decode("a.e30.c"), Err(TokenFlaw::NoSubject));
    }

    proptest! {
        #[test]
        fn no_text_makes_decoding_panic(text in "[\\PC.]{0,80}", now: i64) {
            if let Ok(claims) = Claims::decode(&text) {
                let _ = claims.check("", None, now);
            }
        }

        #[test]
        fn no_payload_makes_decoding_panic(payload: Vec<u8>, exp: i64, now: i64) {
            let _ = Claims::decode(&format!("a.{}.c", BASE64_URL.encode(payload)));
            let _ = checked(|claims| claims["exp"] = exp.into(), now);
        }
    }
}
