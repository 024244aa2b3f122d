//! The machine's bold sentence, against random lives: a store that is slow or fails, crashes, and every input at any time.

use super::tests::{job, plan, token, HOUR_MS, START};
use super::*;
use proptest::prelude::*;

/// One step of a random life.
#[derive(Clone, Debug)]
enum Step {
    Save,
    FailSave,
    Assign,
    Lose,
    Outcome(Outcome),
    Gone(usize),
    Status(JobStatus),
    Terminate,
    Wait(i64),
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let status = prop_oneof![
        Just(JobStatus::Running),
        Just(JobStatus::Success),
        Just(JobStatus::Failed)
    ];
    let outcome = prop_oneof![
        prop_oneof![
            Just(Reading::Clear),
            Just(Reading::OtherIdentity),
            Just(Reading::Unreadable)
        ]
        .prop_map(|reading| Outcome::Accepted { reading }),
        Just(Outcome::Rejected { reason: None }),
        (any::<bool>(), proptest::option::of(0u64..100_000)).prop_map(
            |(in_doubt, retry_after_ms)| Outcome::Retry {
                why: "x".into(),
                retry_after_ms,
                in_doubt,
            }
        ),
        any::<bool>().prop_map(|gone| Outcome::Permanent {
            why: "x".into(),
            gone
        }),
    ];
    prop_oneof![
        8 => Just(Step::Save),
        1 => Just(Step::FailSave),
        3 => Just(Step::Assign),
        1 => Just(Step::Lose),
        4 => outcome.prop_map(Step::Outcome),
        1 => (0usize..3).prop_map(Step::Gone),
        2 => status.prop_map(Step::Status),
        1 => Just(Step::Terminate),
        3 => (0i64..15_000).prop_map(Step::Wait),
        1 => Just(Step::Crash),
    ]
}

/// The outside world of a random life: a store that takes its time, and a judge of everything that is done.
struct World {
    machine: Machine,
    now: i64,
    pending: VecDeque<(u64, Record)>,
    stored: Option<Record>,
    in_flight: bool,
    answers: u32,
    ends: Vec<JobStatus>,
    forgotten: bool,
}

impl World {
    fn take(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Persist {
                    sequence, record, ..
                } => self.pending.push_back((sequence, *record)),
                Output::Do(effect) => self.judge(effect),
            }
        }
    }

    fn input(&mut self, input: Input) {
        let out = self.machine.handle(self.now, input);
        self.take(out);
    }

    fn save(&mut self) {
        if let Some((sequence, record)) = self.pending.pop_front() {
            if let Some(before) = &self.stored {
                assert!(record.stage >= before.stage, "no stage goes backwards");
                assert!(
                    !before.status.is_terminal() || record.status == before.status,
                    "a final status stays"
                );
            }
            self.stored = Some(record);
            self.input(Input::Saved { sequence });
        }
    }

    /// Every effect is accounted for by what is stored at this moment.
    fn judge(&mut self, effect: Effect) {
        assert!(!self.forgotten, "nothing after the end: {effect:?}");
        let stored = self.stored.as_ref();
        match effect {
            Effect::Answer { available } => {
                self.answers += 1;
                assert!(!available || stored.is_some_and(|record| record.stage >= Stage::Answered));
            }
            Effect::Post {
                delivery, attempt, ..
            } => {
                let stored = stored.expect("a record");
                let noted = stored.delivery.as_ref().expect("a delivery");
                assert_eq!(
                    (stored.stage, noted.number, noted.attempt),
                    (Stage::Delivering, delivery, attempt)
                );
                assert!(stored.token.is_some());
                assert!(
                    !std::mem::replace(&mut self.in_flight, true),
                    "one attempt at a time"
                );
            }
            Effect::CancelAttempt => self.in_flight = false,
            Effect::PostTerminated { delivery, .. } => {
                assert!(stored.is_some_and(|record| record
                    .delivery
                    .as_ref()
                    .is_some_and(|d| d.number >= delivery)));
            }
            Effect::Report { status, .. } | Effect::Notice(Notice::Status { status }) => {
                assert!(stored
                    .is_some_and(|record| record.status == status || record.status.is_terminal()));
            }
            Effect::Reply {
                answer: StatusAnswer::Stored(view),
                ..
            } => {
                assert!(stored.is_some_and(
                    |record| record.status == view.status || record.status.is_terminal()
                ));
            }
            Effect::Reply { .. } | Effect::DisableEndpoint { .. } => {}
            Effect::Notice(Notice::Ended { status, .. }) => {
                assert!(stored
                    .is_some_and(|record| record.stage == Stage::Ended && record.status == status));
                self.ends.push(status);
            }
            Effect::Notice(_) => assert!(stored.is_some()),
            Effect::Forget => self.forgotten = true,
        }
    }

    /// A crash loses what is not stored; the restart takes up what is.
    fn crash(&mut self) {
        let Some(record) = self
            .stored
            .clone()
            .filter(|record| record.stage < Stage::Ended)
        else {
            return;
        };
        self.pending.clear();
        self.in_flight = false;
        let (machine, out) = Machine::restored(self.now, record, "b".into(), plan(3));
        self.machine = machine;
        self.take(out);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Save => self.save(),
            Step::FailSave => {
                if let Some((sequence, _)) = self.pending.pop_front() {
                    self.input(Input::NotSaved { sequence });
                }
            }
            Step::Assign => {
                let expires_at = self.now + HOUR_MS;
                self.input(Input::Assigned(Token {
                    expires_at,
                    ..token()
                }));
            }
            Step::Lose => self.input(Input::AssignmentLost),
            Step::Outcome(outcome) if self.in_flight => {
                self.in_flight = false;
                let current = self.machine.record().delivery.clone().expect("a delivery");
                let (delivery, attempt) = (current.number, current.attempt);
                self.input(Input::Attempted {
                    delivery,
                    attempt,
                    outcome,
                });
            }
            Step::Outcome(_) => {}
            Step::Gone(n) => self.input(Input::EndpointGone {
                url: format!("https://e{}/", n + 1),
            }),
            Step::Status(status) => self.input(Input::Status {
                ticket: 1,
                status,
                error: None,
            }),
            Step::Terminate => self.input(Input::Terminated),
            Step::Wait(ms) => {
                self.now += ms;
                self.input(Input::Tick);
            }
            Step::Crash => self.crash(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_sent_before_its_record_and_every_job_ends_exactly_once(steps in proptest::collection::vec(step(), 0..60)) {
        let (machine, out) = Machine::offered(START, job(), "i".into(), "b".into(), plan(3));
        let mut world = World {
            machine,
            now: START,
            pending: VecDeque::new(),
            stored: None,
            in_flight: false,
            answers: 0,
            ends: Vec::new(),
            forgotten: false,
        };
        world.take(out);
        for step in steps {
            if world.forgotten {
                break;
            }
            world.step(step);
        }
        // Left alone, with a store that works and agents that say nothing, whatever was taken on comes to an end.
        for _ in 0..200 {
            while !world.pending.is_empty() && !world.forgotten {
                world.save();
            }
            if world.forgotten {
                break;
            }
            if world.in_flight {
                world.step(Step::Outcome(Outcome::Permanent { why: "x".into(), gone: false }));
            } else if let Some(at) = world.machine.deadline() {
                world.now = world.now.max(at);
                world.input(Input::Tick);
            } else {
                world.input(Input::Terminated);
            }
        }
        prop_assert!(world.forgotten, "{:?}", world.machine);
        let declined = world.stored.is_none();
        prop_assert_eq!(world.ends.len(), usize::from(!declined));
        prop_assert!(world.answers <= 1);
    }
}
