//! The headers of inference requests as JavaScript builds them: what does not change between requests is prepared once
//! and held as an opaque value; then one call a request takes the ids, the token and the caller's entries.
//!
//! Texts cross joined with NUL, which no header may contain, and come back as JSON: one large string each way costs less
//! than many small ones, and V8 parses JSON faster than Node-API builds objects (docs/inference.md has the figures). An
//! entry is a NUL, its name, a NUL and its value. An answer is an array: a record of headers, then a pair of name and
//! reason for every entry that was dropped.

use std::sync::Arc;

use napi::bindgen_prelude::External;
use napi_derive::napi;
use serde::Serialize;
use url::Url;

use crate::error::{Code, Error};
use crate::inference::hook::Turn;
use crate::inference::identity;
use crate::inference::merge::{Caller, Merge};
use crate::inference::name::{is_provider, printable_name, PRIORITIES, SDK_OWNED};
use crate::inference::scope::{Scope, Target};
use crate::inference::{encode, quota};
use crate::node::error::throw;

/// Where `X-LiveKit-Session-ID` stands among the SDK's own names.
const SESSION: usize = 4;

/// What the requests of one transport have in common.
#[napi(object)]
pub struct HeaderRulesOptions {
    /// `request`, `upgrade` or `model`.
    pub caller: String,
    /// Absent: the caller's own stays.
    pub user_agent: Option<String>,
    /// Whom the hooks' scopes are matched against.
    pub provider: Option<String>,
    /// Where the requests go.
    pub base_url: Option<String>,
}

/// Prepared rules.
pub struct HeaderRules {
    caller: Caller,
    user_agent: Option<String>,
    below: Turn,
    target: Target,
}

/// Prepares the rules of a transport. `below`: headers under those of hooks.
#[napi(catch_unwind)]
pub fn header_rules(
    options: HeaderRulesOptions,
    below: Option<&External<HeaderTurn>>,
) -> napi::Result<External<HeaderRules>> {
    let caller = match options.caller.as_str() {
        "request" => Caller::Request,
        "upgrade" => Caller::Upgrade,
        "model" => Caller::Model,
        _ => return Err(throw(Error::new(Code::ConfigInvalid, "an unknown caller"))),
    };
    Ok(External::new(HeaderRules {
        caller,
        user_agent: options.user_agent,
        below: below.map(|below| below.turn.clone()).unwrap_or_default(),
        target: Target::new(options.provider, options.base_url.as_deref()),
    }))
}

/// The headers of one request. `given`: the values of the SDK's own headers in their order, joined with NUL, empty where
/// there is none; then the caller's entries. `session`: with a fresh session id.
#[napi(catch_unwind)]
pub fn merge_headers(
    rules: &External<HeaderRules>,
    turn: Option<&External<HeaderTurn>>,
    given: String,
    session: bool,
) -> napi::Result<String> {
    let mut pieces = given.split('\0');
    let mut own: [&str; SDK_OWNED.len()] =
        std::array::from_fn(|_| pieces.next().unwrap_or_default());
    let fresh;
    if session {
        fresh = session_id()?;
        own[SESSION] = &fresh;
    }
    let mut merge = Merge::new(rules.caller);
    if let Some(user_agent) = &rules.user_agent {
        merge.put("User-Agent", user_agent);
    }
    rules.below.put(&rules.target, &mut merge);
    if let Some(turn) = turn {
        turn.turn.put(&rules.target, &mut merge);
    }
    while let (Some(name), Some(value)) = (pieces.next(), pieces.next()) {
        merge.call(name, value);
    }
    merge.own(own.into_iter());
    json(&merge)
}

fn session_id() -> napi::Result<String> {
    let mut random = [0; 6];
    getrandom::fill(&mut random)
        .map_err(|_| napi::Error::from_reason("the system gave no random bytes"))?;
    Ok(identity::session_id(random))
}

/// The headers of one turn's hooks, and those that its calls have anyhow.
pub struct HeaderTurn {
    base: Vec<(String, String)>,
    turn: Turn,
}

/// A turn whose handlers have not run. `base`: entries that handlers see and that are not sent by them.
#[napi(catch_unwind)]
pub fn header_turn(base: String) -> External<HeaderTurn> {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    External::new(HeaderTurn {
        base: entries(&base).map(owned).collect(),
        turn: Turn::default(),
    })
}

/// Adds the entries of one handler's answer, which must not leave the scopes. `granted`: it may set `x-api-key`. Answers
/// what the next handler sees.
#[napi(catch_unwind)]
pub fn add_hook_headers(
    turn: &mut External<HeaderTurn>,
    given: String,
    granted: bool,
    scope: Option<&External<Arc<Scope>>>,
    other_scope: Option<&External<Arc<Scope>>>,
) -> napi::Result<String> {
    let scopes: Vec<Arc<Scope>> = [scope, other_scope]
        .into_iter()
        .flatten()
        .map(|scope| Arc::clone(scope))
        .collect();
    let mut dropped = Vec::new();
    for (name, value) in entries(&given) {
        if let Err(reason) = turn.turn.add(name, value, granted, &scopes) {
            dropped.push((name, reason));
        }
    }
    let mut seen = Merge::new(Caller::Request);
    for (name, value) in &turn.base {
        seen.put(name, value);
    }
    turn.turn.put_all(&mut seen);
    for (name, reason) in dropped {
        seen.drop_entry(name, reason);
    }
    json(&seen)
}

/// A turn inside another one, which it overrides.
#[napi(catch_unwind)]
pub fn turn_inside(
    turn: &External<HeaderTurn>,
    outer: &External<HeaderTurn>,
) -> External<HeaderTurn> {
    External::new(HeaderTurn {
        base: Vec::new(),
        turn: turn.turn.inside(&outer.turn),
    })
}

/// What of a turn may go to a call.
#[napi(catch_unwind)]
pub fn turn_headers(
    turn: &External<HeaderTurn>,
    provider: Option<String>,
    base_url: Option<String>,
) -> napi::Result<String> {
    let mut merge = Merge::new(Caller::Request);
    let target = Target::new(provider, base_url.as_deref());
    turn.turn.put(&target, &mut merge);
    json(&merge)
}

/// A scope. Throws `CONFIG_INVALID` for a base URL that is none.
#[napi(catch_unwind)]
pub fn header_scope(
    providers: Vec<String>,
    base_urls: Vec<String>,
) -> napi::Result<External<Arc<Scope>>> {
    let base_urls: Result<Vec<Url>, _> = base_urls.iter().map(|url| Url::parse(url)).collect();
    let base_urls = base_urls.map_err(|error| {
        throw(Error::new(
            Code::ConfigInvalid,
            format!("a base URL: {error}"),
        ))
    })?;
    Ok(External::new(Arc::new(Scope {
        providers,
        base_urls,
    })))
}

/// Whether a call lies within a scope.
#[napi(catch_unwind)]
pub fn scope_covers(
    scope: &External<Arc<Scope>>,
    provider: Option<String>,
    base_url: Option<String>,
) -> bool {
    scope.covers(&Target::new(provider, base_url.as_deref()))
}

/// The SDK's `User-Agent` in a runtime that names itself so.
#[napi(catch_unwind)]
pub fn inference_user_agent(runtime: String) -> String {
    identity::user_agent(env!("CARGO_PKG_VERSION"), &runtime)
}

/// What a priority may be.
#[napi(catch_unwind)]
pub fn inference_priorities() -> Vec<&'static str> {
    PRIORITIES.to_vec()
}

/// Whether a text can be the name of a provider.
#[napi(catch_unwind)]
pub fn is_inference_provider(text: String) -> bool {
    is_provider(&text)
}

/// A header's name as it may appear in a log line.
#[napi(catch_unwind)]
pub fn printable_header_name(name: String) -> String {
    printable_name(&name)
}

/// Percent-encodes a text so that it fits a header value.
#[napi(catch_unwind)]
pub fn percent_encode(text: String) -> String {
    encode::percent_encode(&text)
}

/// What the gateway says about quotas, each there only if it said it.
#[napi(object)]
pub struct InferenceQuota {
    pub rpm_limit: Option<f64>,
    pub rpm_used: Option<f64>,
    pub tpm_limit: Option<f64>,
    pub tpm_used: Option<f64>,
    pub credits_limit: Option<f64>,
    pub credits_used: Option<f64>,
}

/// Reads the quota headers among the entries of a response; nothing when there is none.
#[napi(catch_unwind)]
pub fn inference_quota(headers: String) -> Option<InferenceQuota> {
    let headers: Vec<(&str, &str)> = entries(&headers).collect();
    quota::parse(&headers).map(|quota| InferenceQuota {
        rpm_limit: quota.rpm_limit,
        rpm_used: quota.rpm_used,
        tpm_limit: quota.tpm_limit,
        tpm_used: quota.tpm_used,
        credits_limit: quota.credits_limit,
        credits_used: quota.credits_used,
    })
}

fn entries(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut pieces = text.split('\0').skip(1);
    std::iter::from_fn(move || Some((pieces.next()?, pieces.next()?)))
}

fn json<T: Serialize>(value: &T) -> napi::Result<String> {
    serde_json::to_string(value).map_err(|error| napi::Error::from_reason(error.to_string()))
}
