//! Which servers an agent joins and reports to: encrypted ones, and plain ones on this machine.

use url::{Host, Url};

use crate::error::{Code, Error};

/// What the user allows.
#[derive(Clone, Debug, Default)]
pub struct AddressRules {
    /// Plain `ws:` and `http:` to other machines.
    pub allow_insecure: bool,
    /// Only these servers, by scheme, host and port; empty = any.
    pub allowed_server_urls: Vec<Url>,
}

impl AddressRules {
    /// Checks the body's `server_url`.
    pub fn server(&self, server_url: &Url) -> Result<(), Error> {
        self.encrypted(server_url, "server_url", ["wss", "ws"])?;
        let allowed = self.allowed_server_urls.is_empty()
            || self
                .allowed_server_urls
                .iter()
                .any(|allowed| same_server(allowed, server_url));
        if allowed {
            return Ok(());
        }
        Err(refused("server_url", "is not one of allowedServerUrls"))
    }

    /// Checks the body's `status_url`.
    pub fn status(&self, status_url: &Url) -> Result<(), Error> {
        self.encrypted(status_url, "status_url", ["https", "http"])
    }

    fn encrypted(&self, url: &Url, field: &str, schemes: [&str; 2]) -> Result<(), Error> {
        let [safe, plain] = schemes;
        if url.host_str().is_none_or(str::is_empty) {
            return Err(refused(field, "has no host"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused(field, "must not carry a user name or password"));
        }
        if url.scheme() == safe {
            return Ok(());
        }
        if url.scheme() != plain {
            return Err(refused(field, &format!("must be a {safe}: URL")));
        }
        if self.allow_insecure || is_loopback(url) {
            return Ok(());
        }
        Err(refused(
            field,
            &format!(
                "must be a {safe}: URL; {plain}: is for loopback, or for agents with allowInsecure"
            ),
        ))
    }
}

fn refused(field: &str, what: &str) -> Error {
    Error::new(Code::BodyInvalid, format!("{field} {what}"))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => {
            address.is_loopback() || address.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback())
        }
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

fn same_server(one: &Url, other: &Url) -> bool {
    let plain = |url: &Url| matches!(url.scheme(), "ws" | "http");
    plain(one) == plain(other)
        && one.host() == other.host()
        && one.port_or_known_default() == other.port_or_known_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn plain_addresses_are_for_this_machine_alone() {
        let strict = AddressRules::default();
        let loose = AddressRules {
            allow_insecure: true,
            ..AddressRules::default()
        };
        for (text, by_default, when_allowed) in [
            ("wss://x.livekit.cloud", true, true),
            ("ws://127.0.0.1:7880", true, true),
            ("ws://127.9.9.9", true, true),
            ("ws://[::1]:7880", true, true),
            ("ws://[::ffff:127.0.0.1]:7880", true, true),
            ("ws://localhost", true, true),
            ("ws://a.localhost", true, true),
            ("ws://10.0.0.1", false, true),
            ("ws://localhost.example.com", false, true),
            ("https://x.livekit.cloud", false, false),
            ("file:///etc/passwd", false, false),
            ("wss://user:pass@host", false, false),
        ] {
            assert_eq!(strict.server(&url(text)).is_ok(), by_default, "{text}");
            assert_eq!(loose.server(&url(text)).is_ok(), when_allowed, "{text}");
        }
        assert!(strict.status(&url("https://host/a")).is_ok());
        assert!(strict.status(&url("http://host/a")).is_err());
        assert!(strict.status(&url("ws://127.0.0.1/a")).is_err());
    }

    #[test]
    fn a_list_of_servers_admits_those_by_scheme_host_and_port() {
        let rules = AddressRules {
            allow_insecure: true,
            allowed_server_urls: vec![url("wss://a.example"), url("ws://b.example:7880/")],
        };
        for (text, ok) in [
            ("wss://a.example:443/rtc", true),
            ("ws://b.example:7880", true),
            ("ws://a.example:443", false),
            ("wss://a.example:444", false),
            ("wss://c.example", false),
        ] {
            assert_eq!(rules.server(&url(text)).is_ok(), ok, "{text}");
        }
    }
}
