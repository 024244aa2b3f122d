//! LiveKit's RoomService, as far as a job's participant goes: is it in the room, and out with it.
//!
//! Decides what each answer means. It refuses to guess: an answer that is not LiveKit's "done" or "not found", such as the
//! 404 of a proxy that lets only the socket through, says nothing.

use std::time::Duration;

use bytes::Bytes;
use livekit_token::{AccessToken, VideoGrants};
use serde_json::{json, Value};
use url::Url;

use crate::dispatcher::config::LiveKit;
use crate::dispatcher::machine::Removal;
use crate::net::http::{Answer, HttpClient};

/// How long one call may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the token of a call lives.
const TOKEN_LIFE: Duration = Duration::from_secs(60);

/// Removes whoever joined under this identity.
pub async fn remove(http: &HttpClient, livekit: &LiveKit, room: &str, identity: &str) -> Removal {
    match call(http, livekit, "RemoveParticipant", room, identity).await {
        Ok(true) => Removal::Removed,
        Ok(false) => Removal::Nobody,
        Err(why) => Removal::Unknown { why },
    }
}

/// Whether somebody is in the room under this identity; `None` = LiveKit did not say.
pub async fn is_present(
    http: &HttpClient,
    livekit: &LiveKit,
    room: &str,
    identity: &str,
) -> Option<bool> {
    let answer = call(http, livekit, "GetParticipant", room, identity).await;
    answer
        .inspect_err(|why| {
            tracing::debug!(%why, "LiveKit did not say whether an agent is in its room");
        })
        .ok()
}

/// One Twirp call about a participant: whether LiveKit knows it there.
async fn call(
    http: &HttpClient,
    livekit: &LiveKit,
    method: &str,
    room: &str,
    identity: &str,
) -> Result<bool, String> {
    let url = service_url(&livekit.url, method).ok_or("livekit.url cannot be parsed")?;
    let token = AccessToken::with_api_key(&livekit.api_key, livekit.api_secret.expose())
        .with_ttl(TOKEN_LIFE)
        .with_grants(VideoGrants {
            room_admin: true,
            room: room.to_owned(),
            ..Default::default()
        })
        .to_jwt()
        .map_err(|error| error.to_string())?;
    let headers = [("authorization".to_owned(), format!("Bearer {token}"))];
    let body = Bytes::from(json!({ "room": room, "identity": identity }).to_string());
    let answer = http.post_json(&url, &headers, body, TIMEOUT).await;
    said(&answer.map_err(|error| error.to_string())?)
}

fn said(answer: &Answer) -> Result<bool, String> {
    // A participant with all its metadata can be longer than what is read.
    let body = answer.body.as_deref().unwrap_or(b"{}");
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    match (answer.status, body["code"].as_str()) {
        (200, _) if body.is_object() => Ok(true),
        (404, Some("not_found")) => Ok(false),
        (status, _) => Err(format!("LiveKit's RoomService answered {status}")),
    }
}

/// The same place over HTTP.
fn service_url(livekit: &str, method: &str) -> Option<Url> {
    let mut url = Url::parse(livekit).ok()?;
    let scheme = match url.scheme() {
        "wss" | "https" => "https",
        _ => "http",
    };
    url.set_scheme(scheme).ok()?;
    let base = url.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("{base}/twirp/livekit.RoomService/{method}"));
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f_d1_only_livekits_own_word_says_that_nobody_is_there() {
        let said = |status, body: Option<&str>| {
            let body = body.map(|body| Bytes::from(body.to_owned()));
            let retry_after = None;
            said(&Answer {
                status,
                retry_after,
                body,
            })
            .ok()
        };
        for (status, body, known) in [
            (200, Some("{}"), Some(true)),
            (200, None, Some(true)),
            (404, Some(r#"{"code":"not_found","msg":"x"}"#), Some(false)),
            (404, Some(r#"{"code":"bad_route","msg":"x"}"#), None),
            (404, Some("<html>404</html>"), None),
            (200, Some("<html>welcome</html>"), None),
            (401, Some(r#"{"code":"unauthenticated"}"#), None),
            (503, Some(r#"{"code":"unavailable"}"#), None),
        ] {
            assert_eq!(said(status, body), known, "{status} {body:?}");
        }
    }

    #[test]
    fn the_service_is_where_the_socket_is() {
        for (livekit, service) in [
            (
                "ws://127.0.0.1:7880",
                "http://127.0.0.1:7880/twirp/livekit.RoomService/X",
            ),
            (
                "wss://x.example/base",
                "https://x.example/base/twirp/livekit.RoomService/X",
            ),
        ] {
            assert_eq!(service_url(livekit, "X").unwrap().as_str(), service);
        }
    }
}
