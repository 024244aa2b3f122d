//! One delivery that is being decided or runs as a job: its machine, where its reports go, and what must not get out.

use std::fmt::Display;
use std::sync::Arc;

use serde::Serialize;
use url::Url;

use crate::address::{self, AddressError, PlainText, Protocol};
use crate::agent::conflict;
use crate::agent::status::{Destination, JobStatus};
use crate::error::{Code, Error};
use crate::id::{JobId, RoomSid, Secret};
use crate::job::{AbortReason, Input, Limits, Machine, Outcome, Output};
use crate::redact::redact;
use crate::time::Now;
use crate::webhook::{Event, Notification};

/// One thing for JavaScript to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "do", rename_all = "camelCase")]
pub enum Step {
    /// Tell the developer.
    Warn { what: &'static str },
    /// Abort the job's signal.
    Abort {
        /// Why, as a word.
        reason: AbortReason,
        /// Why, as the end of "the job ended because …".
        because: &'static str,
    },
    /// Run the shutdown functions, then say so.
    WindDown,
    /// A report is in line: call `report`.
    Report { status: &'static str },
    /// Leave the room once the report is through, or soon.
    Leave,
    /// The job is over.
    Finished { outcome: Outcome },
}

/// What to do now, and when to come back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Steps {
    pub steps: Vec<Step>,
    /// When to say `Tick`, in milliseconds from now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wake_in_ms: Option<u64>,
}

/// A delivery that was admitted.
pub(super) struct LiveJob {
    job_id: JobId,
    room_sid: RoomSid,
    offer: bool,
    subject: Option<String>,
    machine: Machine,
    undecided: bool,
    status: Option<Arc<JobStatus>>,
    secrets: Vec<Secret<String>>,
}

impl LiveJob {
    /// Takes what a job needs out of its notification; refuses addresses that must not be called.
    pub(super) fn new(
        notification: &Notification,
        limits: Limits,
        rules: &AddressRules,
        status_base: Option<&Url>,
    ) -> Result<Self, Error> {
        let status = destination(notification, rules, status_base)?;
        let claims = notification.claims.as_ref();
        Ok(LiveJob {
            offer: notification.event == Event::Offer,
            subject: claims.map(|claims| claims.subject.0.clone()),
            machine: Machine::new(limits),
            undecided: true,
            status: status.map(|to| Arc::new(JobStatus::new(to))),
            secrets: [&notification.access_token, &notification.status_token]
                .into_iter()
                .flatten()
                .cloned()
                .collect(),
            job_id: notification.job_id.clone(),
            room_sid: notification.room.sid.clone(),
        })
    }

    pub(super) fn is_undecided(&self) -> bool {
        self.undecided
    }

    pub(super) fn is_offer(&self) -> bool {
        self.offer
    }

    pub(super) fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    pub(super) fn is_finished(&self) -> bool {
        self.machine.is_finished()
    }

    /// Whether it is finished and has nothing left to report.
    pub(super) fn is_over(&self) -> bool {
        self.machine.is_finished() && self.status.as_ref().is_none_or(|status| status.is_idle())
    }

    pub(super) fn status(&self) -> Option<Arc<JobStatus>> {
        self.status.clone()
    }

    pub(super) fn is_about(&self, notification: &Notification) -> bool {
        self.job_id == notification.job_id && self.room_sid == notification.room.sid
    }

    pub(super) fn redact(&self, text: &str) -> String {
        let secrets: Vec<&str> = self
            .secrets
            .iter()
            .map(|secret| secret.expose().as_str())
            .collect();
        redact(text, &secrets)
    }

    /// Feeds the machine and turns its outputs into steps; reports go in line here.
    pub(super) fn handle(&mut self, now: Now, input: Input) -> Result<Steps, Error> {
        if matches!(input, Input::Accepted | Input::Rejected) {
            self.undecided = false;
        }
        self.machine
            .handle(now, self.redacted(input))
            .map_err(|_| conflict("the job has already ended with another result"))?;
        let mut steps = Vec::new();
        while let Some(output) = self.machine.poll_output() {
            steps.extend(self.step(output));
        }
        let wake_in_ms = self.machine.poll_timeout().map(|at| {
            let wait = at.saturating_duration_since(now.instant).as_micros();
            // Rounded up: a timer that rings early would have to ring again.
            u64::try_from(wait.div_ceil(1_000)).unwrap_or(u64::MAX)
        });
        Ok(Steps { steps, wake_in_ms })
    }

    fn step(&mut self, output: Output) -> Option<Step> {
        match output {
            Output::Warn(notice) => Some(Step::Warn {
                what: notice.sentence(),
            }),
            Output::Abort(reason) => Some(Step::Abort {
                reason,
                because: reason.sentence(),
            }),
            Output::WindDown => Some(Step::WindDown),
            Output::Post(report) => {
                let status = report.word();
                self.status.as_ref()?.push(report);
                Some(Step::Report { status })
            }
            Output::Leave => Some(Step::Leave),
            Output::Finished(outcome) => outcome.map(|outcome| Step::Finished { outcome }),
        }
    }

    fn redacted(&self, input: Input) -> Input {
        match input {
            Input::ConnectFailed { reason } => Input::ConnectFailed {
                reason: self.redact(&reason),
            },
            Input::EntryThrew {
                reason,
                because_ending,
            } => Input::EntryThrew {
                reason: self.redact(&reason),
                because_ending,
            },
            Input::Fail { reason } => Input::Fail {
                reason: self.redact(&reason),
            },
            other => other,
        }
    }
}

/// What an input means to a job that is over: a room that connects after all is left, and a result comes too late.
pub(super) fn after_the_end(input: &Input) -> Result<Steps, Error> {
    match input {
        Input::Connected => Ok(Steps {
            steps: vec![Step::Leave],
            wake_in_ms: None,
        }),
        Input::Complete | Input::Fail { .. } => Err(conflict("the job is over")),
        _ => Ok(Steps::default()),
    }
}

/// Which servers the user lets an agent join and report to.
#[derive(Clone, Debug)]
pub struct AddressRules {
    /// Whether other machines may be reached without TLS.
    pub plain: PlainText,
    /// Only these servers, by scheme, host and port; empty = any.
    pub allowed_server_urls: Vec<Url>,
}

impl AddressRules {
    fn server(&self, text: &str) -> Result<Url, Error> {
        let url = self.read("server_url", text, Protocol::WebSocket)?;
        let allowed = &self.allowed_server_urls;
        if allowed.is_empty() || allowed.iter().any(|one| address::same_server(one, &url)) {
            return Ok(url);
        }
        Err(refused("server_url", "is not one of allowedServerUrls"))
    }

    fn status(&self, text: &str) -> Result<Url, Error> {
        self.read("status_url", text, Protocol::Http)
    }

    fn read(&self, field: &str, text: &str, protocol: Protocol) -> Result<Url, Error> {
        address::parse(text, protocol, self.plain).map_err(|error| match error {
            AddressError::PlainText(..) => {
                refused(field, format!("{error}, or agents with allowInsecure"))
            }
            _ => refused(field, error),
        })
    }
}

fn refused(field: &str, what: impl Display) -> Error {
    Error::new(Code::BodyInvalid, format!("{field} {what}"))
}

/// Where reports go: where the agent is configured to send them, else where the webhook says, else the server itself.
/// `None` in an offer, which has nothing to report.
fn destination(
    notification: &Notification,
    rules: &AddressRules,
    status_base: Option<&Url>,
) -> Result<Option<Destination>, Error> {
    let server_url = notification.server_url.as_deref();
    let server_url = server_url.map(|text| rules.server(text)).transpose()?;
    let given = notification.status_url.as_deref();
    let given = given.map(|text| rules.status(text)).transpose()?;
    let bearer = notification
        .status_token
        .as_ref()
        .or(notification.access_token.as_ref());
    let (Some(server_url), Some(bearer)) = (server_url, bearer) else {
        return Ok(None);
    };
    let job_id = notification.job_id.as_str();
    let (url, named) = match (status_base, given) {
        (Some(base), _) => (job_url(base, job_id), true),
        (None, Some(given)) => (Some(given), true),
        (None, None) => {
            let base = address::over_http(&server_url);
            (base.and_then(|base| job_url(&base, job_id)), false)
        }
    };
    let bearer = bearer.clone();
    let token_life_ms = token_life_ms(notification);
    Ok(url.map(|url| Destination {
        url,
        bearer,
        named,
        token_life_ms,
    }))
}

/// How long the token lives from the signature on. One without an end never gets here.
fn token_life_ms(notification: &Notification) -> u64 {
    let claims = notification.claims.as_ref();
    let expires_at_s = claims.and_then(|claims| claims.expires_at_s);
    let life_s = expires_at_s.map_or(0, |at| at.saturating_sub(notification.timestamp_s));
    u64::try_from(life_s).unwrap_or(0).saturating_mul(1_000)
}

/// `{base}/api/agents/jobs/{job_id}/status`, the path of the proposal, the id escaped; `None` for a base that cannot have
/// a path.
fn job_url(base: &Url, job_id: &str) -> Option<Url> {
    let mut url = base.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.path_segments_mut()
        .ok()?
        .pop_if_empty()
        .extend(["api", "agents", "jobs", job_id, "status"]);
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allowed: &[&str]) -> AddressRules {
        AddressRules {
            plain: PlainText::ThisMachine,
            allowed_server_urls: allowed
                .iter()
                .map(|text| Url::parse(text).unwrap())
                .collect(),
        }
    }

    #[test]
    fn servers_are_joined_over_websocket_and_reports_go_over_http() {
        let rules = rules(&[]);
        assert!(rules.server("wss://x.livekit.cloud").is_ok());
        assert!(rules.server("https://x.livekit.cloud").is_err());
        assert!(rules.status("https://host/a").is_ok());
        assert!(rules.status("http://a.localhost/a").is_ok());
        assert!(rules.status("ws://127.0.0.1/a").is_err());
        let plain = rules.status("http://198.51.100.1/a").unwrap_err();
        assert!(plain.message.starts_with("status_url must use https:"));
        assert!(plain.message.ends_with("allowInsecure"), "{plain}");
    }

    #[test]
    fn a_list_of_servers_admits_no_other() {
        let rules = rules(&["wss://a.example", "ws://127.0.0.1:7880/"]);
        for (text, ok) in [
            ("wss://a.example:443/rtc", true),
            ("ws://127.0.0.1:7880", true),
            ("ws://127.0.0.1:7881", false),
            ("wss://c.example", false),
        ] {
            assert_eq!(rules.server(text).is_ok(), ok, "{text}");
        }
    }

    #[test]
    fn the_status_url_follows_from_the_base() {
        for (base, job_id, expected) in [
            (
                "http://127.0.0.1:7880/",
                "AJ_1",
                "http://127.0.0.1:7880/api/agents/jobs/AJ_1/status",
            ),
            (
                "https://host/below/?a=b#c",
                "AJ_1",
                "https://host/below/api/agents/jobs/AJ_1/status",
            ),
            (
                "http://host",
                "../a b?c#d",
                "http://host/api/agents/jobs/..%2Fa%20b%3Fc%23d/status",
            ),
        ] {
            let base = Url::parse(base).unwrap();
            assert_eq!(job_url(&base, job_id).unwrap().as_str(), expected);
        }
    }
}
