//! Which addresses may be called: with which schemes, with or without TLS, and what counts as this machine. Decided on the
//! text of a URL, before anything is resolved.
//!
//! It refuses user names and passwords in a URL, which would end up in logs, and plain text beyond this machine, which
//! would show tokens to the network. No message repeats a URL.

use std::fmt;

use url::{Host, Url};

/// What is spoken at an address: each has one scheme with TLS and one without for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http,
    WebSocket,
    /// A LiveKit server, whose URL people copy with either.
    LiveKit,
}

impl Protocol {
    const fn schemes(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Protocol::Http => (&["https"], &["http"]),
            Protocol::WebSocket => (&["wss"], &["ws"]),
            Protocol::LiveKit => (&["wss", "https"], &["ws", "http"]),
        }
    }
}

/// The schemes with TLS, as a sentence names them: `wss: or https:`.
impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{}:", self.schemes().0.join(": or ")))
    }
}

/// Whether an address beyond this machine may do without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainText {
    ThisMachine,
    Anywhere,
}

/// What is wrong with an address, as the end of a sentence that begins with its name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("must be a URL, and it cannot be parsed")]
    Unreadable,
    #[error("must be a URL with {0}, got {1}:")]
    Scheme(Protocol, String),
    #[error("must be a URL with a host")]
    Host,
    /// `user:password@host`.
    #[error("must not carry a user name or password")]
    UserInfo,
    #[error("must use {0}, because {1}: sends tokens in plain text; only a loopback address may do without")]
    PlainText(Protocol, String),
}

/// Reads and checks an address.
pub fn parse(text: &str, protocol: Protocol, plain: PlainText) -> Result<Url, AddressError> {
    let url = Url::parse(text).map_err(|_| AddressError::Unreadable)?;
    check(&url, protocol, plain)?;
    Ok(url)
}

/// Checks scheme, user info and host.
pub fn check(url: &Url, protocol: Protocol, plain: PlainText) -> Result<(), AddressError> {
    let (tls, without) = protocol.schemes();
    let scheme = url.scheme();
    if !tls.contains(&scheme) && !without.contains(&scheme) {
        return Err(AddressError::Scheme(protocol, scheme.to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AddressError::UserInfo);
    }
    let host = url.host().ok_or(AddressError::Host)?;
    if without.contains(&scheme) && plain == PlainText::ThisMachine && !is_loopback(&host) {
        return Err(AddressError::PlainText(protocol, scheme.to_owned()));
    }
    Ok(())
}

/// Whether a host can only be this machine: 127.0.0.0/8, ::1, and `localhost` with the names below it (RFC 6761 §6.3).
pub fn is_loopback<S: AsRef<str>>(host: &Host<S>) -> bool {
    match host {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => {
            address.is_loopback() || address.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback())
        }
        Host::Domain(name) => {
            let name = name.as_ref().trim_end_matches('.').to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

/// Whether two URLs lead to the same server: TLS or none, host and port.
pub fn same_server(one: &Url, other: &Url) -> bool {
    has_tls(one) == has_tls(other)
        && one.host() == other.host()
        && one.port_or_known_default() == other.port_or_known_default()
}

/// The same place over HTTP: `wss:` becomes `https:`, `ws:` becomes `http:`. `None` for other schemes.
pub fn over_http(url: &Url) -> Option<Url> {
    with_scheme(url, if has_tls(url)? { "https" } else { "http" })
}

/// The same place over WebSocket: `https:` becomes `wss:`, `http:` becomes `ws:`. `None` for other schemes.
pub fn over_websocket(url: &Url) -> Option<Url> {
    with_scheme(url, if has_tls(url)? { "wss" } else { "ws" })
}

fn has_tls(url: &Url) -> Option<bool> {
    match url.scheme() {
        "wss" | "https" => Some(true),
        "ws" | "http" => Some(false),
        _ => None,
    }
}

fn with_scheme(url: &Url, scheme: &str) -> Option<Url> {
    let mut url = url.clone();
    url.set_scheme(scheme).ok()?;
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn plain_text_stays_on_this_machine_unless_it_is_allowed() {
        for (text, by_default, when_allowed) in [
            ("wss://x.livekit.cloud", true, true),
            ("ws://127.0.0.1:7880", true, true),
            ("ws://127.9.9.9", true, true),
            ("ws://[::1]:7880", true, true),
            ("ws://[::ffff:127.0.0.1]:7880", true, true),
            ("ws://localhost", true, true),
            ("ws://LocalHost.:1", true, true),
            ("ws://a.localhost", true, true),
            ("ws://10.0.0.1", false, true),
            ("ws://localhost.example.com", false, true),
            ("ws://notlocalhost", false, true),
            ("https://x.livekit.cloud", false, false),
            ("file:///etc/passwd", false, false),
            ("wss://user@host", false, false),
            ("wss://:pass@host", false, false),
        ] {
            let ok = |plain| check(&url(text), Protocol::WebSocket, plain).is_ok();
            assert_eq!(ok(PlainText::ThisMachine), by_default, "{text}");
            assert_eq!(ok(PlainText::Anywhere), when_allowed, "{text}");
        }
    }

    #[test]
    fn each_protocol_knows_its_schemes_and_says_which() {
        for (protocol, good, bad, message) in [
            (
                Protocol::Http,
                "https://h",
                "ftp://h",
                "must be a URL with https:, got ftp:",
            ),
            (
                Protocol::WebSocket,
                "wss://h",
                "https://h",
                "must be a URL with wss:, got https:",
            ),
            (
                Protocol::LiveKit,
                "https://h",
                "ftp://h",
                "must be a URL with wss: or https:, got ftp:",
            ),
        ] {
            assert_eq!(check(&url(good), protocol, PlainText::ThisMachine), Ok(()));
            let error = check(&url(bad), protocol, PlainText::Anywhere).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
        assert!(parse("not a url", Protocol::Http, PlainText::Anywhere).is_err());
    }

    #[test]
    fn servers_are_the_same_by_tls_host_and_port() {
        for (one, other, same) in [
            ("wss://a.example", "wss://a.example:443/rtc", true),
            ("wss://a.example", "https://a.example", true),
            ("ws://b.example:7880/", "ws://b.example:7880", true),
            ("ws://a.example:443", "wss://a.example", false),
            ("wss://a.example:444", "wss://a.example", false),
            ("wss://c.example", "wss://a.example", false),
        ] {
            assert_eq!(same_server(&url(one), &url(other)), same, "{one} {other}");
        }
    }

    #[test]
    fn a_server_is_reached_over_http_and_over_websocket() {
        assert_eq!(
            over_http(&url("wss://h/a")).unwrap().as_str(),
            "https://h/a"
        );
        assert_eq!(
            over_http(&url("ws://h:1/")).unwrap().as_str(),
            "http://h:1/"
        );
        assert_eq!(
            over_websocket(&url("https://h/")).unwrap().as_str(),
            "wss://h/"
        );
        assert_eq!(over_websocket(&url("ws://h/")).unwrap().as_str(), "ws://h/");
        assert!(over_http(&url("ftp://h")).is_none());
    }
}
