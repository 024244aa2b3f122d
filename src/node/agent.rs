//! The agent as JavaScript holds it. What is received, decided and learnt crosses as JSON text in one call each way; the
//! user's functions, the room and the timers stay on the other side.

use std::sync::Arc;

use napi::bindgen_prelude::PromiseRaw;
use napi::Env;
use napi_derive::napi;
use serde::de::DeserializeOwned;
use serde::Serialize;
use url::Url;

use crate::address::{self, AddressError, PlainText, Protocol};
use crate::agent::status::Delivery;
use crate::agent::{
    AddressRules, Agent, AgentOptions, Answer, Decision, Received, Steps, TableLimits, Ticket,
};
use crate::clock::SystemClock;
use crate::error::{Code, Error};
use crate::id::Secret;
use crate::job::{Input, Limits};
use crate::node::convert;
use crate::node::error::{spawn, throw};
use crate::secret::SecretOptions;
use crate::webhook::{Headers, Notification, Scheme, Verifier, VerifierOptions};

/// Answers kept beside those of running jobs: about 300 bytes each.
const MAX_ANSWERS: usize = 20_000;
/// An answer is kept at least this long.
const MIN_RETAIN_MS: u64 = 300_000;
const YEAR_MS: i64 = 366 * 24 * 60 * 60 * 1_000;

/// A webhook secret.
#[napi(object)]
pub struct NativeAgentSecret {
    /// The secret as configured.
    pub value: String,
    /// Epoch milliseconds after which it no longer counts.
    pub not_after_ms: Option<f64>,
}

/// The options of an agent, complete.
#[napi(object)]
pub struct NativeAgentOptions {
    /// 1 to 3 secrets, newest first.
    pub secrets: Vec<NativeAgentSecret>,
    /// Whether the Standard Webhooks headers carry the signature.
    pub standard_scheme: bool,
    /// The agent's name.
    pub name: Option<String>,
    /// Freshness window in seconds, both ways.
    pub tolerance_s: f64,
    /// The largest body.
    pub max_body_bytes: f64,
    /// Jobs at a time.
    pub max_jobs: f64,
    /// The whole job; absent = no limit.
    pub job_timeout_ms: Option<f64>,
    /// What a job has left once it is ending.
    pub shutdown_timeout_ms: f64,
    /// Plain addresses beyond this machine.
    pub allow_insecure: bool,
    /// The only servers; empty = any.
    pub allowed_server_urls: Vec<String>,
    /// Where status goes whatever the webhook says.
    pub status_url: Option<String>,
}

#[derive(Serialize)]
#[serde(tag = "is", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum ReceivedText<'a> {
    Answered {
        answer: AnswerText<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<&'a str>,
    },
    Undecided {
        ticket: Ticket,
    },
    New {
        ticket: Ticket,
        /// Whether name, metadata and attributes can be set after joining.
        can_update_own_metadata: bool,
        webhook: &'a Notification,
    },
    Terminated {
        answer: AnswerText<'a>,
        jobs: &'a [(Ticket, Steps)],
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AnswerText<'a> {
    status: u16,
    body: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DecidedText<'a> {
    answer: AnswerText<'a>,
    steps: &'a Steps,
}

#[derive(Serialize)]
#[serde(tag = "is", rename_all = "camelCase")]
enum DeliveryText {
    Nothing,
    Delivered,
    Unsupported { first: bool, status: u16 },
    GaveUp { reason: String },
}

/// Makes a text of others fit to be logged: without tokens and secrets and without the values named, on one line, at most
/// 1 KiB.
#[napi(catch_unwind)]
pub fn redact(text: String, secrets: Option<Vec<String>>) -> String {
    let secrets = secrets.unwrap_or_default();
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    crate::redact::redact(&text, &secrets)
}

/// The receiving end of the webhook protocol.
#[napi]
pub struct NativeAgent {
    agent: Arc<Agent>,
    base: VerifierOptions,
}

#[napi]
impl NativeAgent {
    /// Checks the options; nothing is opened.
    #[napi(constructor, catch_unwind)]
    pub fn new(options: NativeAgentOptions) -> napi::Result<Self> {
        build(options).map_err(throw)
    }

    /// How many secrets are shorter than is good.
    #[napi(catch_unwind)]
    pub fn weak_secrets(&self) -> u32 {
        let weak = Verifier::new(self.base.clone()).map_or(0, |verifier| verifier.weak_secrets());
        u32::try_from(weak).unwrap_or(u32::MAX)
    }

    /// Replaces the secrets.
    #[napi(catch_unwind)]
    pub fn set_secrets(&mut self, secrets: Vec<NativeAgentSecret>) -> napi::Result<()> {
        let options = VerifierOptions {
            secrets: secret_options(secrets).map_err(throw)?,
            ..self.base.clone()
        };
        let verifier = Verifier::new(options.clone()).map_err(|error| throw(error.into()))?;
        self.agent.set_verifier(verifier);
        self.base = options;
        Ok(())
    }

    /// Takes a request: its header lines as name, value, name, value …, and its bytes.
    #[napi(catch_unwind)]
    pub fn receive(&self, lines: Vec<String>, body: &[u8]) -> napi::Result<String> {
        let pairs = lines
            .chunks_exact(2)
            .map(|pair| (pair[0].as_str(), pair[1].as_str()));
        let received = self.agent.receive(&Headers::from_lines(pairs), body);
        convert::json(&received_text(&received)).map_err(throw)
    }

    /// Takes the decision on a new delivery; gives its answer and the first steps.
    #[napi(catch_unwind)]
    pub fn decide(&self, ticket: f64, decision: String) -> napi::Result<String> {
        let ticket = ticket_of(ticket).map_err(throw)?;
        let decision: Decision = parse(&decision, "decision").map_err(throw)?;
        let (answer, steps) = self.agent.decide(ticket, &decision).map_err(throw)?;
        let decided = DecidedText {
            answer: answer_text(&answer),
            steps: &steps,
        };
        convert::json(&decided).map_err(throw)
    }

    /// Takes what happened to a job; gives the next steps.
    #[napi(catch_unwind)]
    pub fn input(&self, ticket: f64, input: String) -> napi::Result<String> {
        let ticket = ticket_of(ticket).map_err(throw)?;
        let input: Input = parse(&input, "input").map_err(throw)?;
        let steps = self.agent.input(ticket, input).map_err(throw)?;
        convert::json(&steps).map_err(throw)
    }

    /// Delivers what a job has to report; resolves when nothing is left to do.
    #[napi(catch_unwind)]
    pub fn report<'env>(
        &self,
        env: &'env Env,
        ticket: f64,
    ) -> napi::Result<PromiseRaw<'env, String>> {
        let ticket = ticket_of(ticket).map_err(throw)?;
        let agent = self.agent.clone();
        let delivered = async move { convert::json(&delivery_text(agent.report(ticket).await)) };
        spawn(env, delivered, |_env, text| Ok(text))
    }

    /// Gives up reports that did not get through.
    #[napi(catch_unwind)]
    pub fn abandon_reports(&self) {
        self.agent.abandon_reports();
    }

    /// Makes a text fit to be logged.
    #[napi(catch_unwind)]
    pub fn redact(&self, ticket: f64, text: String) -> napi::Result<String> {
        let ticket = ticket_of(ticket).map_err(throw)?;
        Ok(self.agent.redact(ticket, &text))
    }
}

fn build(options: NativeAgentOptions) -> Result<NativeAgent, Error> {
    let tolerance_s: u32 = convert::integer(options.tolerance_s, "clockToleranceS", 1..=86_400)?;
    let base = VerifierOptions {
        secrets: secret_options(options.secrets)?,
        scheme: if options.standard_scheme {
            Scheme::Standard
        } else {
            Scheme::LiveKit
        },
        agent_name: options.name,
        tolerance_s,
        max_body_bytes: convert::integer(options.max_body_bytes, "maxBodyBytes", 1..=1 << 30)?,
    };
    let plain = if options.allow_insecure {
        PlainText::Anywhere
    } else {
        PlainText::ThisMachine
    };
    // What the list allows is checked again when a server is named.
    let allowed: Result<Vec<Url>, Error> = options
        .allowed_server_urls
        .iter()
        .map(|text| {
            url(
                text,
                "allowedServerUrls",
                Protocol::WebSocket,
                PlainText::Anywhere,
            )
        })
        .collect();
    let agent = Agent::new(AgentOptions {
        verifier: Verifier::new(base.clone())?,
        addresses: AddressRules {
            plain,
            allowed_server_urls: allowed?,
        },
        status_base: options
            .status_url
            .map(|text| url(&text, "statusUrl", Protocol::Http, plain))
            .transpose()?,
        limits: Limits {
            job_timeout_ms: options
                .job_timeout_ms
                .map(|value| convert::integer(value, "jobTimeoutMs", 1..=YEAR_MS))
                .transpose()?,
            shutdown_timeout_ms: convert::integer(
                options.shutdown_timeout_ms,
                "shutdownTimeoutMs",
                0..=YEAR_MS,
            )?,
        },
        table: TableLimits {
            max_jobs: convert::integer(options.max_jobs, "maxJobs", 1..=1_000_000)?,
            max_answers: MAX_ANSWERS,
            // A replay can be fresh for twice the window: from its earliest to its latest moment.
            retain_ms: MIN_RETAIN_MS.max(u64::from(tolerance_s) * 2_000),
        },
        clock: Arc::new(SystemClock),
    });
    Ok(NativeAgent {
        agent: Arc::new(agent),
        base,
    })
}

pub(super) fn secret_options(secrets: Vec<NativeAgentSecret>) -> Result<Vec<SecretOptions>, Error> {
    secrets
        .into_iter()
        .map(|secret| {
            Ok(SecretOptions {
                value: Secret::new(secret.value),
                not_after_ms: secret
                    .not_after_ms
                    .map(|value| {
                        convert::integer(value, "secrets.notAfter", 0..=convert::MAX_SAFE_INTEGER)
                    })
                    .transpose()?,
            })
        })
        .collect()
}

fn url(text: &str, name: &str, protocol: Protocol, plain: PlainText) -> Result<Url, Error> {
    address::parse(text, protocol, plain).map_err(|error| {
        let hint = match error {
            AddressError::PlainText(..) => ", or set options.allowInsecure",
            _ => "",
        };
        Error::new(Code::ConfigInvalid, format!("options.{name} {error}{hint}"))
    })
}

fn ticket_of(value: f64) -> Result<Ticket, Error> {
    convert::integer(value, "ticket", 0..=i64::from(u32::MAX))
}

fn parse<T: DeserializeOwned>(text: &str, what: &str) -> Result<T, Error> {
    serde_json::from_str(text)
        .map_err(|_| Error::new(Code::ConfigInvalid, format!("{what} is not of its form")))
}

fn answer_text(answer: &Answer) -> AnswerText<'_> {
    AnswerText {
        status: answer.status,
        body: &answer.body,
        retry_after_s: answer.retry_after_s,
    }
}

fn received_text(received: &Received) -> ReceivedText<'_> {
    match received {
        Received::Answered { answer, why } => ReceivedText::Answered {
            answer: answer_text(answer),
            code: why.as_ref().map(|why| why.code.as_str()),
            why: why.as_ref().map(|why| &*why.message),
        },
        Received::Undecided(ticket) => ReceivedText::Undecided { ticket: *ticket },
        Received::New(new) => ReceivedText::New {
            ticket: new.ticket,
            can_update_own_metadata: (new.notification.claims.as_ref())
                .is_some_and(|claims| claims.can_update_own_metadata),
            webhook: &new.notification,
        },
        Received::Terminated { answer, steps } => ReceivedText::Terminated {
            answer: answer_text(answer),
            jobs: steps,
        },
    }
}

fn delivery_text(delivery: Delivery) -> DeliveryText {
    match delivery {
        Delivery::Nothing => DeliveryText::Nothing,
        Delivery::Delivered => DeliveryText::Delivered,
        Delivery::Unsupported { first, status } => DeliveryText::Unsupported { first, status },
        Delivery::GaveUp { reason } => DeliveryText::GaveUp { reason },
    }
}
