//! What the library's words for a failed join or call mean. It tells in text alone why something failed: the one place
//! that reads it.
//!
//! Decides which failures another attempt cannot mend. Refuses to guess: words it does not know count as bad luck.
//!
//! | the library says | because | for good |
//! |---|---|---|
//! | `client error: 401 …`, `403 …` | the token: signature, key, expiry, grants | yes |
//! | `client error: 400 …`, `404 …`, other 4xx | the request: no room in the token; no LiveKit server there | yes |
//! | `client error: 408 …`, `425 …`, `429 …` | the moment | no |
//! | `handshake error: 200 …`, `301 …` | something else than a LiveKit server answers there | yes |
//! | `server error: 5xx …` | the server is not well | no |
//! | `transport connection error: …`, `transport timed out`, anything else | no connection | no |

/// What comes before the status of an answer over HTTP. The server's own words follow the status.
const BEFORE_STATUS: [&str; 3] = ["client error: ", "server error: ", "handshake error: "];

fn status(reason: &str) -> Option<u16> {
    let places = BEFORE_STATUS.iter().filter_map(|words| {
        let at = reason.find(words)?;
        Some((at, at + words.len()))
    });
    let (_, at) = places.min()?;
    reason.get(at..at + 3)?.parse().ok()
}

/// Whether a join that failed for this reason will fail again.
pub(super) fn is_final(reason: &str) -> bool {
    match status(reason) {
        Some(408 | 425 | 429) => false,
        Some(status) => status < 500,
        None => false,
    }
}

/// Whether a call failed because the library saw no answer of the server's. What was asked for may have happened.
pub(super) fn is_late(reason: &str) -> bool {
    reason.contains("request timeout")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_was_missed_is_told_from_a_refusal() {
        assert!(is_late("engine: signal failure: request timeout"));
        assert!(!is_late("request error: not_allowed"));
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
