//! What happens to a job that was handed over, and to one that cannot go on: statuses, terminations, failing stores, restarts.

use super::*;

#[test]
fn a_status_that_overtakes_the_answer_counts_as_taken() {
    let mut bench = Bench::assigned(2);
    let effects = bench.status(JobStatus::Running);
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
    let effects = success.status(JobStatus::Success);
    assert_eq!(ended(&effects).unwrap().0, JobStatus::Success);
}

#[test]
fn a_repeat_is_answered_and_a_contradiction_is_a_conflict() {
    let mut bench = Bench::assigned(1);
    bench.attempted(Outcome::Accepted {
        reading: Reading::Clear,
    });
    bench.status(JobStatus::Running);
    let effects = bench.status(JobStatus::Running);
    assert!(matches!(
        effects[..],
        [Effect::Reply {
            answer: StatusAnswer::Stored(_),
            ..
        }]
    ));
    bench.status(JobStatus::Failed);
    let effects = bench.status(JobStatus::Success);
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
    bench.status(JobStatus::Running);
    bench.input(Input::Terminated);
    let told = Effect::PostTerminated {
        endpoint: 0,
        delivery: 1,
        reason: TerminationReason::DispatchDeleted,
    };
    assert_eq!(bench.take(), [told]);
    let effects = bench.status(JobStatus::Success);
    assert_eq!(ended(&effects).unwrap().0, JobStatus::Success);
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
    assert_eq!(ended(&bench.take()).unwrap().0, JobStatus::Failed);
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
        status: JobStatus::Running,
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
            status: JobStatus::Running,
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
