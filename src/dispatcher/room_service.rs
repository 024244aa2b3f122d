//! LiveKit's RoomService, as far as a job's participant goes: is it in the room, and out with it.
//!
//! Decides what each answer means. It refuses to guess: an answer that is neither "done" nor "not found" is unknown.

use std::time::Duration;

use bytes::Bytes;
use livekit_token::{AccessToken, VideoGrants};
use serde_json::json;
use url::Url;

use crate::dispatcher::config::LiveKit;
use crate::dispatcher::machine::Removal;
use crate::net::http::HttpClient;

/// How long one call may take. A server that knows no such room takes 3 s to say so.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the token of a call lives.
const TOKEN_LIFE: Duration = Duration::from_secs(60);

/// Removes whoever joined under this identity.
pub async fn remove(http: &HttpClient, livekit: &LiveKit, room: &str, identity: &str) -> Removal {
    match call(http, livekit, "RemoveParticipant", room, identity).await {
        Ok(200) => Removal::Removed,
        Ok(404) => Removal::Nobody,
        Ok(status) => Removal::Unknown {
            why: format!("LiveKit answered {status}"),
        },
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
    match call(http, livekit, "GetParticipant", room, identity).await {
        Ok(200) => Some(true),
        Ok(404) => Some(false),
        answer => {
            tracing::debug!(
                ?answer,
                "LiveKit did not say whether an agent is in its room"
            );
            None
        }
    }
}

/// The HTTP status of a Twirp call about one participant. The answer's body says no more than that.
async fn call(
    http: &HttpClient,
    livekit: &LiveKit,
    method: &str,
    room: &str,
    identity: &str,
) -> Result<u16, String> {
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
    answer
        .map(|answer| answer.status)
        .map_err(|error| error.to_string())
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
