//! Rules for single values: URLs, secrets, headers, identities, addresses.
//!
//! Decides what is safe to send a token or a signature to. It refuses plain text off the machine, user names in URLs,
//! secrets that can be guessed, and headers that would replace the dispatcher's own. No message repeats a value.

use url::{Host, Url};

use crate::address::is_loopback;
use crate::dispatcher::config::reader::{At, ConfigError};
use crate::id::Secret;
use crate::secret::{check_count, key_bytes, STRONG_SECRET_BYTES};

/// Headers that only the dispatcher sets, in lower case.
const RESERVED_HEADERS: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "traceparent",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
    "x-livekit-signature",
    "x-livekit-timestamp",
];

/// A URL with one of the schemes, TLS unless it stays on this machine or `allow_insecure` says otherwise.
/// `secure` are the schemes with TLS, `plain` their twins without.
pub fn url(
    at: &At<'_>,
    secure: &[&str],
    plain: &[&str],
    allow_insecure: bool,
) -> Result<Url, ConfigError> {
    let url = Url::parse(at.filled_text()?).map_err(|_| {
        at.error(format!(
            "must be a URL with {}:, and it cannot be parsed",
            secure.join(": or ")
        ))
    })?;
    let scheme = url.scheme();
    if !secure.contains(&scheme) && !plain.contains(&scheme) {
        return Err(at.error(format!(
            "must be a URL with {}:, got {scheme}:",
            secure.join(": or ")
        )));
    }
    let Some(host) = url.host() else {
        return Err(at.error("must be a URL with a host"));
    };
    if plain.contains(&scheme) && !allow_insecure && !is_loopback(&host) {
        return Err(at.error(format!(
            "must use {}:, because {scheme}: sends tokens in plain text; only a loopback address may do without, or set {}: true",
            secure.join(": or "),
            at.style().name("allow_insecure", false),
        )));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(at.error("must not carry a user name or password; use headers for credentials"));
    }
    if url.fragment().is_some() {
        return Err(at.error("must not carry a fragment (#…)"));
    }
    Ok(url)
}

/// One to three webhook secrets, given as one text or as a list, newest first.
pub fn secrets(
    at: &At<'_>,
    warnings: &mut Vec<String>,
) -> Result<Vec<Secret<String>>, ConfigError> {
    if !at.is_list() {
        return Ok(vec![secret(at, warnings)?]);
    }
    let items = at.list()?;
    check_count(items.len()).map_err(|flaw| at.error(flaw.to_string()))?;
    items.iter().map(|item| secret(item, warnings)).collect()
}

fn secret(at: &At<'_>, warnings: &mut Vec<String>) -> Result<Secret<String>, ConfigError> {
    let text = at.filled_text()?;
    let bytes = key_bytes(text)
        .map_err(|flaw| at.error(flaw.to_string()))?
        .len();
    if bytes < STRONG_SECRET_BYTES {
        warnings.push(format!(
            "{} is {bytes} bytes long; {STRONG_SECRET_BYTES} or more are safer",
            at.path
        ));
    }
    Ok(Secret::new(text.to_owned()))
}

pub fn headers(at: &At<'_>) -> Result<Vec<(String, Secret<String>)>, ConfigError> {
    let mut headers: Vec<(String, Secret<String>)> = Vec::new();
    for (name, value) in at.entries()? {
        let lower = name.to_ascii_lowercase();
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(
                value.error("is not a header name: letters, digits and !#$%&'*+-.^_`|~ only")
            );
        }
        if RESERVED_HEADERS.contains(&lower.as_str()) {
            return Err(value.error("is set by the dispatcher itself and cannot be replaced"));
        }
        if headers.iter().any(|(other, _)| *other == lower) {
            return Err(value.error("is there twice (header names ignore case)"));
        }
        let text = value.text()?;
        if text.trim() != text
            || !text
                .bytes()
                .all(|byte| byte == b'\t' || (0x20..0x7f).contains(&byte))
        {
            return Err(value.error("must be visible ASCII without line ends or outer spaces"));
        }
        headers.push((lower, Secret::new(text.to_owned())));
    }
    Ok(headers)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The template of the agent's identity. The job id keeps two jobs in one room from throwing each other out.
pub fn identity(at: &At<'_>) -> Result<String, ConfigError> {
    let text = at.filled_text()?;
    if !text.contains("{job_id}") {
        return Err(at.error(
            "must contain {job_id}: two agents with one identity throw each other out of the room",
        ));
    }
    let rest = text.replace("{job_id}", "").replace("{agent_name}", "");
    if rest.contains(['{', '}']) {
        return Err(at.error("knows {job_id} and {agent_name} only"));
    }
    Ok(text.to_owned())
}

/// `host:port`, the host an IP address (IPv6 in brackets) or `localhost`.
pub fn listen(at: &At<'_>) -> Result<(String, u16), ConfigError> {
    let form = || at.error("must be an address and a port, such as 127.0.0.1:7890 or [::1]:7890");
    let (host, port) = at.filled_text()?.rsplit_once(':').ok_or_else(form)?;
    let port = port.parse().map_err(|_| form())?;
    match Host::parse(host) {
        Ok(Host::Domain(name)) if name == "localhost" => {}
        Ok(Host::Ipv4(_) | Host::Ipv6(_)) => {}
        _ => return Err(form()),
    }
    Ok((host.to_owned(), port))
}

/// Whether agents reach a listening address as it is: a loopback, or any definite address once plain text is allowed.
pub fn is_reachable(host: &str, allow_insecure: bool) -> bool {
    match Host::parse(host) {
        Ok(Host::Ipv4(ip)) => ip.is_loopback() || (allow_insecure && !ip.is_unspecified()),
        Ok(Host::Ipv6(ip)) => ip.is_loopback() || (allow_insecure && !ip.is_unspecified()),
        _ => true,
    }
}
