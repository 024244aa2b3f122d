//! The inference core as JavaScript calls it: a gateway that keeps its secret on this side, and the wait before a retry.

use std::collections::HashMap;

use napi_derive::napi;

use crate::error::{Code, Error};
use crate::inference::attempt::{Outcome, RetryPolicy};
use crate::inference::gateway::Keys;
use crate::inference::{gateway, token};
use crate::node::convert;
use crate::node::error::throw;
use crate::retry::parse_retry_after;

/// What was given, and the environment it is completed from.
#[napi(object)]
pub struct InferenceGatewayOptions {
    pub base_url: Option<String>,
    pub api_key: Option<String>,
    pub api_secret: Option<String>,
    /// The variables of `inferenceVariables()` that are set.
    pub environment: HashMap<String, String>,
}

/// Where inference requests go, and what signs their tokens.
#[napi]
pub struct InferenceGateway {
    base_url: String,
    keys: Keys,
}

#[napi]
impl InferenceGateway {
    /// Looks base URL and keys up. Throws `CONFIG_INVALID` when one is missing or malformed.
    #[napi(constructor, catch_unwind)]
    pub fn new(options: InferenceGatewayOptions) -> napi::Result<Self> {
        let find = |name: &str| options.environment.get(name).cloned();
        let given = options.base_url.as_deref();
        let api_key = options.api_key.as_deref();
        let api_secret = options.api_secret.as_deref();
        gateway::base_url(given, &find)
            .and_then(|base_url| {
                let keys = gateway::keys(api_key, api_secret, &find)?;
                Ok(InferenceGateway { base_url, keys })
            })
            .map_err(|error| throw(Error::new(Code::ConfigInvalid, error.to_string())))
    }

    /// `http` or `https`, without a slash at the end.
    #[napi(getter, catch_unwind)]
    pub fn base_url(&self) -> String {
        self.base_url.clone()
    }

    /// Mints a token that lives from `nowSeconds` on. `id` makes two tokens of one second differ.
    #[napi(catch_unwind)]
    pub fn token(&self, now_seconds: f64, ttl_seconds: f64, id: String) -> napi::Result<String> {
        let now = convert::unsigned(now_seconds, "nowSeconds").map_err(throw)?;
        let ttl = convert::unsigned(ttl_seconds, "ttlSeconds").map_err(throw)?;
        Ok(token::mint(&self.keys, now, ttl, &id).expose().clone())
    }

    /// The WebSocket URL of a service; `query` is pairs of name and value.
    #[napi(catch_unwind)]
    pub fn socket_url(&self, service: String, query: Vec<Vec<String>>) -> napi::Result<String> {
        gateway::socket_url(&self.base_url, &service, &pairs(query))
            .map(String::from)
            .ok_or_else(|| {
                throw(Error::new(
                    Code::ConfigInvalid,
                    "the service makes no valid URL",
                ))
            })
    }
}

/// The variables that `InferenceGateway` looks at.
#[napi(catch_unwind)]
pub fn inference_variables() -> Vec<String> {
    gateway::VARIABLES
        .iter()
        .map(|name| (*name).to_owned())
        .collect()
}

/// How often and when a call is tried again.
#[napi(object)]
pub struct InferenceRetry {
    pub max_retries: f64,
    pub waits_ms: Vec<f64>,
    pub max_retry_after_ms: f64,
    pub jitter: f64,
}

/// The wait in milliseconds before the attempt after number `attempt` (counted from 1), or null when that was the last.
/// `status` is the HTTP status it ended with, absent when there was no answer; `retryAfter` the header's value.
#[napi(catch_unwind)]
pub fn inference_retry_wait(
    policy: InferenceRetry,
    attempt: f64,
    status: Option<f64>,
    retry_after: Option<String>,
    now_ms: f64,
    random: f64,
) -> napi::Result<Option<f64>> {
    decide(policy, attempt, status, retry_after, now_ms, random)
        .map(|wait| wait.map(|wait_ms| wait_ms as f64))
        .map_err(throw)
}

fn decide(
    policy: InferenceRetry,
    attempt: f64,
    status: Option<f64>,
    retry_after: Option<String>,
    now_ms: f64,
    random: f64,
) -> Result<Option<u64>, Error> {
    let waits_ms = policy
        .waits_ms
        .iter()
        .map(|wait| convert::unsigned(*wait, "waitsMs"))
        .collect::<Result<_, _>>()?;
    let policy = RetryPolicy {
        max_retries: convert::integer(policy.max_retries, "maxRetries", 0..=1_000)?,
        waits_ms,
        max_retry_after_ms: convert::unsigned(policy.max_retry_after_ms, "maxRetryAfterMs")?,
        jitter: convert::number(policy.jitter, "jitter", 0.0..=1.0)?,
    };
    let outcome = match status {
        Some(status) => Outcome::Status(convert::integer(status, "status", 0..=999)?),
        None => Outcome::NoAnswer,
    };
    let now: i64 = convert::integer(now_ms, "nowMs", 0..=convert::MAX_SAFE_INTEGER)?;
    let after = retry_after.and_then(|value| parse_retry_after(&value, now));
    let attempt = convert::integer(attempt, "attempt", 1..=1_000_000)?;
    let random = convert::number(random, "random", 0.0..=1.0)?;
    Ok(policy.next_wait(attempt, outcome, after, random))
}

/// Pairs of name and value; anything that is no pair is left out.
pub(crate) fn pairs(list: Vec<Vec<String>>) -> Vec<(String, String)> {
    list.into_iter()
        .filter_map(|pair| <[String; 2]>::try_from(pair).ok())
        .map(|[name, value]| (name, value))
        .collect()
}
