//! The machine by example: a bench with a store that writes at once. The examples are below it, by what they decide.

use super::*;
use crate::id::Secret;
use crate::retry::Schedule;
use crate::words::TerminationReason;

mod delivery;
mod reports;

pub(crate) const START: i64 = 1_700_000_000_000;
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
    }
}

pub(crate) fn token() -> Token {
    Token {
        jwt: Secret::new("jwt".into()),
        expires_at: START + HOUR_MS,
        url: None,
    }
}

/// A machine with a store that writes at once, and everything that was done.
struct Bench {
    machine: Machine,
    now: i64,
    stored: Option<Record>,
    done: Vec<Effect>,
}

impl Bench {
    fn offered(endpoints: usize) -> Bench {
        let (machine, out) = Machine::offered(
            START,
            job(),
            "agent-AJ_1".into(),
            "b1".into(),
            plan(endpoints),
        );
        Bench {
            machine,
            now: START,
            stored: None,
            done: Vec::new(),
        }
        .perform(out)
    }

    fn assigned(endpoints: usize) -> Bench {
        let mut bench = Bench::offered(endpoints);
        bench.input(Input::Assigned(token()));
        bench
    }

    fn perform(mut self, out: Vec<Output>) -> Bench {
        self.run(out);
        self
    }

    fn run(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Persist {
                    sequence, record, ..
                } => {
                    self.stored = Some(*record);
                    let out = self.machine.handle(self.now, Input::Saved { sequence });
                    self.run(out);
                }
                Output::Do(effect) => self.done.push(effect),
            }
        }
    }

    fn input(&mut self, input: Input) {
        let out = self.machine.handle(self.now, input);
        self.run(out);
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
    fn wait(&mut self) -> i64 {
        let at = self.machine.deadline().expect("something to wait for");
        let waited = at - self.now;
        self.now = at;
        self.input(Input::Tick);
        waited
    }

    fn take(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.done)
    }

    fn stage(&self) -> Stage {
        self.stored.as_ref().unwrap().stage
    }

    fn status(&mut self, status: JobStatus) -> Vec<Effect> {
        self.take();
        self.input(Input::Status {
            ticket: 9,
            status,
            error: Some("why".into()),
        });
        self.take()
    }
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
