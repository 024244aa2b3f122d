//! The machine by example.

use super::*;
use crate::id::Secret;
use crate::retry::Schedule;

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

#[test]
fn a_job_goes_from_its_offer_to_success_with_a_record_before_each_step() {
    let mut bench = Bench::offered(1);
    assert_eq!(bench.take(), [Effect::Answer { available: true }]);
    bench.input(Input::Assigned(token()));
    assert_eq!(bench.take(), [post(0, 1, 1)]);
    assert_eq!(bench.stage(), Stage::Delivering);
    bench.attempted(Outcome::Accepted {
        reading: Reading::Clear,
    });
    assert_eq!(
        bench.take(),
        [Effect::Notice(Notice::Delivered {
            endpoint: 0,
            attempt: 1,
            reading: Reading::Clear
        })]
    );
    assert!(
        bench.stored.as_ref().unwrap().token.is_none(),
        "a delivered job keeps no token"
    );
    let effects = bench.status(JobStatus::JsRunning);
    assert!(
        matches!(&effects[0], Effect::Reply { ticket: 9, answer: StatusAnswer::Stored(view) } if view.error.is_none())
    );
    assert_eq!(
        effects[1],
        Effect::Report {
            status: JobStatus::JsRunning,
            error: None
        }
    );
    let effects = bench.status(JobStatus::JsSuccess);
    assert_eq!(
        effects[1],
        Effect::Report {
            status: JobStatus::JsSuccess,
            error: None
        }
    );
    assert_eq!(ended(&effects), Some((JobStatus::JsSuccess, String::new())));
    assert_eq!(effects.last(), Some(&Effect::Forget));
}

#[test]
fn s1_22_waits_are_1_2_4_seconds_and_then_the_job_fails_with_the_reason() {
    let mut bench = Bench::assigned(1);
    for wait in [1_000, 2_000, 4_000] {
        bench.attempted(retry(false));
        assert_eq!(bench.wait(), wait);
    }
    bench.take();
    bench.attempted(retry(false));
    let effects = bench.take();
    let (status, error) = ended(&effects).unwrap();
    assert_eq!(status, JobStatus::JsFailed);
    assert_eq!(
        error,
        "endpoint 1 did not take the job after 4 attempts: it answered 503"
    );
    assert!(effects.contains(&Effect::Report {
        status: JobStatus::JsFailed,
        error: Some(error)
    }));
    assert!(effects
        .iter()
        .all(|effect| !matches!(effect, Effect::PostTerminated { .. })));
}

#[test]
fn retry_after_is_honoured_within_the_budget_and_beyond_it_ends_the_delivery() {
    let mut bench = Bench::assigned(2);
    bench.attempted(Outcome::Retry {
        why: "busy".into(),
        retry_after_ms: Some(5_000),
        in_doubt: false,
    });
    assert_eq!(bench.wait(), 5_000);
    bench.take();
    bench.attempted(Outcome::Retry {
        why: "busy".into(),
        retry_after_ms: Some(120_000),
        in_doubt: false,
    });
    assert_eq!(bench.take().last(), Some(&post(1, 2, 1)));
}

#[test]
fn a_rejection_a_permanent_failure_and_exhaustion_lead_to_the_next_endpoint() {
    let mut bench = Bench::assigned(3);
    bench.take();
    bench.attempted(Outcome::Rejected {
        reason: Some("busy".into()),
    });
    assert_eq!(
        bench.take(),
        [
            Effect::Notice(Notice::Rejected {
                endpoint: 0,
                reason: Some("busy".into())
            }),
            post(1, 2, 1)
        ]
    );
    bench.attempted(Outcome::Permanent {
        why: "it answered 410".into(),
        gone: true,
    });
    let effects = bench.take();
    assert_eq!(
        effects[0],
        Effect::DisableEndpoint {
            url: "https://e2/".into()
        }
    );
    assert_eq!(effects[2], post(2, 3, 1));
    bench.attempted(Outcome::Rejected {
        reason: Some("full".into()),
    });
    assert_eq!(
        ended(&bench.take()).unwrap().1,
        "endpoint 3 rejected the job: full"
    );
}

#[test]
fn an_endpoint_that_is_gone_is_skipped_and_left_while_waiting() {
    let mut bench = Bench::offered(2);
    bench.input(Input::EndpointGone {
        url: "https://e1/".into(),
    });
    bench.take();
    bench.input(Input::Assigned(token()));
    assert_eq!(bench.take(), [post(1, 1, 1)]);
    bench.attempted(retry(false));
    bench.input(Input::EndpointGone {
        url: "https://e2/".into(),
    });
    assert!(ended(&bench.take())
        .unwrap()
        .1
        .contains("410 Gone to another job"));
    let mut none = Bench::offered(1);
    none.input(Input::EndpointGone {
        url: "https://e1/".into(),
    });
    none.input(Input::Assigned(token()));
    assert!(ended(&none.take()).unwrap().1.contains("every endpoint"));
}

#[test]
fn an_endpoint_that_may_have_taken_the_job_is_told_before_the_next_one_is_asked() {
    let mut bench = Bench::assigned(2);
    for _ in 0..3 {
        bench.attempted(retry(true));
        bench.wait();
    }
    bench.take();
    bench.attempted(retry(false));
    let effects = bench.take();
    let cancelled = Effect::PostTerminated {
        endpoint: 0,
        delivery: 1,
        reason: Termination::Cancelled,
    };
    assert_eq!(effects[0], cancelled);
    assert_eq!(effects[2], post(1, 2, 1));
}

#[test]
fn no_attempt_is_made_with_a_token_in_its_last_five_minutes() {
    let mut bench = Bench::offered(1);
    let expires_at = START + TOKEN_MARGIN_MS + 1_500;
    bench.input(Input::Assigned(Token {
        expires_at,
        ..token()
    }));
    assert_eq!(
        bench.take()[1],
        Effect::Post {
            endpoint: 0,
            delivery: 1,
            attempt: 1,
            timeout_ms: 1_500
        }
    );
    for _ in 0..2 {
        bench.attempted(retry(false));
        bench.wait();
    }
    assert!(ended(&bench.take())
        .unwrap()
        .1
        .contains("token would expire"));
}

#[test]
fn a_status_that_overtakes_the_answer_counts_as_taken() {
    let mut bench = Bench::assigned(2);
    let effects = bench.status(JobStatus::JsRunning);
    assert!(!effects.contains(&Effect::CancelAttempt));
    assert!(effects.contains(&Effect::Notice(Notice::Delivered {
        endpoint: 0,
        attempt: 1,
        reading: Reading::Clear
    })));
    assert_eq!(bench.stage(), Stage::Running);
    bench.attempted(retry(true));
    assert_eq!(bench.take(), [], "the late outcome changes nothing");
    let (machine, out) = Machine::restored(
        START,
        Bench::assigned(1).stored.unwrap(),
        "b2".into(),
        plan(1),
    );
    let mut success = Bench {
        machine,
        now: START,
        stored: None,
        done: Vec::new(),
    };
    drop(out);
    let effects = success.status(JobStatus::JsSuccess);
    assert_eq!(ended(&effects).unwrap().0, JobStatus::JsSuccess);
}

#[test]
fn a_repeat_is_answered_and_a_contradiction_is_a_conflict() {
    let mut bench = Bench::assigned(1);
    bench.attempted(Outcome::Accepted {
        reading: Reading::Clear,
    });
    bench.status(JobStatus::JsRunning);
    let effects = bench.status(JobStatus::JsRunning);
    assert!(matches!(
        effects[..],
        [Effect::Reply {
            answer: StatusAnswer::Stored(_),
            ..
        }]
    ));
    bench.status(JobStatus::JsFailed);
    let effects = bench.status(JobStatus::JsSuccess);
    assert!(matches!(
        effects[..],
        [Effect::Reply {
            answer: StatusAnswer::Conflict(_),
            ..
        }]
    ));
}

#[test]
fn a_terminated_job_is_told_to_its_endpoint_and_the_agent_has_the_last_word() {
    let mut bench = Bench::assigned(1);
    bench.attempted(Outcome::Accepted {
        reading: Reading::Clear,
    });
    bench.status(JobStatus::JsRunning);
    bench.input(Input::Terminated);
    let told = Effect::PostTerminated {
        endpoint: 0,
        delivery: 1,
        reason: Termination::DispatchDeleted,
    };
    assert_eq!(bench.take(), [told]);
    let effects = bench.status(JobStatus::JsSuccess);
    assert_eq!(ended(&effects).unwrap().0, JobStatus::JsSuccess);
    assert!(
        effects
            .iter()
            .all(|effect| !matches!(effect, Effect::Report { .. })),
        "LiveKit has forgotten it"
    );
}

#[test]
fn a_terminated_job_whose_agent_says_nothing_fails_after_ten_seconds() {
    let mut bench = Bench::assigned(1);
    bench.attempted(Outcome::Accepted {
        reading: Reading::Clear,
    });
    bench.input(Input::Terminated);
    bench.take();
    assert_eq!(bench.wait(), LAST_WORD_MS);
    assert_eq!(ended(&bench.take()).unwrap().0, JobStatus::JsFailed);
}

#[test]
fn a_termination_during_the_delivery_ends_it_at_once() {
    let mut bench = Bench::assigned(2);
    bench.take();
    bench.input(Input::Terminated);
    let effects = bench.take();
    assert_eq!(effects[0], Effect::CancelAttempt);
    assert!(matches!(
        effects[1],
        Effect::PostTerminated { endpoint: 0, .. }
    ));
    assert!(ended(&effects).is_some());
}

#[test]
fn an_answer_without_an_assignment_fails_after_ten_seconds() {
    let mut bench = Bench::offered(1);
    assert_eq!(bench.wait(), ASSIGNMENT_WAIT_MS);
    assert!(ended(&bench.take()).unwrap().1.contains("did not assign"));
}

#[test]
fn a_store_that_fails_declines_the_offer() {
    let (mut machine, out) = Machine::offered(START, job(), "i".into(), "b".into(), plan(1));
    assert!(matches!(out[..], [Output::Persist { sequence: 1, .. }]));
    let out = machine.handle(START, Input::NotSaved { sequence: 1 });
    assert!(matches!(
        out[..],
        [
            Output::Do(Effect::Answer { available: false }),
            Output::Do(Effect::Forget)
        ]
    ));
}

#[test]
fn a_status_that_cannot_be_written_is_refused_and_written_later() {
    let mut bench = Bench::assigned(1);
    bench.attempted(Outcome::Accepted {
        reading: Reading::Clear,
    });
    let input = Input::Status {
        ticket: 1,
        status: JobStatus::JsRunning,
        error: None,
    };
    let out = bench.machine.handle(bench.now, input);
    let [Output::Persist { sequence, .. }] = out[..] else {
        panic!("only a record: {out:?}")
    };
    let out = bench
        .machine
        .handle(bench.now, Input::NotSaved { sequence });
    let unavailable = Effect::Reply {
        ticket: 1,
        answer: StatusAnswer::Unavailable,
    };
    assert!(matches!(&out[..], [Output::Do(effect)] if *effect == unavailable));
    bench.take();
    assert_eq!(bench.wait(), SAVE_AGAIN_MS);
    assert_eq!(
        bench.take()[0],
        Effect::Report {
            status: JobStatus::JsRunning,
            error: None
        }
    );
}

#[test]
fn a_restart_repeats_the_attempt_whose_outcome_nobody_knows() {
    let mut bench = Bench::assigned(1);
    bench.attempted(retry(false));
    bench.wait();
    let record = bench.stored.clone().unwrap();
    let later = bench.now + 120_000;
    let (machine, out) = Machine::restored(later, record, "b2".into(), plan(1));
    let mut bench = Bench {
        machine,
        now: later,
        stored: None,
        done: Vec::new(),
    }
    .perform(out);
    assert_eq!(bench.take(), [post(0, 1, 2)]);
    assert_eq!(bench.stored.as_ref().unwrap().bearers, ["b1", "b2"]);
    bench.attempted(Outcome::Accepted {
        reading: Reading::Clear,
    });
    assert_eq!(bench.stage(), Stage::Delivered);
}

#[test]
fn a_restart_accounts_for_what_it_cannot_continue() {
    let restore = |stored: &Option<Record>, now: i64, plan: Plan| {
        let (machine, out) = Machine::restored(now, stored.clone().unwrap(), "b2".into(), plan);
        ended(
            &Bench {
                machine,
                now,
                stored: None,
                done: Vec::new(),
            }
            .perform(out)
            .take(),
        )
    };
    let assigned = Bench::assigned(1).stored;
    assert!(restore(&Bench::offered(1).stored, START, plan(1))
        .unwrap()
        .1
        .contains("restarted before"));
    assert!(restore(&assigned, START + HOUR_MS, plan(1))
        .unwrap()
        .1
        .contains("token would expire"));
    assert!(restore(&assigned, START, Plan::default())
        .unwrap()
        .1
        .contains("no longer configured"));
    assert_eq!(restore(&assigned, START, plan(1)), None);
    let mut running = Bench::assigned(1);
    running.attempted(Outcome::Accepted {
        reading: Reading::Clear,
    });
    assert_eq!(restore(&running.stored, START, plan(1)), None);
}
