//! A worker machine on the bench: a clock that is turned by hand, inputs in short words, orders sorted by kind.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::*;
use crate::id::Pii;
use crate::words::JobType;
use crate::worker::protocol::{Acceptance, Permissions, Registration, Room};

pub(super) fn config(max_jobs: u32) -> Config {
    Config {
        registration: Registration {
            agent_name: "cook".to_owned(),
            job_type: JobType::Room,
            version: "1".to_owned(),
            permissions: Permissions::default(),
        },
        max_jobs,
        seed: 7,
    }
}

pub(super) fn job(id: &str) -> Job {
    Job {
        id: id.into(),
        dispatch_id: "AD_1".into(),
        job_type: JobType::Room,
        agent_name: "cook".to_owned(),
        deployment: String::new(),
        room: Room {
            sid: "RM_1".into(),
            name: Pii("kitchen".to_owned()),
            created_at: 1,
            metadata: Pii(String::new()),
            num_participants: 0,
        },
        participant: None,
        metadata: Pii(String::new()),
        attributes: Pii(BTreeMap::new()),
    }
}

pub(super) fn accept() -> Answer {
    Answer::Accept(Acceptance::default())
}

/// A machine with a clock of its own and what it ordered so far.
pub(super) struct Bench {
    pub(super) machine: Machine,
    pub(super) now: Instant,
}

impl Bench {
    pub(super) fn new(max_jobs: u32) -> Self {
        Bench {
            machine: Machine::new(config(max_jobs)),
            now: Instant::now(),
        }
    }

    pub(super) fn registered(max_jobs: u32) -> Self {
        let mut bench = Bench::new(max_jobs);
        bench.register();
        bench
    }

    pub(super) fn register(&mut self) {
        self.tell(Input::Start);
        self.tell(Input::Opened);
        let orders = self.message(FromServer::Registered {
            worker_id: "AW_1".into(),
            server_version: "1.13.5".to_owned(),
        });
        assert!(matches!(orders[0], Output::Event(Event::Registered { .. })));
    }

    fn moment(&self) -> Now {
        Now {
            instant: self.now,
            unix_ms: 1_700_000_000_000,
        }
    }

    pub(super) fn tell(&mut self, input: Input) -> Vec<Output> {
        self.machine.handle(self.moment(), input);
        self.orders()
    }

    pub(super) fn message(&mut self, message: FromServer) -> Vec<Output> {
        self.tell(Input::Heard);
        self.tell(Input::Message(message))
    }

    pub(super) fn offer(&mut self, id: &str) -> Vec<Output> {
        self.message(FromServer::Availability(Box::new(job(id))))
    }

    pub(super) fn assign(&mut self, id: &str) -> Vec<Output> {
        self.message(FromServer::Assignment {
            job: Box::new(job(id)),
            token: Secret::new("t".to_owned()),
            url: None,
        })
    }

    /// Offers, accepts and assigns.
    pub(super) fn run(&mut self, id: &str) {
        self.offer(id);
        assert_eq!(self.answer(id, accept()), AnswerOutcome::Sent);
        self.orders();
        self.assign(id);
    }

    pub(super) fn answer(&mut self, id: &str, answer: Answer) -> AnswerOutcome {
        self.machine.answer(self.moment(), &id.into(), answer)
    }

    pub(super) fn update(&mut self, id: &str, status: JobStatus) -> UpdateOutcome {
        self.machine
            .update_job(self.moment(), &id.into(), status, String::new())
    }

    pub(super) fn orders(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.machine.poll_output()).collect()
    }

    pub(super) fn pass(&mut self, time: Duration) -> Vec<Output> {
        self.now += time;
        self.tell(Input::Tick)
    }
}

pub(super) fn answers(orders: &[Output]) -> Vec<(&str, &Answer)> {
    orders
        .iter()
        .filter_map(|order| match order {
            Output::Send(ToServer::Availability { job_id, answer, .. }) => {
                Some((job_id.as_str(), answer))
            }
            _ => None,
        })
        .collect()
}

pub(super) fn loads(orders: &[Output]) -> Vec<(bool, f32)> {
    orders
        .iter()
        .filter_map(|order| match order {
            Output::Send(ToServer::UpdateWorker { full, load }) => Some((*full, *load)),
            _ => None,
        })
        .collect()
}

pub(super) fn events(orders: Vec<Output>) -> Vec<Event> {
    orders
        .into_iter()
        .filter_map(|order| match order {
            Output::Event(event) => Some(event),
            _ => None,
        })
        .collect()
}
