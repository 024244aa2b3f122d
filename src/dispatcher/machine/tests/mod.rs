//! The machine by example: a bench with a store that writes at once. The examples are below it, by what they decide.

use super::*;
use crate::id::Secret;
use crate::retry::Schedule;
use crate::time::tests::at;
use crate::words::TerminationReason;

mod delivery;
mod doubt;
mod reports;
mod watch;

pub(crate) const START: i64 = 1_000_000;
pub(crate) const HOUR_MS: i64 = 3_600_000;

pub(crate) fn job() -> Job {
    serde_json::from_value(serde_json::json!({
        "id": "AJ_1", "dispatch_id": "AD_1", "job_type": "JT_ROOM", "agent_name": "a", "deployment": "",
        "room": {"sid": "RM_1", "name": "r", "created_at": 5, "metadata": "", "num_participants": 0},
        "participant": null, "metadata": "", "attributes": {},
    }))
    .unwrap()
}

pub(crate) fn plan(endpoints: usize) -> Plan {
    Plan {
        endpoints: (1..=endpoints)
            .map(|n| Route {
                url: format!("https://e{n}/"),
                timeout_ms: 10_000,
            })
            .collect(),
        schedule: Some(Schedule::WEBHOOK),
        join_timeout_ms: 30_000,
        max_duration_ms: None,
    }
}

pub(crate) fn token() -> Token {
    Token {
        jwt: Secret::new("jwt".into()),
        url: None,
    }
}

/// A machine with a store that writes at once and a room that is looked at when the test says so, and everything that
/// was done.
struct Bench {
    machine: Machine,
    now: Now,
    stored: Option<Record>,
    done: Vec<Effect>,
}

fn bearers(run: &str, endpoints: usize) -> Vec<String> {
    (1..=endpoints).map(|n| format!("{run}{n}")).collect()
}

fn assignment() -> Input {
    Input::Assigned {
        token: token(),
        expires_at: START + HOUR_MS,
    }
}

impl Bench {
    fn offered(endpoints: usize) -> Bench {
        Bench::with(plan(endpoints))
    }

    fn with(plan: Plan) -> Bench {
        let now = at(START as u64);
        let identity = "agent-AJ_1".to_owned();
        let bearers = bearers("a", plan.endpoints.len());
        Bench::of(now, Machine::offered(now, job(), identity, bearers, plan))
    }

    fn assigned(endpoints: usize) -> Bench {
        let mut bench = Bench::offered(endpoints);
        bench.input(assignment());
        bench
    }

    /// Delivered to the first endpoint.
    fn delivered(endpoints: usize) -> Bench {
        let mut bench = Bench::assigned(endpoints);
        bench.attempted(accepted());
        bench.take();
        bench
    }

    /// The same job after a restart, so much later.
    fn restarted(&self, later_ms: u64, plan: Plan) -> Bench {
        let record = self.stored.clone().unwrap();
        let now = self.later(later_ms);
        let bearers = bearers("b", plan.endpoints.len());
        Bench::of(now, Machine::restored(now, record, bearers, plan))
    }

    fn of(now: Now, machine: Machine) -> Bench {
        let mut bench = Bench {
            machine,
            now,
            stored: None,
            done: Vec::new(),
        };
        bench.perform();
        bench
    }

    fn later(&self, ms: u64) -> Now {
        at(self.now.unix_ms as u64 + ms)
    }

    fn perform(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Persist {
                    sequence, record, ..
                } => {
                    self.stored = Some(*record);
                    self.machine.handle(self.now, Input::Saved { sequence });
                }
                Output::Do(effect) => self.done.push(effect),
            }
        }
    }

    fn input(&mut self, input: Input) {
        self.machine.handle(self.now, input);
        self.perform();
    }

    fn attempted(&mut self, outcome: Outcome) {
        let current = self.machine.record().delivery.clone().unwrap();
        self.input(Input::Attempted {
            delivery: current.number,
            attempt: current.attempt,
            outcome,
        });
    }

    /// Moves the time to the machine's next deadline.
    fn wait(&mut self) -> u64 {
        let at = self.machine.poll_timeout().expect("something to wait for");
        let waited = at.saturating_duration_since(self.now.instant).as_millis() as u64;
        self.now = self.later(waited);
        self.input(Input::Tick);
        waited
    }

    /// Waits until something is done, and says how long that took.
    fn wait_for_something(&mut self) -> u64 {
        self.take();
        let mut waited = 0;
        while self.done.is_empty() {
            waited += self.wait();
        }
        waited
    }

    fn take(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.done)
    }

    fn stage(&self) -> Stage {
        self.stored.as_ref().unwrap().stage
    }

    /// A report of the current delivery's agent.
    fn status(&mut self, status: JobStatus) -> Vec<Effect> {
        let current = self.machine.record().delivery.as_ref();
        let number = current.map_or(0, |delivery| delivery.number);
        self.status_of(Reporter::Delivery(number), status)
    }

    fn status_of(&mut self, reporter: Reporter, status: JobStatus) -> Vec<Effect> {
        self.take();
        self.input(Input::Status {
            ticket: 9,
            reporter,
            status,
            error: Some("why".into()),
        });
        self.take()
    }
}

fn accepted() -> Outcome {
    Outcome::Accepted {
        reading: Reading::Clear,
    }
}

fn told(endpoint: usize, delivery: u32, reason: TerminationReason) -> Effect {
    Effect::PostTerminated {
        endpoint,
        delivery,
        reason,
    }
}

fn is_conflict(effects: &[Effect]) -> bool {
    matches!(
        effects,
        [Effect::Reply {
            answer: StatusAnswer::Conflict(_),
            ..
        }]
    )
}

fn retry(in_doubt: bool) -> Outcome {
    Outcome::Retry {
        why: "it answered 503".into(),
        retry_after_ms: None,
        in_doubt,
    }
}

fn ended(effects: &[Effect]) -> Option<(JobStatus, String)> {
    effects.iter().find_map(|effect| match effect {
        Effect::Notice(Notice::Ended { status, error }) => {
            Some((*status, error.clone().unwrap_or_default()))
        }
        _ => None,
    })
}

fn post(endpoint: usize, delivery: u32, attempt: u32) -> Effect {
    Effect::Post {
        endpoint,
        delivery,
        attempt,
        timeout_ms: 10_000,
    }
}
