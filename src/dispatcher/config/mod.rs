//! The dispatcher's configuration: text and an environment in, a complete and checked configuration out.
//!
//! Decides every default, once, for the YAML file and for the options of a program. It refuses whatever it does not
//! know, whatever would send a secret in plain text off the machine, and whatever could only fail later. It reads no
//! file and no environment by itself.

mod agents;
mod check;
mod reader;
mod text;
mod tree;

use std::collections::BTreeMap;

use crate::dispatcher::config::reader::{At, Style};
use crate::dispatcher::config::tree::Node;
use crate::id::Secret;
use crate::words::JobType;

pub use crate::dispatcher::config::reader::ConfigError;
pub use crate::dispatcher::config::tree::Place;

/// Where the status endpoint listens unless told otherwise.
const DEFAULT_LISTEN: (&str, u16) = ("127.0.0.1", 7890);
/// Where jobs are stored unless told otherwise.
const DEFAULT_STORE: &str = "roomhook.db";
const HOUR_MS: u64 = 3_600_000;
/// How long an agent has to join unless told otherwise.
const DEFAULT_JOIN_TIMEOUT_MS: u64 = 30_000;
/// The longest limit for a job that makes sense: thirty days.
const MAX_DURATION_MS: u64 = 720 * HOUR_MS;

/// Everything a dispatcher needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    pub livekit: LiveKit,
    /// Address and port of the status endpoint; port 0 takes a free one. Default: 127.0.0.1:7890.
    pub listen: (String, u16),
    /// How agents reach the status endpoint, without a trailing slash; `None` = `http://` and the listening address.
    pub public_status_url: Option<String>,
    /// Where jobs are stored. Default: the file `roomhook.db`.
    pub store: StorePath,
    /// How many jobs may be open at a time; more are left to other workers. Default: 1000.
    pub max_jobs: u32,
    /// How long `start` waits for LiveKit, in milliseconds. Default: 10000.
    pub start_timeout_ms: u64,
    /// How long `drain` waits for deliveries, in milliseconds. Default: 30000.
    pub drain_timeout_ms: u64,
    pub agents: Vec<Agent>,
    /// What is allowed but not wise.
    pub warnings: Vec<String>,
}

/// The LiveKit server to serve.
#[derive(Clone, Debug)]
pub struct LiveKit {
    /// `ws:` or `wss:` URL for the worker sockets.
    pub url: String,
    pub api_key: String,
    pub api_secret: Secret<String>,
    /// `ws:` or `wss:` URL that agents join. Default: what LiveKit says in the assignment, else `url`.
    pub public_url: Option<String>,
}

/// Where jobs are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorePath {
    /// In memory: a restart forgets everything.
    Memory,
    /// In a SQLite file.
    File(String),
}

/// One agent name: which jobs it takes, and where they go.
#[derive(Clone, Debug)]
pub struct Agent {
    /// LiveKit's agent name; empty = automatic dispatch.
    pub name: String,
    /// The job types to register for.
    pub job_types: Vec<JobType>,
    /// Template of the identity in the token, with `{job_id}` and `{agent_name}`. Default: `agent-{job_id}`.
    pub participant_identity: String,
    /// The agent's display name. Default: the agent name.
    pub participant_name: String,
    /// The agent's participant metadata. Default: empty.
    pub participant_metadata: String,
    /// The agent's participant attributes, `lk.agent.name` included.
    pub participant_attributes: BTreeMap<String, String>,
    /// Where jobs go, in order of preference.
    pub endpoints: Vec<Endpoint>,
    /// When failed attempts are repeated.
    pub retry: Retry,
    /// How long an endpoint that took a job has until its agent reports or is in the room. Default: 30000.
    pub join_timeout_ms: u64,
    /// How long a job may take, from LiveKit's offer on. Default: no limit.
    pub max_duration_ms: Option<u64>,
}

impl Agent {
    /// The identity of this agent in one job.
    pub fn identity_for(&self, job_id: &str) -> String {
        self.participant_identity
            .replace("{agent_name}", &self.name)
            .replace("{job_id}", job_id)
    }
}

#[derive(Clone, Debug)]
pub struct Endpoint {
    pub url: String,
    /// One to three secrets, newest first.
    pub secrets: Vec<Secret<String>>,
    /// Extra headers, names in lower case.
    pub headers: Vec<(String, Secret<String>)>,
    /// How long one attempt may take, in milliseconds. Default: 10000.
    pub timeout_ms: u64,
}

/// When failed attempts are repeated: wait n is `min(initial × 2^(n-1), max)`, without jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts after the first. Default: 3.
    pub max_retries: u32,
    /// The first wait, in milliseconds. Default: 1000.
    pub initial_wait_ms: u64,
    /// The longest wait, in milliseconds. Default: 10000.
    pub max_wait_ms: u64,
    /// No attempt at an endpoint starts later than this after the first one there, in milliseconds. Default: 60000.
    pub budget_ms: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Retry {
            max_retries: 3,
            initial_wait_ms: 1_000,
            max_wait_ms: 10_000,
            budget_ms: 60_000,
        }
    }
}

impl Config {
    /// Reads a YAML text; `env` answers for `${NAME}`.
    pub fn from_yaml(
        text: &str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Config, ConfigError> {
        read(&tree::from_yaml(text, env)?, Style::Yaml)
    }

    /// Reads the same structure from JSON: keys in camelCase, durations as `…Ms` numbers, no variables.
    pub fn from_options(json: &str) -> Result<Config, ConfigError> {
        read(&tree::from_json(json)?, Style::Options)
    }
}

const KEYS: &[&str] = &[
    "livekit",
    "listen",
    "public_status_url",
    "store",
    "agents",
    "max_jobs",
    "retry",
    "participant_identity",
    "allow_insecure",
];

fn read(node: &Node, style: Style) -> Result<Config, ConfigError> {
    let fields = At::root(node, style).fields(
        KEYS,
        &[
            "start_timeout",
            "drain_timeout",
            "join_timeout",
            "max_duration",
        ],
    )?;
    let allow_insecure = fields.boolean("allow_insecure", false)?;
    let mut warnings = Vec::new();
    let livekit = livekit(&fields.require("livekit")?, allow_insecure)?;
    let listen = match fields.get("listen") {
        Some(at) => check::listen(&at)?,
        None => (DEFAULT_LISTEN.0.to_owned(), DEFAULT_LISTEN.1),
    };
    let public_status_url = match fields.get("public_status_url") {
        Some(at) => Some(base_url(
            &at,
            check::url(&at, &["https"], &["http"], allow_insecure)?,
        )?),
        None => None,
    };
    if public_status_url.is_none() && !check::is_reachable(&listen.0, allow_insecure) {
        let at = fields.get("listen").unwrap_or_else(|| fields.at.clone());
        return Err(at.error(format!(
            "is not a loopback address, so {} must say how agents reach it (a TLS proxy in front)",
            style.name("public_status_url", false)
        )));
    }
    let participant_identity = match fields.get("participant_identity") {
        Some(at) => check::identity(&at)?,
        None => "agent-{job_id}".to_owned(),
    };
    let defaults = agents::Defaults {
        retry: agents::retry(fields.get("retry"), Retry::default())?,
        participant_identity: &participant_identity,
        join_timeout_ms: fields.duration("join_timeout", 1, HOUR_MS, DEFAULT_JOIN_TIMEOUT_MS)?,
        max_duration_ms: fields.optional_duration("max_duration", 1, MAX_DURATION_MS)?,
        allow_insecure,
    };
    let agents = agents::agents(&fields.require("agents")?, &defaults, &mut warnings)?;
    let store = match fields.get("store") {
        Some(at) => match at.filled_text()? {
            ":memory:" => StorePath::Memory,
            path => StorePath::File(path.to_owned()),
        },
        None => StorePath::File(DEFAULT_STORE.to_owned()),
    };
    Ok(Config {
        livekit,
        listen,
        public_status_url,
        store,
        max_jobs: fields.integer("max_jobs", 1, 1_000_000, 1_000)? as u32,
        start_timeout_ms: fields.duration("start_timeout", 1, HOUR_MS, 10_000)?,
        drain_timeout_ms: fields.duration("drain_timeout", 0, HOUR_MS, 30_000)?,
        agents,
        warnings,
    })
}

fn livekit(at: &At<'_>, allow_insecure: bool) -> Result<LiveKit, ConfigError> {
    let fields = at.fields(&["url", "api_key", "api_secret", "public_url"], &[])?;
    let url = socket_url(&fields.require("url")?, allow_insecure)?;
    let public_url = match fields.get("public_url") {
        Some(at) => Some(socket_url(&at, allow_insecure)?),
        None => None,
    };
    Ok(LiveKit {
        url,
        api_key: fields.require("api_key")?.filled_text()?.to_owned(),
        api_secret: Secret::new(fields.require("api_secret")?.filled_text()?.to_owned()),
        public_url,
    })
}

/// A LiveKit URL: people copy it with either scheme, what is kept is the socket's.
fn socket_url(at: &At<'_>, allow_insecure: bool) -> Result<String, ConfigError> {
    let url = check::url(at, &["wss", "https"], &["ws", "http"], allow_insecure)?;
    let text = base_url(at, url)?;
    Ok(match text.strip_prefix("http") {
        Some(rest) => format!("ws{rest}"),
        None => text,
    })
}

/// A URL that paths are appended to.
fn base_url(at: &At<'_>, url: url::Url) -> Result<String, ConfigError> {
    if url.query().is_some() {
        return Err(at.error("must not carry a query (?…)"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod docs_tests;
#[cfg(test)]
mod tests;
