//! Decides which URLs may be called at all, before anything is resolved.
//!
//! Refuses user names and passwords in a URL (they would end up in logs) and any scheme but the ones asked for.

use url::Url;

/// Why a URL is not called. Never shows the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Another scheme than the caller can speak.
    #[error("the URL's scheme must be one of {0}")]
    Scheme(&'static str),
    /// `user:password@host`.
    #[error("the URL must not carry a user name or password; use a header")]
    UserInfo,
    /// Nothing to connect to.
    #[error("the URL has no host")]
    Host,
}

/// Checks scheme, host and user info. `schemes` is written as people read it: `"http, https"`.
pub fn check(url: &Url, schemes: &'static str) -> Result<(), AddressError> {
    if !schemes.split(", ").any(|scheme| scheme == url.scheme()) {
        return Err(AddressError::Scheme(schemes));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AddressError::UserInfo);
    }
    match url.host_str() {
        Some(host) if !host.is_empty() => Ok(()),
        _ => Err(AddressError::Host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_asked_schemes_without_user_info_pass() {
        for (text, expected) in [
            ("http://127.0.0.1:1/x", Ok(())),
            ("https://example.com", Ok(())),
            (
                "ftp://example.com",
                Err(AddressError::Scheme("http, https")),
            ),
            ("ws://example.com", Err(AddressError::Scheme("http, https"))),
            ("http://user@example.com", Err(AddressError::UserInfo)),
            ("http://:pass@example.com", Err(AddressError::UserInfo)),
        ] {
            let url = Url::parse(text).expect("a URL");
            assert_eq!(check(&url, "http, https"), expected, "{text}");
        }
    }
}
