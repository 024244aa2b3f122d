//! What the library's words for a failed join or call mean. It tells in text alone why something failed: the one place
//! that reads it, and the one that says what of it is told on.
//!
//! Decides which failures another attempt cannot mend, which mean that the room is gone, and which words come through.
//! Refuses to guess: words it does not know count as bad luck. Refuses to hand on what a server wrote, which can be long
//! and can name anybody: of that only sentences that are known come through.
//!
//! | the library says | because | for good |
//! |---|---|---|
//! | `client error: 401 …`, `403 …` | the token: signature, key, expiry, grants | yes |
//! | `client error: 400 …`, `404 …`, other 4xx | the request: no room in the token; no LiveKit server there | yes |
//! | `client error: 408 …`, `425 …`, `429 …` | the moment | no |
//! | `handshake error: 200 …`, `301 …` | something else than a LiveKit server answers there | yes |
//! | `server error: 5xx …` | the server is not well | no |
//! | `transport connection error: …`, `transport timed out`, anything else | no connection | no |

use crate::engine::EngineError;
use crate::redact::scrub;

/// What comes before the status of an answer over HTTP. The server's own words follow the status.
const BEFORE_STATUS: [&str; 3] = ["client error: ", "server error: ", "handshake error: "];

/// What livekit-server says about a token or a room (pkg/service/{auth,rtcservice,errors}.go, go-jose's jwt).
const KNOWN: [&str; 12] = [
    "invalid API key",
    "token is expired",
    "token not valid yet",
    "error in cryptographic primitive",
    "invalid authorization token",
    "permissions denied",
    "no permissions to access the room",
    "requested room does not exist",
    "room name",
    "identity cannot be empty",
    "could not find any available nodes",
    "page not found",
];

/// What the library says of a room that is over: `RoomError::AlreadyClosed`, `EngineError::Connection("engine is closed")`
/// (rust-sdks livekit/src), and what its tasks say when the one they talk to has ended.
const GONE: [&str; 5] = [
    "already closed",
    "engine is closed",
    "room closed",
    "RecvError",
    "SendError",
];

/// Letters of a reason that are told.
const LONGEST: usize = 200;

/// The status of an answer over HTTP and its phrase, as in `401 Unauthorized`, and what the server said with it.
fn answer(reason: &str) -> Option<(u16, &str, &str)> {
    let places = BEFORE_STATUS.iter().filter_map(|words| {
        let at = reason.find(words)?;
        Some((at, at + words.len()))
    });
    let (_, at) = places.min()?;
    let rest = &reason[at..];
    let status = rest.get(..3)?.parse().ok()?;
    let (line, body) = rest.split_once(" - ").unwrap_or((rest, ""));
    let end = line
        .find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == ' '))
        .unwrap_or(line.len());
    Some((status, &line[..end.min(LONGEST)], body))
}

/// Whether a join that failed for this reason will fail again.
fn is_final(reason: &str) -> bool {
    match answer(reason) {
        Some((408 | 425 | 429, ..)) => false,
        Some((status, ..)) => status < 500,
        None => false,
    }
}

/// What a failure is for whoever asked. A request that the library saw no answer to may have been done all the same.
pub(super) fn error(reason: &str) -> EngineError {
    if is_final(reason) {
        EngineError::Denied(told(reason))
    } else if reason.contains("request timeout") {
        EngineError::TimedOut("the server did not answer in time".into())
    } else if GONE.iter().any(|words| reason.contains(words)) {
        EngineError::Closed("the room is over".into())
    } else {
        EngineError::Refused(told(reason))
    }
}

/// What of a reason comes through: one line, not long, nothing of the library's insides, no credentials, and of what a
/// server wrote only what is known.
pub(super) fn told(reason: &str) -> String {
    if let Some((_, line, body)) = answer(reason) {
        let known = KNOWN.iter().find(|words| body.contains(*words));
        let known = known.map_or(String::new(), |words| format!(": {words}"));
        return format!("the server answered {line}{known}");
    }
    if let Some((_, request)) = reason.split_once("request error: ") {
        let word = request.split(|letter: char| !letter.is_ascii_alphanumeric());
        let word = word.take(1).collect::<String>();
        return format!("the server refused it: {}", clean(&word));
    }
    let inside = ["Error(", "internal error", "engine: connection error"];
    if inside.iter().any(|words| reason.contains(words)) {
        return "the media library failed inside".into();
    }
    clean(reason)
}

fn clean(text: &str) -> String {
    // Cut before it is searched, and once more: what is hidden may take more room than what it hides.
    let start: String = text.chars().take(LONGEST * 4).collect();
    let line = scrub(&start).replace(char::is_control, " ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_failure_means_is_read_from_its_words() {
        let late = error("engine: signal failure: request timeout");
        assert!(matches!(late, EngineError::TimedOut(_)));
        let refused = error("request error: NotAllowed - alice may not");
        assert_eq!(refused.to_string(), "the server refused it: NotAllowed");
        // A data channel that does not take a packet says nothing of the room.
        let inside = error("engine: internal error: failed to send data packet: Send");
        assert!(matches!(inside, EngineError::Refused(_)), "{inside}");
        assert_eq!(inside.to_string(), "the media library failed inside");
        for words in [
            "already closed",
            "engine: connection error: engine is closed",
            "failed to send data, room closed: channel closed",
            "engine: internal error: failed to receive data from dc_task: RecvError(())",
            "engine: internal error: Failed to enqueue publish packet request: SendError { .. }",
        ] {
            assert!(matches!(error(words), EngineError::Closed(_)), "{words}");
        }
    }

    #[test]
    fn f_r17_what_a_server_wrote_is_cut_and_cleaned() {
        let long = "alice@example.com ".repeat(12_000);
        for (words, expected) in [
            (
                format!("engine: signal failure: client error: 401 Unauthorized - {long}"),
                "the server answered 401 Unauthorized",
            ),
            (
                format!("client error: 401 Unauthorized - {long} invalid API key: alice"),
                "the server answered 401 Unauthorized: invalid API key",
            ),
            (
                format!("server error: 503 - {long}"),
                "the server answered 503",
            ),
            (
                "handshake error: 301 Moved\nalice".to_owned(),
                "the server answered 301 Moved",
            ),
            (
                "internal error: SendError(alice)".to_owned(),
                "the media library failed inside",
            ),
            ("a\u{1b}[31m\r\nb".to_owned(), "a [31m  b"),
        ] {
            assert_eq!(told(&words), expected);
        }
        assert_eq!(told(&"ä".repeat(100_000)).chars().count(), LONGEST + 1);
        assert_eq!(told("access_token=eyJh.eyJp.c2ln"), "access_token=[hidden]");
    }

    #[test]
    fn only_what_another_attempt_cannot_mend_is_final() {
        let failure = |words: &str| format!("engine: signal failure: {words}");
        for (words, expected) in [
            ("client error: 401 Unauthorized - invalid API key", true),
            ("client error: 403 Forbidden", true),
            ("client error: 400 Bad Request - no room name", true),
            ("client error: 404 Not Found - 404 page not found", true),
            ("client error: 429 Too Many Requests", false),
            ("handshake error: 200 OK", true),
            ("handshake error: 301 Moved Permanently", true),
            (
                "server error: 503 Service Unavailable - client error: 401",
                false,
            ),
            ("client error: 429 Slow - client error: 401", false),
            (
                "transport connection error: IO error: Connection refused (os error 111)",
                false,
            ),
            ("transport timed out", false),
            ("client error: ", false),
            ("client error: ä", false),
        ] {
            assert_eq!(is_final(&failure(words)), expected, "{words}");
        }
    }
}
