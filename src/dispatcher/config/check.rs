//! Rules for single values: URLs, secrets, headers, identities, addresses.
//!
//! Decides what is safe to send a token or a signature to. It refuses plain text off the machine, user names in URLs,
//! secrets that can be guessed, and headers that would replace the dispatcher's own. No message repeats a value.

use url::{Host, Url};

use crate::address::{self, AddressError, PlainText, Protocol};
use crate::dispatcher::config::error::ConfigError;
use crate::dispatcher::config::field::{At, Field, List, Map, Scalar};
use crate::dispatcher::config::file::Texts;
use crate::id::Secret;
use crate::secret::{check_count, key_bytes, STRONG_SECRET_BYTES};

/// The warning about a key of livekit-server's.
pub fn servers_own(key: &str) -> String {
    let shown: String = key.chars().filter(|c| !c.is_control()).take(60).collect();
    format!(
        "{shown} is a setting of the LiveKit server and does nothing here; the server must have it in its own configuration"
    )
}

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

/// A URL, with TLS unless it stays on this machine or `allow_insecure` says otherwise.
pub fn url(
    at: &At<'_, Scalar>,
    text: &str,
    protocol: Protocol,
    allow_insecure: bool,
) -> Result<Url, ConfigError> {
    let plain = match allow_insecure {
        true => PlainText::Anywhere,
        false => PlainText::ThisMachine,
    };
    let url = address::parse(text, protocol, plain).map_err(|error| {
        let fix = match error {
            AddressError::PlainText(..) => format!(", or set {}: true", at.name("allow_insecure")),
            AddressError::UserInfo => "; use headers for credentials".to_owned(),
            _ => String::new(),
        };
        at.error(format!("{error}{fix}"))
    })?;
    if url.fragment().is_some() {
        return Err(at.error("must not carry a fragment (#…)"));
    }
    Ok(url)
}

/// A URL that paths are appended to.
pub fn base_url(at: &At<'_, Scalar>, url: Url) -> Result<String, ConfigError> {
    if url.query().is_some() {
        return Err(at.error("must not carry a query (?…)"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// The secrets of one endpoint, under either name.
pub fn secrets(
    one: &At<'_, Scalar>,
    several: &At<'_, List<Field<Scalar>>>,
    warnings: &mut Vec<String>,
) -> Result<Vec<Secret<String>>, ConfigError> {
    let Some(List(items)) = several.value else {
        if let Some(Scalar::Array(_)) = one.value {
            return Err(one.error(format!(
                "must be one text; a list is called {}",
                one.name("secrets")
            )));
        }
        return Ok(vec![secret(one, warnings)?]);
    };
    if one.value.is_some() {
        return Err(several.error("and secret are both there; keep one of them"));
    }
    check_count(items.len()).map_err(|flaw| several.error(flaw.to_string()))?;
    let items = items.iter().enumerate();
    items
        .map(|(index, item)| secret(&several.item(index, item), warnings))
        .collect()
}

fn secret(at: &At<'_, Scalar>, warnings: &mut Vec<String>) -> Result<Secret<String>, ConfigError> {
    let text = at.need_text()?;
    let key = key_bytes(&text).map_err(|flaw| at.error(flaw.to_string()))?;
    let bytes = key.len();
    if bytes < STRONG_SECRET_BYTES {
        warnings.push(format!(
            "{} is {bytes} bytes long; {STRONG_SECRET_BYTES} or more are safer",
            at.path
        ));
    }
    Ok(Secret::new(text))
}

pub fn headers(at: &At<'_, Map<Texts>>) -> Result<Vec<(String, Secret<String>)>, ConfigError> {
    let mut headers: Vec<(String, Secret<String>)> = Vec::new();
    for (name, value) in at.value.iter().flat_map(|map| &map.0) {
        let value = at.entry(name, value);
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
        let text = value.text()?.unwrap_or_default();
        if text.trim() != text
            || !text
                .bytes()
                .all(|byte| byte == b'\t' || (0x20..0x7f).contains(&byte))
        {
            return Err(value.error("must be visible ASCII without line ends or outer spaces"));
        }
        headers.push((lower, Secret::new(text)));
    }
    Ok(headers)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The template of the agent's identity. The job id keeps two jobs in one room from throwing each other out.
pub fn identity(at: &At<'_, Scalar>) -> Result<Option<String>, ConfigError> {
    let Some(text) = at.filled_text()? else {
        return Ok(None);
    };
    if !text.contains("{job_id}") {
        return Err(at.error(
            "must contain {job_id}: two agents with one identity throw each other out of the room",
        ));
    }
    let rest = text.replace("{job_id}", "").replace("{agent_name}", "");
    if rest.contains(['{', '}']) {
        return Err(at.error("knows {job_id} and {agent_name} only"));
    }
    Ok(Some(text))
}

/// `host:port`, the host an IP address (IPv6 in brackets) or `localhost`.
pub fn listen(at: &At<'_, Scalar>, text: &str) -> Result<(String, u16), ConfigError> {
    let form = || at.error("must be an address and a port, such as 127.0.0.1:7890 or [::1]:7890");
    let (host, port) = text.rsplit_once(':').ok_or_else(form)?;
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
