//! A delivered job does not stay open for ever: nobody comes, nobody is left, nobody stops.

use super::*;

fn presence(bench: &mut Bench, present: Option<bool>) -> Vec<Effect> {
    assert_eq!(bench.take(), [Effect::LookForParticipant]);
    bench.input(Input::Presence(present));
    bench.take()
}

#[test]
fn f_d1_an_endpoint_that_took_the_job_and_sent_nobody_is_cancelled_after_the_join_timeout() {
    let mut bench = Bench::delivered(2);
    assert_eq!(bench.wait_for_something(), 30_000);
    let effects = presence(&mut bench, Some(false));
    assert!(
        matches!(&effects[0], Effect::Notice(Notice::DeliveryExhausted { endpoint: 0, why, .. }) if why.contains("30000 ms")),
        "{effects:?}"
    );
    assert_eq!(
        effects[1..],
        [
            told(0, 1, TerminationReason::Cancelled),
            Effect::RemoveParticipant
        ]
    );
    assert!(is_conflict(&bench.status(JobStatus::Running)));
    bench.input(Input::Removal(Removal::Nobody));
    assert_eq!(bench.take(), [post(1, 2, 1)]);
    bench.attempted(Outcome::Rejected { reason: None });
    assert!(ended(&bench.take()).is_some());
}

#[test]
fn f_d1_a_job_that_nobody_comes_for_fails_with_a_reason() {
    let mut bench = Bench::delivered(1);
    bench.wait_for_something();
    presence(&mut bench, Some(false));
    bench.input(Input::Removal(Removal::Nobody));
    assert_eq!(
        ended(&bench.take()).unwrap().1,
        "endpoint 1 took the job, and no agent reported or joined within 30000 ms"
    );
}

#[test]
fn f_d1_an_agent_that_reports_or_is_in_the_room_has_joined() {
    let mut silent = Bench::delivered(2);
    silent.wait_for_something();
    assert_eq!(presence(&mut silent, Some(true)), []);
    let mut running = Bench::delivered(2);
    running.status(JobStatus::Running);
    for bench in [&mut silent, &mut running] {
        // Nothing more until the token has run out; LiveKit says when the agent leaves.
        let left = (START + HOUR_MS - bench.now.unix_ms) as u64;
        assert_eq!(bench.wait_for_something(), left);
        assert_eq!(presence(bench, Some(true)), []);
        assert_eq!(bench.wait_for_something(), 60_000);
        assert_eq!(presence(bench, Some(false)), []);
        // It may only be reconnecting.
        assert_eq!(bench.wait_for_something(), 10_000);
        let effects = presence(bench, Some(false));
        assert_eq!(effects[0], told(0, 1, TerminationReason::AgentLeft));
        assert!(ended(&effects).unwrap().1.contains("no longer in the room"));
    }
}

#[test]
fn f_d1_a_livekit_that_does_not_say_who_is_there_is_asked_until_the_token_has_run_out() {
    let mut bench = Bench::delivered(1);
    bench.wait_for_something();
    while presence(&mut bench, None).is_empty() {
        bench.wait_for_something();
    }
    let after = bench.now.unix_ms - START - HOUR_MS;
    assert!((0..10_000).contains(&after), "{after} ms after its end");
    bench.input(Input::Removal(Removal::Nobody));
    assert!(ended(&bench.take()).is_some());
}

#[test]
fn f_d1_a_job_that_takes_longer_than_it_may_is_ended_and_its_agent_removed() {
    let mut bench = Bench::with(Plan {
        max_duration_ms: Some(3_600_000 * 5),
        ..plan(1)
    });
    bench.input(assignment());
    bench.attempted(accepted());
    bench.status(JobStatus::Running);
    loop {
        bench.wait_for_something();
        if bench.done[0] != Effect::LookForParticipant {
            break;
        }
        presence(&mut bench, Some(true));
    }
    assert_eq!(bench.now.unix_ms - START, HOUR_MS * 5);
    assert_eq!(bench.take(), [told(0, 1, TerminationReason::Expired)]);
    assert_eq!(bench.wait_for_something(), 10_000);
    let effects = bench.take();
    assert_eq!(effects[0], Effect::RemoveParticipant);
    let (status, error) = ended(&effects).unwrap();
    assert_eq!(status, JobStatus::Failed);
    assert!(error.contains("max_duration (18000000 ms)"), "{error}");
}

#[test]
fn f_d1_a_delivered_job_is_watched_after_a_restart_too() {
    let mut bench = Bench::delivered(2).restarted(1_000, plan(2));
    assert_eq!(bench.wait_for_something(), 30_000);
    presence(&mut bench, Some(false));
    bench.input(Input::Removal(Removal::Nobody));
    assert_eq!(bench.take(), [post(1, 2, 1)]);
    let mut running = Bench::delivered(2);
    running.status(JobStatus::Running);
    let mut running = running.restarted(1_000, plan(2));
    // LiveKit has forgotten it and will not say that the agent left.
    assert_eq!(running.wait_for_something(), 60_000);
    presence(&mut running, Some(false));
    running.wait_for_something();
    assert!(ended(&presence(&mut running, Some(false))).is_some());
}

#[test]
fn f_d17_dates_are_compared_with_the_wall_clock_and_waits_with_the_steady_one() {
    // A computer that sleeps: the wall clock goes on, the steady one does not.
    let mut asleep = Bench::assigned(1);
    asleep.attempted(retry(false));
    asleep.take();
    asleep.now.unix_ms += HOUR_MS;
    asleep.now.instant += std::time::Duration::from_secs(1);
    asleep.input(Input::Tick);
    assert!(ended(&asleep.take())
        .unwrap()
        .1
        .contains("token would expire"));
    // A wall clock that is set back: the wait is as long as it was.
    let mut set_back = Bench::assigned(1);
    set_back.attempted(retry(false));
    set_back.take();
    set_back.now.unix_ms -= HOUR_MS;
    set_back.now.instant += std::time::Duration::from_secs(1);
    set_back.input(Input::Tick);
    assert_eq!(set_back.take(), [post(0, 1, 2)]);
}
