//! The worker machine's invariant over arbitrary sequences, watched from where the server stands.

use std::collections::HashMap;

use proptest::collection::vec;
use proptest::prelude::{any, Just, Strategy};
use proptest::test_runner::TestCaseError;
use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::bench::{accept, Bench};
use super::*;

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Opened,
    Registered,
    Lost(u16),
    Offer(u8),
    Assignment(u8),
    Termination(u8),
    Answer(u8, u8),
    Update(u8, bool),
    SetActive(u32),
    Drain,
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    let id = 0u8..6;
    prop_oneof![
        6 => (0u64..4000).prop_map(Step::Wait),
        4 => Just(Step::Opened),
        4 => Just(Step::Registered),
        1 => prop_oneof![Just(0), Just(401)].prop_map(Step::Lost),
        8 => id.clone().prop_map(Step::Offer),
        3 => id.clone().prop_map(Step::Assignment),
        2 => id.clone().prop_map(Step::Termination),
        5 => (id.clone(), 0u8..3).prop_map(|(id, kind)| Step::Answer(id, kind)),
        2 => (id, any::<bool>()).prop_map(|(id, end)| Step::Update(id, end)),
        1 => (0u32..4).prop_map(Step::SetActive),
        1 => Just(Step::Drain),
        1 => Just(Step::Close),
    ]
}

/// What a server sees: the questions it has asked on this connection and not had answered.
#[derive(Default)]
struct Witness {
    connected: bool,
    open: HashMap<String, Instant>,
}

impl Witness {
    fn see(&mut self, now: Instant, orders: Vec<Output>) -> Result<(), TestCaseError> {
        for order in orders {
            match order {
                Output::Send(ToServer::Availability { job_id, .. }) => {
                    let asked = self.open.remove(job_id.as_str());
                    prop_assert!(asked.is_some(), "answered unasked, or twice");
                    prop_assert!(now - asked.expect("asked") <= ANSWER_WINDOW, "too late");
                }
                Output::Send(ToServer::UpdateWorker { load, .. }) => {
                    prop_assert!(load < 0.7);
                }
                Output::Disconnect { goodbye } => {
                    prop_assert!(!goodbye || self.open.is_empty(), "left without an answer");
                    self.connected = false;
                    self.open.clear();
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn id(number: u8) -> String {
    format!("AJ_{number}")
}

fn take(bench: &mut Bench, witness: &mut Witness, step: Step) -> Vec<Output> {
    match step {
        Step::Wait(_) => Vec::new(),
        Step::Opened => bench.tell(Input::Opened),
        Step::Registered => {
            let orders = bench.message(FromServer::Registered {
                worker_id: "AW_1".into(),
                server_version: String::new(),
            });
            witness.connected = bench.machine.is_registered();
            orders
        }
        Step::Lost(status) => bench.tell(Input::Lost(match status {
            0 => Reason::ClosedByServer,
            status => Reason::Refused(status),
        })),
        Step::Offer(number) if witness.connected => {
            witness.open.entry(id(number)).or_insert(bench.now);
            bench.offer(&id(number))
        }
        Step::Offer(number) => bench.offer(&id(number)),
        Step::Assignment(number) => bench.assign(&id(number)),
        Step::Termination(number) => bench.message(FromServer::Termination(id(number).into())),
        Step::Answer(number, kind) => {
            let answer = [accept(), Answer::Decline, Answer::Terminate][usize::from(kind)].clone();
            bench.answer(&id(number), answer);
            bench.orders()
        }
        Step::Update(number, end) => {
            let status = if end {
                JobStatus::Success
            } else {
                JobStatus::Running
            };
            bench.update(&id(number), status);
            bench.orders()
        }
        Step::SetActive(active) => bench.tell(Input::SetActive(active)),
        Step::Drain => bench.tell(Input::Drain),
        Step::Close => bench.tell(Input::Close),
    }
}

proptest! {
    #[test]
    fn every_availability_request_is_answered_exactly_once_in_time(
        max_jobs in 1u32..4,
        steps in vec(step(), 1..120),
    ) {
        let mut bench = Bench::new(max_jobs);
        let mut witness = Witness::default();
        let mut closed = 0;
        bench.tell(Input::Start);
        // The last wait lets every window end.
        for step in steps.into_iter().chain([Step::Wait(4000)]) {
            let until = match step {
                Step::Wait(ms) => bench.now + Duration::from_millis(ms),
                _ => bench.now,
            };
            // A driver ticks when it was asked to.
            while let Some(at) = bench.machine.poll_timeout().filter(|at| *at <= until) {
                bench.now = bench.now.max(at);
                let orders = bench.tell(Input::Tick);
                prop_assert!(bench.machine.poll_timeout() != Some(at) || !orders.is_empty(), "a busy loop");
                closed += orders.iter().filter(|o| **o == Output::Event(Event::Closed)).count();
                witness.see(bench.now, orders)?;
            }
            bench.now = until;
            let orders = take(&mut bench, &mut witness, step);
            closed += orders.iter().filter(|o| **o == Output::Event(Event::Closed)).count();
            witness.see(bench.now, orders)?;
            for asked in witness.open.values() {
                prop_assert!(bench.now - *asked <= ANSWER_WINDOW, "still unanswered");
            }
        }
        prop_assert!(witness.open.is_empty());
        prop_assert_eq!(closed == 1, bench.machine.is_closed());
    }
}
