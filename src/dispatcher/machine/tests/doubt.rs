//! Two agents never share a job: who may have taken it and is given up, is cancelled first.

use super::*;

/// The first endpoint's attempts all end without a word.
fn given_up(endpoints: usize) -> Bench {
    let mut bench = Bench::assigned(endpoints);
    for _ in 0..3 {
        bench.attempted(retry(true));
        bench.wait();
    }
    bench.take();
    bench.attempted(retry(false));
    bench
}

#[test]
fn f_d3_an_endpoint_that_may_have_taken_the_job_is_told_and_its_agent_removed_before_the_next_one_is_asked(
) {
    let mut bench = given_up(2);
    let effects = bench.take();
    assert!(matches!(
        effects[0],
        Effect::Notice(Notice::DeliveryExhausted { endpoint: 0, .. })
    ));
    assert_eq!(
        effects[1..],
        [
            told(0, 1, TerminationReason::Cancelled),
            Effect::RemoveParticipant
        ]
    );
    bench.input(Input::Removal(Removal::Nobody));
    assert_eq!(bench.take(), [post(1, 2, 1)]);
}

#[test]
fn f_d3_a_cancelled_delivery_changes_nothing_any_more() {
    let mut bench = given_up(2);
    for (at, taken) in [
        ("while the room is cleared", false),
        ("while the next one is asked", true),
    ] {
        for status in [JobStatus::Running, JobStatus::Success, JobStatus::Failed] {
            let before = bench.machine.record().clone();
            let effects = bench.status_of(Reporter::Delivery(1), status);
            assert!(is_conflict(&effects), "{at}: {effects:?}");
            assert_eq!(*bench.machine.record(), before, "{at}");
        }
        if !taken {
            bench.input(Input::Removal(Removal::Nobody));
        }
    }
    bench.attempted(accepted());
    bench.status(JobStatus::Running);
    assert!(is_conflict(
        &bench.status_of(Reporter::Delivery(1), JobStatus::Success)
    ));
    assert_eq!(bench.stage(), Stage::Running);
    let effects = bench.status(JobStatus::Success);
    assert_eq!(ended(&effects).unwrap().0, JobStatus::Success);
}

#[test]
fn f_d3_each_delivery_has_a_bearer_of_its_own() {
    let mut bench = Bench::assigned(2);
    bench.attempted(Outcome::Rejected { reason: None });
    let bearers = &bench.stored.as_ref().unwrap().bearers;
    let known: Vec<_> = bearers
        .iter()
        .map(|known| (known.delivery, &*known.hash))
        .collect();
    assert_eq!(known, [(1, "a1"), (2, "a2")]);
    // Whoever said no has no say either.
    assert!(is_conflict(
        &bench.status_of(Reporter::Delivery(1), JobStatus::Failed)
    ));
}

#[test]
fn f_d3_a_no_after_a_doubtful_attempt_is_cancelled_too() {
    let mut bench = Bench::assigned(2);
    bench.attempted(retry(true));
    bench.wait();
    bench.take();
    bench.attempted(Outcome::Rejected { reason: None });
    assert!(bench.take().contains(&Effect::RemoveParticipant));
}

#[test]
fn f_d3_the_last_endpoints_agent_is_removed_too_before_the_job_fails() {
    let mut bench = given_up(1);
    assert_eq!(ended(&bench.take()), None);
    bench.input(Input::Removal(Removal::Nobody));
    let (status, error) = ended(&bench.take()).unwrap();
    assert_eq!(status, JobStatus::Failed);
    assert_eq!(
        error,
        "endpoint 1 did not take the job after 4 attempts: it answered 503"
    );
}

#[test]
fn f_d3_livekits_termination_of_a_job_whose_agent_we_removed_is_not_the_jobs_end() {
    for before_the_answer in [true, false] {
        let mut bench = given_up(2);
        if before_the_answer {
            bench.input(Input::Terminated);
        }
        bench.input(Input::Removal(Removal::Removed));
        if !before_the_answer {
            bench.input(Input::Terminated);
        }
        assert_eq!(bench.take().last(), Some(&post(1, 2, 1)));
        bench.attempted(accepted());
        bench.status(JobStatus::Running);
        bench.input(Input::Terminated);
        let effects = bench.take();
        assert_eq!(
            effects,
            [told(1, 2, TerminationReason::DispatchDeleted)],
            "the next one is"
        );
    }
}

#[test]
fn f_d3_a_termination_while_nobody_was_there_to_remove_is_the_jobs_end() {
    let mut bench = given_up(2);
    bench.input(Input::Terminated);
    bench.input(Input::Removal(Removal::Nobody));
    assert!(ended(&bench.take())
        .unwrap()
        .1
        .contains("LiveKit ended the job"));
}

#[test]
fn f_d3_a_room_that_cannot_be_cleared_for_a_minute_fails_the_job_rather_than_admit_two() {
    let mut bench = given_up(2);
    let mut waited = 0;
    while ended(&bench.done).is_none() {
        assert!(!bench.done.contains(&post(1, 2, 1)));
        bench.take();
        bench.input(Input::Removal(Removal::Unknown {
            why: "no route".into(),
        }));
        if ended(&bench.done).is_none() {
            waited += bench.wait();
        }
    }
    assert_eq!(waited, 60_000);
    assert!(ended(&bench.take())
        .unwrap()
        .1
        .contains("could not be removed from the room: no route"));
}

#[test]
fn f_d4_an_attempt_whose_outcome_a_restart_hides_is_in_doubt() {
    let first = Bench::assigned(2);
    let mut bench = first.restarted(1_000, plan(2));
    assert_eq!(bench.take(), [post(0, 1, 1)]);
    bench.attempted(Outcome::Permanent {
        why: "it answered 404".into(),
        gone: false,
    });
    let effects = bench.take();
    assert_eq!(
        effects[1..],
        [
            told(0, 1, TerminationReason::Cancelled),
            Effect::RemoveParticipant
        ]
    );
}

#[test]
fn f_d4_a_restart_while_the_room_is_cleared_tells_and_removes_once_more() {
    let bench = given_up(2);
    let mut bench = bench.restarted(1_000, plan(2));
    assert_eq!(
        bench.take(),
        [
            told(0, 1, TerminationReason::Cancelled),
            Effect::RemoveParticipant
        ]
    );
    bench.input(Input::Removal(Removal::Nobody));
    assert_eq!(bench.take(), [post(1, 2, 1)]);
    assert_eq!(bench.stored.unwrap().bearers.last().unwrap().hash, "b2");
}

#[test]
fn f_d4_an_endpoint_that_left_the_configuration_is_removed_from_the_room_without_a_word() {
    let mut bench = Bench::assigned(1).restarted(1_000, Plan::default());
    assert_eq!(bench.take(), [Effect::RemoveParticipant]);
    bench.input(Input::Removal(Removal::Removed));
    assert!(ended(&bench.take())
        .unwrap()
        .1
        .contains("no longer configured"));
}
