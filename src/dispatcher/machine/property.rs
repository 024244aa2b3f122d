//! The machine's bold sentence, against random lives: a store that is slow or fails, crashes, and every input at any time.

use super::tests::{job, plan, token, HOUR_MS, START};
use super::*;
use crate::time::tests::at;
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
    /// What came of the removal under way.
    Removal(Removal),
    /// Who is in the room, if that is being asked.
    Presence(Option<bool>),
    /// By the delivery with this number, or a room admin (0).
    Status(u32, JobStatus),
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
            Just(Reading::Empty)
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
        2 => prop_oneof![
            Just(Removal::Removed),
            Just(Removal::Nobody),
            Just(Removal::Unknown { why: "x".into() })
        ].prop_map(Step::Removal),
        2 => any::<Option<bool>>().prop_map(Step::Presence),
        3 => (0u32..4, status).prop_map(|(delivery, status)| Step::Status(delivery, status)),
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
    removing: bool,
    looking: bool,
    /// The delivery whose agent may be on its way, and whether it was told and the room cleared.
    suspect: Option<(u32, bool)>,
    /// The deliveries whose bearer left.
    sent: BTreeSet<u32>,
    answers: u32,
    ends: Vec<JobStatus>,
    forgotten: bool,
}

impl World {
    fn now(&self) -> Now {
        at(self.now as u64)
    }

    fn take(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Persist {
                    sequence, record, ..
                } => self.pending.push_back((sequence, *record)),
                Output::Do(effect) => self.judge(effect),
            }
        }
    }

    fn input(&mut self, input: Input) {
        let now = self.now();
        self.machine.handle(now, input);
        self.take();
    }

    fn delivery(&self) -> u32 {
        let delivery = self.machine.record().delivery.as_ref();
        delivery.map_or(0, |delivery| delivery.number)
    }

    fn save(&mut self) {
        if let Some((sequence, record)) = self.pending.pop_front() {
            if let Some(before) = &self.stored {
                let delivery = |record: &Record| {
                    let delivery = record.delivery.as_ref();
                    delivery.map(|delivery| (delivery.number, delivery.cancelled))
                };
                assert!(
                    record.stage >= before.stage || delivery(&record) > delivery(before),
                    "only another delivery, or the end of one, takes a job back"
                );
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
                if let Some((suspect, cleared)) = self.suspect {
                    assert!(
                        suspect == delivery || cleared,
                        "two agents would share the job"
                    );
                }
                self.sent.insert(delivery);
                let spoken_for = stored
                    .bearers
                    .iter()
                    .any(|known| known.delivery == delivery);
                assert!(spoken_for, "a bearer of its own");
            }
            Effect::CancelAttempt => self.in_flight = false,
            Effect::RemoveParticipant => {
                assert!(stored.is_some_and(|record| record.stage == Stage::Ended
                    || record.delivery.as_ref().is_some_and(|d| d.cancelled)));
                self.removing = true;
            }
            Effect::LookForParticipant => self.looking = true,
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
        if std::mem::take(&mut self.in_flight) {
            self.suspect = record.delivery.as_ref().map(|d| (d.number, false));
        }
        (self.removing, self.looking) = (false, false);
        let bearers = ["b1", "b2", "b3"].map(str::to_owned).to_vec();
        self.machine = Machine::restored(self.now(), record, bearers, plan(3));
        self.take();
    }

    /// Only the delivery under way changes anything.
    fn report(&mut self, number: u32, status: JobStatus) {
        if number != 0 && !self.sent.contains(&number) {
            return;
        }
        let before = self.machine.record().clone();
        let cancelled = before.delivery.as_ref().is_some_and(|d| d.cancelled);
        let reporter = match number {
            0 => Reporter::RoomAdmin,
            number => Reporter::Delivery(number),
        };
        let stranger = number != 0 && (number != self.delivery() || cancelled);
        if !stranger && number != 0 && !before.status.is_terminal() {
            // Whoever reports is there.
            self.suspect = Some((number, false));
        }
        self.input(Input::Status {
            ticket: 1,
            reporter,
            status,
            error: None,
        });
        assert!(
            !stranger || *self.machine.record() == before,
            "a stranger changed something"
        );
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
                self.input(Input::Assigned {
                    token: token(),
                    expires_at,
                });
            }
            Step::Lose => self.input(Input::AssignmentLost),
            Step::Outcome(outcome) if self.in_flight => {
                self.in_flight = false;
                let current = self.machine.record().delivery.clone().expect("a delivery");
                let (delivery, attempt) = (current.number, current.attempt);
                if matches!(
                    outcome,
                    Outcome::Accepted { .. } | Outcome::Retry { in_doubt: true, .. }
                ) {
                    self.suspect = Some((delivery, false));
                }
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
            Step::Removal(removal) if self.removing => {
                self.removing = false;
                if let (Some((_, cleared)), true) = (
                    &mut self.suspect,
                    !matches!(removal, Removal::Unknown { .. }),
                ) {
                    *cleared = true;
                }
                self.input(Input::Removal(removal));
            }
            Step::Presence(present) if self.looking => {
                self.looking = false;
                self.input(Input::Presence(present));
            }
            Step::Removal(_) | Step::Presence(_) => {}
            Step::Status(number, status) => self.report(number, status),
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
        let bearers = ["a1", "a2", "a3"].map(str::to_owned).to_vec();
        let machine = Machine::offered(at(START as u64), job(), "i".into(), bearers, plan(3));
        let mut world = World {
            machine,
            now: START,
            pending: VecDeque::new(),
            stored: None,
            in_flight: false,
            removing: false,
            looking: false,
            suspect: None,
            sent: BTreeSet::new(),
            answers: 0,
            ends: Vec::new(),
            forgotten: false,
        };
        world.take();
        for step in steps {
            if world.forgotten {
                break;
            }
            world.step(step);
        }
        // F-D1: left alone it comes to an end, and nobody has to say so: the store works, agents report nothing and leave,
        // LiveKit answers what it is asked and ends nothing by itself.
        for _ in 0..200 {
            while !world.pending.is_empty() && !world.forgotten {
                world.save();
            }
            if world.forgotten {
                break;
            }
            if world.in_flight {
                world.step(Step::Outcome(Outcome::Accepted { reading: Reading::Empty }));
            } else if world.removing {
                world.step(Step::Removal(Removal::Nobody));
            } else if world.looking {
                world.step(Step::Presence(Some(false)));
            } else if let Some(at) = world.machine.poll_timeout() {
                let wait = at.saturating_duration_since(world.now().instant).as_millis();
                world.now += i64::try_from(wait).expect("a wait");
                world.input(Input::Tick);
            } else {
                prop_assert!(false, "nothing to wait for: {:?}", world.machine);
            }
        }
        prop_assert!(world.forgotten, "{:?}", world.machine);
        let declined = world.stored.is_none();
        prop_assert_eq!(world.ends.len(), usize::from(!declined));
        prop_assert!(world.answers <= 1);
    }
}
