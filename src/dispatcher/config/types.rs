//! A configuration that is complete and checked. Every default is filled in, every text is what it has to be.

use std::collections::BTreeMap;

use crate::id::Secret;
use crate::words::JobType;

/// The fields that hold a time: their name ends in `Ms` in program options.
pub const DURATIONS: &[&str] = &[
    "start_timeout",
    "drain_timeout",
    "join_timeout",
    "max_duration",
    "timeout",
    "initial_wait",
    "max_wait",
    "budget",
];

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
