//! The `agents` section: who is called for which jobs.
//!
//! Decides that one list describes both forms: `endpoints` with several URLs, and the proposal's single `webhook_url`
//! with its keys beside it (`agents: {external_agents: […]}` works unchanged). It refuses two agents of one name, an
//! agent with both forms or neither, and unknown job types.

use std::collections::BTreeMap;

use crate::dispatcher::config::reader::{At, ConfigError, Fields};
use crate::dispatcher::config::{check, Agent, Endpoint, Retry, HOUR_MS, MAX_DURATION_MS};
use crate::words::JobType;

/// The longest time one attempt may take: ten minutes.
const MAX_TIMEOUT_MS: u64 = 600_000;
/// The longest time one delivery may take: a join token lives an hour, and the last five minutes of it are not used.
const MAX_BUDGET_MS: u64 = 3_300_000;

/// What every agent starts from.
pub struct Defaults<'a> {
    /// The schedule at the top of the configuration.
    pub retry: Retry,
    /// The identity template at the top.
    pub participant_identity: &'a str,
    /// How long an agent has to join, at the top.
    pub join_timeout_ms: u64,
    /// How long a job may take, at the top.
    pub max_duration_ms: Option<u64>,
    /// Whether plain text off the machine is allowed at the top.
    pub allow_insecure: bool,
}

/// Reads the section. Agents that are not enabled are left out.
pub fn agents(
    at: &At<'_>,
    defaults: &Defaults<'_>,
    warnings: &mut Vec<String>,
) -> Result<Vec<Agent>, ConfigError> {
    let list = if at.is_list() {
        at.clone()
    } else {
        let fields = at.fields(&["external_agents", "enable_user_data_recording"], &[])?;
        if let Some(recording) = fields.get("enable_user_data_recording") {
            if recording.boolean()? {
                return Err(recording
                    .error("is a setting of the LiveKit server; set it there and remove it here"));
            }
        }
        fields.require("external_agents")?
    };
    let mut agents: Vec<Agent> = Vec::new();
    let mut names = Vec::new();
    for item in list.list()? {
        let (agent, enabled) = agent(&item, defaults, warnings)?;
        if names.contains(&agent.name) {
            return Err(item.error(
                "has the name of an earlier agent; give one agent several endpoints instead",
            ));
        }
        names.push(agent.name.clone());
        if enabled {
            agents.push(agent);
        }
    }
    if agents.is_empty() {
        return Err(list.error("must hold at least one enabled agent"));
    }
    Ok(agents)
}

pub(super) const AGENT_KEYS: &[&str] = &[
    "name",
    "enabled",
    "job_types",
    "endpoints",
    "webhook_url",
    "secret",
    "secrets",
    "headers",
    "allow_insecure",
    "retry",
    "participant_identity",
    "participant_name",
    "participant_metadata",
    "participant_attributes",
];

fn agent(
    at: &At<'_>,
    defaults: &Defaults<'_>,
    warnings: &mut Vec<String>,
) -> Result<(Agent, bool), ConfigError> {
    let fields = at.fields(AGENT_KEYS, &["timeout", "join_timeout", "max_duration"])?;
    let name = fields.require("name")?.text()?.to_owned();
    let endpoints = endpoints(&fields, defaults, warnings)?;
    let participant_identity = match fields.get("participant_identity") {
        Some(at) => check::identity(&at)?,
        None => defaults.participant_identity.to_owned(),
    };
    let agent = Agent {
        job_types: job_types(&fields.require("job_types")?)?,
        participant_identity,
        participant_name: fields
            .text("participant_name")?
            .unwrap_or_else(|| name.clone()),
        participant_metadata: fields.text("participant_metadata")?.unwrap_or_default(),
        participant_attributes: attributes(&fields, &name)?,
        endpoints,
        retry: retry(fields.get("retry"), defaults.retry)?,
        join_timeout_ms: fields.duration("join_timeout", 1, HOUR_MS, defaults.join_timeout_ms)?,
        max_duration_ms: fields
            .optional_duration("max_duration", 1, MAX_DURATION_MS)?
            .or(defaults.max_duration_ms),
        name,
    };
    Ok((agent, fields.boolean("enabled", true)?))
}

fn job_types(at: &At<'_>) -> Result<Vec<JobType>, ConfigError> {
    let mut types = Vec::new();
    for item in at.list()? {
        let job_type = JobType::parse(item.text()?)
            .ok_or_else(|| item.error("must be one of JT_ROOM, JT_PUBLISHER, JT_PARTICIPANT"))?;
        if types.contains(&job_type) {
            return Err(item.error("is there twice"));
        }
        types.push(job_type);
    }
    if types.is_empty() {
        return Err(at.error("must hold at least one of JT_ROOM, JT_PUBLISHER, JT_PARTICIPANT"));
    }
    Ok(types)
}

fn attributes(fields: &Fields<'_>, name: &str) -> Result<BTreeMap<String, String>, ConfigError> {
    // LiveKit forces lk.agent_name; what reads it on the other side looks for the spelling with a dot.
    let mut attributes = BTreeMap::from([("lk.agent.name".to_owned(), name.to_owned())]);
    if let Some(at) = fields.get("participant_attributes") {
        for (key, value) in at.entries()? {
            if key == "lk.agent_name" || key == "lk.agent.name" {
                return Err(value.error("is always the agent's name and cannot be replaced"));
            }
            attributes.insert(key.to_owned(), value.text()?.to_owned());
        }
    }
    Ok(attributes)
}

fn endpoints(
    fields: &Fields<'_>,
    defaults: &Defaults<'_>,
    warnings: &mut Vec<String>,
) -> Result<Vec<Endpoint>, ConfigError> {
    let Some(list) = fields.get("endpoints") else {
        let missing = |_| {
            let endpoints = fields.at.style().name("endpoints", false);
            let webhook_url = fields.at.style().name("webhook_url", false);
            fields
                .at
                .error(format!("needs {endpoints}, or one {webhook_url}"))
        };
        let url = fields.require("webhook_url").map_err(missing)?;
        return Ok(vec![endpoint(
            fields,
            &url,
            defaults.allow_insecure,
            warnings,
        )?]);
    };
    for key in [
        "webhook_url",
        "secret",
        "secrets",
        "headers",
        "allow_insecure",
    ] {
        if let Some(at) = fields.get(key) {
            return Err(at.error("belongs into each of the endpoints when there is a list of them"));
        }
    }
    let timeout = fields.duration("timeout", 1, MAX_TIMEOUT_MS, 0)?;
    if timeout != 0 {
        return Err(fields
            .at
            .error("has a timeout beside its list of endpoints; it belongs into each of them"));
    }
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for item in list.list()? {
        let keys = ["url", "secret", "secrets", "headers", "allow_insecure"];
        let fields = item.fields(&keys, &["timeout"])?;
        let endpoint = endpoint(
            &fields,
            &fields.require("url")?,
            defaults.allow_insecure,
            warnings,
        )?;
        if endpoints.iter().any(|other| other.url == endpoint.url) {
            return Err(item.error("has the URL of an earlier endpoint"));
        }
        endpoints.push(endpoint);
    }
    if endpoints.is_empty() {
        return Err(list.error("must hold at least one endpoint"));
    }
    Ok(endpoints)
}

fn endpoint(
    fields: &Fields<'_>,
    url: &At<'_>,
    allow_insecure: bool,
    warnings: &mut Vec<String>,
) -> Result<Endpoint, ConfigError> {
    let allow_insecure = fields.boolean("allow_insecure", allow_insecure)?;
    let secrets = match (fields.get("secret"), fields.get("secrets")) {
        (Some(_), Some(both)) => {
            return Err(both.error("and secret are both there; keep one of them"))
        }
        (Some(one), None) if one.is_list() => {
            return Err(one.error("must be one text; a list is called secrets"))
        }
        (Some(at), None) | (None, Some(at)) => check::secrets(&at, warnings)?,
        (None, None) => {
            return Err(fields
                .require("secret")
                .err()
                .unwrap_or_else(|| fields.at.error("needs a secret")))
        }
    };
    Ok(Endpoint {
        url: check::url(url, &["https"], &["http"], allow_insecure)?.to_string(),
        secrets,
        headers: fields
            .get("headers")
            .map_or(Ok(Vec::new()), |at| check::headers(&at))?,
        timeout_ms: fields.duration("timeout", 1, MAX_TIMEOUT_MS, 10_000)?,
    })
}

/// Reads a retry schedule; what it does not say comes from `base`.
pub fn retry(at: Option<At<'_>>, base: Retry) -> Result<Retry, ConfigError> {
    let Some(at) = at else {
        return Ok(base);
    };
    let fields = at.fields(&["max_retries"], &["initial_wait", "max_wait", "budget"])?;
    Ok(Retry {
        max_retries: fields.integer("max_retries", 0, 100, base.max_retries.into())? as u32,
        initial_wait_ms: fields.duration("initial_wait", 0, MAX_BUDGET_MS, base.initial_wait_ms)?,
        max_wait_ms: fields.duration("max_wait", 0, MAX_BUDGET_MS, base.max_wait_ms)?,
        budget_ms: fields.duration("budget", 1, MAX_BUDGET_MS, base.budget_ms)?,
    })
}
