//! The `agents` section: who is called for which jobs.
//!
//! Decides that one list describes both forms: `endpoints` with several URLs, and the proposal's single `webhook_url`
//! with its keys beside it (`agents: {external_agents: […]}` works unchanged). It refuses two agents of one name, an
//! agent with both forms or neither, and unknown job types.

use std::collections::BTreeMap;

use crate::address::Protocol;
use crate::dispatcher::config::check;
use crate::dispatcher::config::error::ConfigError;
use crate::dispatcher::config::field::{At, Field, List, Map, Scalar};
use crate::dispatcher::config::file::{AgentFile, Agents, EndpointFile, RetryFile, Texts};
use crate::dispatcher::config::types::{Agent, Endpoint, Retry};
use crate::words::JobType;

/// The longest time one attempt may take: ten minutes.
const MAX_TIMEOUT_MS: u64 = 600_000;
/// The longest time one delivery may take: a join token lives an hour, and the last five minutes of it are not used.
const MAX_BUDGET_MS: u64 = 3_300_000;

/// The longest time that an agent has to join.
const MAX_JOIN_TIMEOUT_MS: u64 = 3_600_000;
/// The longest limit for a job that makes sense: thirty days.
pub const MAX_DURATION_MS: u64 = 30 * 24 * 3_600_000;

/// What every agent starts from.
pub struct Defaults {
    /// The schedule at the top of the configuration.
    pub retry: Retry,
    /// The identity template at the top.
    pub participant_identity: String,
    /// How long an agent has to join, at the top.
    pub join_timeout_ms: u64,
    /// How long a job may take, at the top.
    pub max_duration_ms: Option<u64>,
    /// Whether plain text off the machine is allowed at the top.
    pub allow_insecure: bool,
}

/// Reads the section. Agents that are not enabled are left out.
pub fn agents(
    at: &At<'_, Agents>,
    defaults: &Defaults,
    warnings: &mut Vec<String>,
) -> Result<Vec<Agent>, ConfigError> {
    let (list, items) = match at.need()? {
        Agents::List(List(items)) => (None, items),
        Agents::Section {
            external_agents,
            servers,
        } => {
            let list = at.get("external_agents", external_agents);
            let Some(List(items)) = list.value else {
                let name = at.name("external_agents");
                return Err(at.error(format!(
                    "must be a list of agents (in YAML each begins with a -), or hold such a list as {name}"
                )));
            };
            let servers = servers.iter().map(|key| format!("{}.{key}", at.path));
            warnings.extend(servers.map(|key| check::servers_own(&key)));
            (Some(list), items)
        }
    };
    let mut agents: Vec<Agent> = Vec::new();
    let mut names = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let at = match &list {
            Some(list) => list.item(index, item),
            None => at.item(index, item),
        };
        let agent = agent(&at, defaults, warnings)?;
        if names.contains(&agent.name) {
            return Err(at.error(
                "has the name of an earlier agent; give one agent several endpoints instead",
            ));
        }
        names.push(agent.name.clone());
        let enabled = at.get("enabled", &at.need_map()?.enabled).boolean()?;
        if enabled.unwrap_or(true) {
            agents.push(agent);
        }
    }
    match agents.is_empty() {
        true => Err(at.error("must hold at least one enabled agent")),
        false => Ok(agents),
    }
}

fn agent(
    at: &At<'_, Map<AgentFile>>,
    defaults: &Defaults,
    warnings: &mut Vec<String>,
) -> Result<Agent, ConfigError> {
    let file = at.need_map()?;
    let name = at.get("name", &file.name);
    name.need()?;
    let name = name.text()?.unwrap_or_default();
    let endpoints = endpoints(at, file, defaults, warnings)?;
    let identity = check::identity(&at.get("participant_identity", &file.participant_identity))?;
    let text = |name, field| at.get(name, field).text();
    Ok(Agent {
        job_types: job_types(&at.get("job_types", &file.job_types))?,
        participant_identity: identity.unwrap_or_else(|| defaults.participant_identity.clone()),
        participant_name: text("participant_name", &file.participant_name)?
            .unwrap_or_else(|| name.clone()),
        participant_metadata: text("participant_metadata", &file.participant_metadata)?
            .unwrap_or_default(),
        participant_attributes: attributes(at, &file.participant_attributes, &name)?,
        endpoints,
        retry: retry(&at.get("retry", &file.retry), defaults.retry)?,
        join_timeout_ms: at
            .get("join_timeout", &file.join_timeout)
            .duration(1, MAX_JOIN_TIMEOUT_MS)?
            .unwrap_or(defaults.join_timeout_ms),
        max_duration_ms: at
            .get("max_duration", &file.max_duration)
            .duration(1, MAX_DURATION_MS)?
            .or(defaults.max_duration_ms),
        name,
    })
}

fn job_types(at: &At<'_, List<Field<Scalar>>>) -> Result<Vec<JobType>, ConfigError> {
    const KNOWN: &str = "JT_ROOM, JT_PUBLISHER, JT_PARTICIPANT";
    let mut types = Vec::new();
    for (index, field) in at.need()?.0.iter().enumerate() {
        let item = at.item(index, field);
        let job_type = item.text()?.as_deref().and_then(JobType::parse);
        let job_type = job_type.ok_or_else(|| item.error(format!("must be one of {KNOWN}")))?;
        if types.contains(&job_type) {
            return Err(item.error("is there twice"));
        }
        types.push(job_type);
    }
    if types.is_empty() {
        return Err(at.error(format!("must hold at least one of {KNOWN}")));
    }
    Ok(types)
}

fn attributes<T>(
    at: &At<'_, T>,
    texts: &Field<Map<Texts>>,
    name: &str,
) -> Result<BTreeMap<String, String>, ConfigError> {
    // LiveKit forces lk.agent_name; what reads it on the other side looks for the spelling with a dot.
    let mut attributes = BTreeMap::from([("lk.agent.name".to_owned(), name.to_owned())]);
    let at = at.get("participant_attributes", texts);
    for (key, value) in at.value.iter().flat_map(|map| &map.0) {
        let value = at.entry(key, value);
        if key == "lk.agent_name" || key == "lk.agent.name" {
            return Err(value.error("is always the agent's name and cannot be replaced"));
        }
        attributes.insert(key.clone(), value.text()?.unwrap_or_default());
    }
    Ok(attributes)
}

fn endpoints(
    at: &At<'_, Map<AgentFile>>,
    file: &AgentFile,
    defaults: &Defaults,
    warnings: &mut Vec<String>,
) -> Result<Vec<Endpoint>, ConfigError> {
    let one = EndpointFile {
        url: file.webhook_url.clone(),
        secret: file.secret.clone(),
        secrets: file.secrets.clone(),
        headers: file.headers.clone(),
        timeout: file.timeout.clone(),
        allow_insecure: file.allow_insecure.clone(),
    };
    let list = at.get("endpoints", &file.endpoints);
    let Some(List(items)) = list.value else {
        if one.url.value.is_none() {
            let (endpoints, webhook_url) = (at.name("endpoints"), at.name("webhook_url"));
            return Err(at.error(format!("needs {endpoints}, or one {webhook_url}")));
        }
        let url = at.get("webhook_url", &one.url);
        return Ok(vec![endpoint(at, &url, &one, defaults, warnings)?]);
    };
    const WHY: &str = "belongs into each of the endpoints when there is a list of them";
    at.get("webhook_url", &one.url).forbid(WHY)?;
    at.get("secret", &one.secret).forbid(WHY)?;
    at.get("secrets", &one.secrets).forbid(WHY)?;
    at.get("headers", &one.headers).forbid(WHY)?;
    at.get("timeout", &one.timeout).forbid(WHY)?;
    at.get("allow_insecure", &one.allow_insecure).forbid(WHY)?;
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let item = list.item(index, item);
        let file = item.need_map()?;
        let url = item.get("url", &file.url);
        let endpoint = endpoint(&item, &url, file, defaults, warnings)?;
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

fn endpoint<T>(
    at: &At<'_, T>,
    url: &At<'_, Scalar>,
    file: &EndpointFile,
    defaults: &Defaults,
    warnings: &mut Vec<String>,
) -> Result<Endpoint, ConfigError> {
    let allow_insecure = at.get("allow_insecure", &file.allow_insecure).boolean()?;
    let allow_insecure = allow_insecure.unwrap_or(defaults.allow_insecure);
    let (secret, secrets) = (
        at.get("secret", &file.secret),
        at.get("secrets", &file.secrets),
    );
    let timeout = at.get("timeout", &file.timeout);
    Ok(Endpoint {
        secrets: check::secrets(&secret, &secrets, warnings)?,
        url: check::url(url, &url.need_text()?, Protocol::Http, allow_insecure)?.to_string(),
        headers: check::headers(&at.get("headers", &file.headers))?,
        timeout_ms: timeout.duration(1, MAX_TIMEOUT_MS)?.unwrap_or(10_000),
    })
}

/// Reads a retry schedule; what it does not say comes from `base`.
pub fn retry(at: &At<'_, Map<RetryFile>>, base: Retry) -> Result<Retry, ConfigError> {
    let Some(Map(file)) = at.value else {
        return Ok(base);
    };
    let duration = |name, field, min| at.get(name, field).duration(min, MAX_BUDGET_MS);
    let max_retries = at.get("max_retries", &file.max_retries).integer(0, 100)?;
    Ok(Retry {
        max_retries: max_retries.map_or(base.max_retries, |count| count as u32),
        initial_wait_ms: duration("initial_wait", &file.initial_wait, 0)?
            .unwrap_or(base.initial_wait_ms),
        max_wait_ms: duration("max_wait", &file.max_wait, 0)?.unwrap_or(base.max_wait_ms),
        budget_ms: duration("budget", &file.budget, 1)?.unwrap_or(base.budget_ms),
    })
}
