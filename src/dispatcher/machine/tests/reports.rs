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
    let mut success = Bench::assigned(1).restarted(0, plan(1));
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
    let reports = effects
        .iter()
        .filter(|effect| matches!(effect, Effect::Report { .. }));
    assert_eq!(reports.count(), 1, "LiveKit waits for one last status");
}

#[test]
fn a_terminated_job_whose_agent_says_nothing_fails_after_ten_seconds() {
    let mut bench = Bench::assigned(1);
    bench.attempted(Outcome::Accepted {
        reading: Reading::Clear,
    });
    bench.input(Input::Terminated);
    bench.take();
    assert_eq!(bench.wait(), 10_000);
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
    let now = at(START as u64);
    let mut machine = Machine::offered(now, job(), "i".into(), bearers("a", 1), plan(1));
    let first = machine.poll_output();
    assert!(matches!(first, Some(Output::Persist { sequence: 1, .. })));
    machine.handle(now, Input::NotSaved { sequence: 1 });
    let out: Vec<Output> = std::iter::from_fn(|| machine.poll_output()).collect();
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
        reporter: Reporter::Delivery(1),
        status: JobStatus::Running,
        error: None,
    };
    bench.machine.handle(bench.now, input);
    let Some(Output::Persist { sequence, .. }) = bench.machine.poll_output() else {
        panic!("only a record")
    };
    let not_saved = Input::NotSaved { sequence };
    bench.machine.handle(bench.now, not_saved);
    let out: Vec<Output> = std::iter::from_fn(|| bench.machine.poll_output()).collect();
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
    let mut bench = bench.restarted(120_000, plan(1));
    assert_eq!(bench.take(), [post(0, 1, 2)]);
    let bearers = &bench.stored.as_ref().unwrap().bearers;
    let known: Vec<_> = bearers
        .iter()
        .map(|known| (known.delivery, &*known.hash))
        .collect();
    assert_eq!(known, [(1, "a1"), (1, "b1")]);
    bench.attempted(Outcome::Accepted {
        reading: Reading::Clear,
    });
    assert_eq!(bench.stage(), Stage::Delivered);
}

#[test]
fn a_restart_accounts_for_what_it_cannot_continue() {
    let restore = |bench: &Bench, later_ms: u64, plan: Plan| {
        let mut bench = bench.restarted(later_ms, plan);
        bench.input(Input::Removal(Removal::Nobody));
        ended(&bench.take())
    };
    let assigned = Bench::assigned(1);
    assert!(restore(&Bench::offered(1), 0, plan(1))
        .unwrap()
        .1
        .contains("restarted before"));
    assert!(restore(&assigned, HOUR_MS as u64, plan(1))
        .unwrap()
        .1
        .contains("token would expire"));
    assert!(restore(&assigned, 0, Plan::default())
        .unwrap()
        .1
        .contains("no longer configured"));
    assert_eq!(restore(&assigned, 0, plan(1)), None);
    let mut running = Bench::delivered(1);
    running.status(JobStatus::Running);
    assert_eq!(restore(&running, 0, plan(1)), None);
}
