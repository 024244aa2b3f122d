//! Where inference requests go and with which key: functions of what was given and of an environment passed in.
//!
//! Refuses a URL with credentials, a query or a fragment, and an empty key: an empty `Authorization` is never sent.

#![forbid(unsafe_code)]

use url::Url;

use crate::id::Secret;

const PRODUCTION: &str = "https://agent-gateway.livekit.cloud/v1";
const STAGING: &str = "https://agent-gateway.staging.livekit.cloud/v1";

/// Every variable that is looked at.
pub const VARIABLES: [&str; 6] = [
    "LIVEKIT_INFERENCE_URL",
    "LIVEKIT_URL",
    "LIVEKIT_INFERENCE_API_KEY",
    "LIVEKIT_INFERENCE_API_SECRET",
    "LIVEKIT_API_KEY",
    "LIVEKIT_API_SECRET",
];

/// What is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    #[error("apiKey is required: pass it, or set LIVEKIT_INFERENCE_API_KEY or LIVEKIT_API_KEY")]
    KeyRequired,
    #[error(
        "apiSecret is required: pass it, or set LIVEKIT_INFERENCE_API_SECRET or LIVEKIT_API_SECRET"
    )]
    SecretRequired,
    /// A base URL that cannot be used; it is named by where it came from, never repeated.
    #[error("{origin} must be {expected}")]
    Url {
        /// The option or variable.
        origin: &'static str,
        expected: &'static str,
    },
}

/// The key and the secret that sign tokens.
#[derive(Clone, Debug)]
pub struct Keys {
    pub api_key: String,
    pub api_secret: Secret<String>,
}

/// The environment: a variable's value, if it is set.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The base URL: the one given, else `LIVEKIT_INFERENCE_URL`, else LiveKit's staging or production gateway. `http` or
/// `https`, without a slash at the end.
pub fn base_url(given: Option<&str>, env: Environment<'_>) -> Result<String, GatewayError> {
    if let Some(url) = given {
        return normalise(url, "baseURL");
    }
    if let Some(url) = set(env, "LIVEKIT_INFERENCE_URL") {
        return normalise(&url, "LIVEKIT_INFERENCE_URL");
    }
    let staging = set(env, "LIVEKIT_URL").is_some_and(|url| url.contains(".staging.livekit.cloud"));
    Ok(if staging { STAGING } else { PRODUCTION }.to_owned())
}

/// The keys: those given, else the `LIVEKIT_INFERENCE_` ones, else the `LIVEKIT_` ones. Each is looked up by itself.
pub fn keys(
    api_key: Option<&str>,
    api_secret: Option<&str>,
    env: Environment<'_>,
) -> Result<Keys, GatewayError> {
    let find = |given: Option<&str>, first: &str, second: &str| {
        given
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
            .or_else(|| set(env, first))
            .or_else(|| set(env, second))
    };
    Ok(Keys {
        api_key: find(api_key, "LIVEKIT_INFERENCE_API_KEY", "LIVEKIT_API_KEY")
            .ok_or(GatewayError::KeyRequired)?,
        api_secret: find(
            api_secret,
            "LIVEKIT_INFERENCE_API_SECRET",
            "LIVEKIT_API_SECRET",
        )
        .map(Secret::new)
        .ok_or(GatewayError::SecretRequired)?,
    })
}

/// The WebSocket URL of a service below a base URL from [`base_url`].
pub fn socket_url(base: &str, service: &str, query: &[(String, String)]) -> Option<Url> {
    let mut url = Url::parse(&format!("ws{}/{service}", base.strip_prefix("http")?)).ok()?;
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    Some(url)
}

fn set(env: Environment<'_>, name: &str) -> Option<String> {
    env(name).filter(|value| !value.is_empty())
}

fn normalise(text: &str, origin: &'static str) -> Result<String, GatewayError> {
    let wrong = |expected| GatewayError::Url { origin, expected };
    let url = Url::parse(text).map_err(|_| wrong("an absolute URL"))?;
    let secure = match url.scheme() {
        "https" | "wss" => "s",
        "http" | "ws" => "",
        _ => return Err(wrong("a URL with http, https, ws or wss")),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("a URL without user name and password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("a URL without query and fragment"));
    }
    let Some((_, rest)) = url.as_str().split_once("://") else {
        return Err(wrong("a URL with a host"));
    };
    Ok(format!("http{secure}://{}", rest.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn s0_14_both_required_errors_say_what_to_set() {
        assert_eq!(
            keys(Some(""), Some("s"), &none).unwrap_err(),
            GatewayError::KeyRequired
        );
        assert_eq!(
            keys(Some("k"), None, &none).unwrap_err(),
            GatewayError::SecretRequired
        );
        assert!(GatewayError::KeyRequired
            .to_string()
            .starts_with("apiKey is required"));
        assert!(GatewayError::SecretRequired
            .to_string()
            .starts_with("apiSecret is required"));
    }

    #[test]
    fn a_base_url_error_names_its_origin_and_repeats_nothing() {
        let secretive = "https://user:canary@gateway.example/v1?canary=1#canary";
        let env = |name: &str| (name == "LIVEKIT_INFERENCE_URL").then(|| secretive.to_owned());
        let error = base_url(None, &env).unwrap_err().to_string();
        assert!(
            error.starts_with("LIVEKIT_INFERENCE_URL must be"),
            "{error}"
        );
        assert!(!error.contains("canary"), "{error}");
    }

    #[test]
    fn a_socket_url_keeps_the_path_and_encodes_the_query() {
        let query = [("model".to_owned(), "deepgram/nova-3 x&y".to_owned())];
        let url = socket_url("https://gateway.example/v1", "stt", &query).unwrap();
        assert_eq!(
            url.as_str(),
            "wss://gateway.example/v1/stt?model=deepgram%2Fnova-3+x%26y"
        );
        assert_eq!(
            socket_url("http://127.0.0.1:7880", "eot", &[])
                .unwrap()
                .as_str(),
            "ws://127.0.0.1:7880/eot"
        );
    }
}
