//! The configured agents, made ready for use: keys prepared, URLs parsed, schedules translated.
//!
//! Decides what the machine's plan for an agent is. It refuses nothing that the configuration has let through, except
//! what only the real types can judge.

use std::collections::BTreeMap;

use url::Url;

use crate::dispatcher::config::{Agent, Endpoint};
use crate::dispatcher::machine::{Plan, Route};
use crate::error::{Code, Error};
use crate::retry::Schedule;
use crate::secret::{SecretOptions, Secrets};

pub struct ReadyAgent {
    pub agent: Agent,
    /// What the machine decides by.
    pub plan: Plan,
    /// In the order of the plan.
    pub endpoints: Vec<ReadyEndpoint>,
}

pub struct ReadyEndpoint {
    pub url: Url,
    /// How events name it: without the query, which may hold a secret.
    pub shown: String,
    /// The keys to sign with.
    pub secrets: Secrets,
    pub headers: Vec<(String, String)>,
}

/// Every agent by its name.
pub fn ready(agents: &[Agent]) -> Result<BTreeMap<String, ReadyAgent>, Error> {
    agents
        .iter()
        .map(|agent| Ok((agent.name.clone(), ready_agent(agent)?)))
        .collect()
}

fn ready_agent(agent: &Agent) -> Result<ReadyAgent, Error> {
    let endpoints: Result<Vec<ReadyEndpoint>, Error> =
        agent.endpoints.iter().map(ready_endpoint).collect();
    let routes = agent.endpoints.iter().map(|endpoint| Route {
        url: endpoint.url.clone(),
        timeout_ms: endpoint.timeout_ms,
    });
    Ok(ReadyAgent {
        plan: Plan {
            endpoints: routes.collect(),
            schedule: Some(Schedule {
                initial_ms: agent.retry.initial_wait_ms,
                max_ms: agent.retry.max_wait_ms,
                max_attempts: agent.retry.max_retries + 1,
                budget_ms: agent.retry.budget_ms,
            }),
            join_timeout_ms: agent.join_timeout_ms,
            max_duration_ms: agent.max_duration_ms,
        },
        endpoints: endpoints?,
        agent: agent.clone(),
    })
}

fn ready_endpoint(endpoint: &Endpoint) -> Result<ReadyEndpoint, Error> {
    let url = Url::parse(&endpoint.url).map_err(|error| {
        Error::new(Code::ConfigInvalid, "an endpoint's URL cannot be parsed").with_source(error)
    })?;
    let mut shown = url.clone();
    shown.set_query(None);
    let options: Vec<SecretOptions> = (endpoint.secrets.iter())
        .map(|secret| SecretOptions::new(secret.expose().clone()))
        .collect();
    let secrets = Secrets::new(&options)?;
    let headers = endpoint
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), value.expose().clone()));
    Ok(ReadyEndpoint {
        shown: shown.into(),
        secrets,
        headers: headers.collect(),
        url,
    })
}
