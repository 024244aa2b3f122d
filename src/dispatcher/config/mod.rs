//! The dispatcher's configuration: text and an environment in, a complete and checked configuration out.
//!
//! Decides every default, once, for the YAML file and for the options of a program. It refuses whatever it does not
//! know, whatever would send a secret in plain text off the machine, and whatever could only fail later. It reads no
//! file and no environment by itself.

mod agents;
mod check;
mod error;
mod field;
mod file;
mod types;

use crate::address::{self, Protocol};
use crate::dispatcher::config::error::Style;
use crate::dispatcher::config::field::{At, Field, Map, Reading, Scalar};
use crate::dispatcher::config::file::{LiveKitFile, SharedFile};
use crate::id::Secret;

pub use crate::dispatcher::config::error::{ConfigError, Place};
pub use crate::dispatcher::config::types::{Agent, Config, Endpoint, LiveKit, Retry, StorePath};

/// Where the status endpoint listens unless told otherwise.
const DEFAULT_LISTEN: (&str, u16) = ("127.0.0.1", 7890);
/// Where jobs are stored unless told otherwise.
const DEFAULT_STORE: &str = "roomhook.db";
const HOUR_MS: u64 = 3_600_000;
/// How long an agent has to join unless told otherwise.
const DEFAULT_JOIN_TIMEOUT_MS: u64 = 30_000;

impl Config {
    /// Reads a YAML text; `env` answers for `${NAME}`.
    pub fn from_yaml(
        text: &str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Config, ConfigError> {
        let style = Style::Yaml;
        build(&file::from_yaml(text)?, Reading { style, env })
    }

    /// Reads the same structure from JSON: keys in camelCase, durations as `…Ms` numbers, no variables.
    pub fn from_options(json: &str) -> Result<Config, ConfigError> {
        let (style, env) = (Style::Options, &|_: &str| None);
        build(&file::from_options(json)?, Reading { style, env })
    }
}

fn build(file: &Field<SharedFile>, reading: Reading<'_>) -> Result<Config, ConfigError> {
    let root = At::root(reading, file);
    let SharedFile {
        ours: file,
        servers,
    } = root.need()?;
    let mut warnings: Vec<String> = servers.iter().map(|key| check::servers_own(key)).collect();
    let allow_insecure = root.get("allow_insecure", &file.allow_insecure).boolean()?;
    let allow_insecure = allow_insecure.unwrap_or(false);
    let livekit = livekit(&root.get("livekit", &file.livekit), allow_insecure)?;
    let at = root.get("listen", &file.listen);
    let listen = match at.filled_text()? {
        Some(text) => check::listen(&at, &text)?,
        None => (DEFAULT_LISTEN.0.to_owned(), DEFAULT_LISTEN.1),
    };
    let public = root.get("public_status_url", &file.public_status_url);
    let public_status_url = match public.filled_text()? {
        Some(text) => {
            let url = check::url(&public, &text, Protocol::Http, allow_insecure)?;
            Some(check::base_url(&public, url)?)
        }
        None if !check::is_reachable(&listen.0, allow_insecure) => {
            return Err(at.error(format!(
            "is not a loopback address, so {} must say how agents reach it (a TLS proxy in front)",
            root.name("public_status_url")
        )))
        }
        None => None,
    };
    let duration = |name, field, min, default: u64| {
        let given = root.get(name, field).duration(min, HOUR_MS)?;
        Ok(given.unwrap_or(default))
    };
    let identity = check::identity(&root.get("participant_identity", &file.participant_identity))?;
    let defaults = agents::Defaults {
        retry: agents::retry(&root.get("retry", &file.retry), Retry::default())?,
        participant_identity: identity.unwrap_or_else(|| "agent-{job_id}".to_owned()),
        join_timeout_ms: duration(
            "join_timeout",
            &file.join_timeout,
            1,
            DEFAULT_JOIN_TIMEOUT_MS,
        )?,
        max_duration_ms: root
            .get("max_duration", &file.max_duration)
            .duration(1, agents::MAX_DURATION_MS)?,
        allow_insecure,
    };
    let agents = agents::agents(&root.get("agents", &file.agents), &defaults, &mut warnings)?;
    let store = match root.get("store", &file.store).filled_text()?.as_deref() {
        Some(":memory:") => StorePath::Memory,
        path => StorePath::File(path.unwrap_or(DEFAULT_STORE).to_owned()),
    };
    let max_jobs = root.get("max_jobs", &file.max_jobs).integer(1, 1_000_000)?;
    Ok(Config {
        livekit,
        listen,
        public_status_url,
        store,
        max_jobs: max_jobs.unwrap_or(1_000) as u32,
        start_timeout_ms: duration("start_timeout", &file.start_timeout, 1, 10_000)?,
        drain_timeout_ms: duration("drain_timeout", &file.drain_timeout, 0, 30_000)?,
        agents,
        warnings,
    })
}

fn livekit(at: &At<'_, Map<LiveKitFile>>, allow_insecure: bool) -> Result<LiveKit, ConfigError> {
    let file = at.need_map()?;
    let socket_url = |at: &At<'_, Scalar>, text: &str| {
        let url = check::url(at, text, Protocol::LiveKit, allow_insecure)?;
        // People copy it with either scheme; what is kept is the socket's.
        check::base_url(at, address::over_websocket(&url).unwrap_or(url))
    };
    let url = at.get("url", &file.url);
    let public = at.get("public_url", &file.public_url);
    Ok(LiveKit {
        url: socket_url(&url, &url.need_text()?)?,
        api_key: at.get("api_key", &file.api_key).need_text()?,
        api_secret: Secret::new(at.get("api_secret", &file.api_secret).need_text()?),
        public_url: match public.filled_text()? {
            Some(text) => Some(socket_url(&public, &text)?),
            None => None,
        },
    })
}

#[cfg(test)]
mod docs_tests;
#[cfg(test)]
mod tests;
