//! The worker machine: what it does in each state.

mod bench;
mod invariant;

use std::time::Duration;

use super::*;
use crate::worker::machine::tests::bench::{accept, answers, events, loads, Bench};

const MS: Duration = Duration::from_millis(1);

#[test]
fn an_offer_nobody_answers_is_declined_when_the_window_ends_and_a_later_answer_is_not_sent() {
    let mut bench = Bench::registered(4);
    bench.offer("AJ_1");
    assert!(answers(&bench.pass(ANSWER_WINDOW - MS)).is_empty());
    let orders = bench.pass(MS);
    assert_eq!(answers(&orders), [("AJ_1", &Answer::Decline)]);
    assert_eq!(bench.answer("AJ_1", accept()), AnswerOutcome::NotWaiting);
    assert!(bench.orders().is_empty());
}

#[test]
fn an_answer_that_meets_the_end_of_the_window_is_too_late() {
    let mut bench = Bench::registered(4);
    bench.offer("AJ_1");
    bench.now += ANSWER_WINDOW;
    assert_eq!(bench.answer("AJ_1", accept()), AnswerOutcome::NotWaiting);
    assert_eq!(answers(&bench.orders()), [("AJ_1", &Answer::Decline)]);
}

#[test]
fn only_the_first_answer_counts() {
    let mut bench = Bench::registered(4);
    bench.offer("AJ_1");
    assert_eq!(bench.answer("AJ_1", Answer::Terminate), AnswerOutcome::Sent);
    assert_eq!(bench.answer("AJ_1", accept()), AnswerOutcome::NotWaiting);
    assert_eq!(answers(&bench.orders()), [("AJ_1", &Answer::Terminate)]);
    // A terminated job gets no assignment, so none is missed.
    assert!(events(bench.pass(ASSIGNMENT_WINDOW)).is_empty());
}

#[test]
fn load_stays_below_what_livekit_ignores_and_a_full_worker_declines_by_itself() {
    let mut bench = Bench::registered(2);
    bench.offer("AJ_1");
    bench.answer("AJ_1", accept());
    bench.orders();
    let orders = bench.assign("AJ_1");
    assert_eq!(loads(&orders), [(false, 0.345)]);
    // One running, one offered: no room for a third, although LiveKit was not told full.
    assert!(answers(&bench.offer("AJ_2")).is_empty());
    assert_eq!(answers(&bench.offer("AJ_3")), [("AJ_3", &Answer::Decline)]);
    bench.answer("AJ_2", accept());
    bench.orders();
    assert_eq!(loads(&bench.assign("AJ_2")), [(true, 0.69)]);
    assert_eq!(
        bench.update("AJ_1", JobStatus::Success),
        UpdateOutcome::Sent
    );
    assert_eq!(loads(&bench.orders()), [(false, 0.345)]);
}

#[test]
fn the_owner_counts_jobs_that_this_connection_does_not_know() {
    let mut bench = Bench::registered(4);
    assert_eq!(loads(&bench.tell(Input::SetActive(4))), [(true, 0.69)]);
    assert_eq!(answers(&bench.offer("AJ_1")), [("AJ_1", &Answer::Decline)]);
    assert_eq!(loads(&bench.tell(Input::SetActive(4))), []);
    assert_eq!(loads(&bench.tell(Input::SetActive(0))), [(false, 0.0)]);
    assert_eq!(loads(&bench.tell(Input::SetActive(9))), [(true, 0.69)]);
}

#[test]
fn an_assignment_that_does_not_come_is_reported_once_and_a_late_one_is_given_back() {
    let mut bench = Bench::registered(4);
    bench.offer("AJ_1");
    bench.answer("AJ_1", accept());
    assert!(events(bench.pass(ASSIGNMENT_WINDOW - MS)).is_empty());
    let lost = Event::AssignmentLost {
        job_id: "AJ_1".into(),
    };
    assert_eq!(events(bench.pass(MS)), [lost]);
    let orders = bench.assign("AJ_1");
    assert!(matches!(
        &orders[..],
        [Output::Send(ToServer::UpdateJob {
            status: JobStatus::Failed,
            ..
        })]
    ));
}

#[test]
fn a_status_is_sent_only_on_the_connection_that_has_the_job() {
    let mut bench = Bench::registered(4);
    assert_eq!(
        bench.update("AJ_1", JobStatus::Running),
        UpdateOutcome::Unknown
    );
    bench.run("AJ_1");
    assert_eq!(
        bench.update("AJ_1", JobStatus::Running),
        UpdateOutcome::Sent
    );
    bench.tell(Input::Lost(Reason::ClosedByServer));
    assert_eq!(
        bench.update("AJ_1", JobStatus::Success),
        UpdateOutcome::NoSocket
    );
    bench.pass(Duration::from_millis(500));
    bench.register();
    assert_eq!(
        bench.update("AJ_1", JobStatus::Success),
        UpdateOutcome::Unknown
    );
    assert!(bench.orders().is_empty());
}

#[test]
fn a_terminated_job_is_told_once_and_no_longer_spoken_about() {
    let mut bench = Bench::registered(4);
    bench.run("AJ_1");
    let gone = Event::Terminated {
        job_id: "AJ_1".into(),
    };
    let first = bench.message(FromServer::Termination("AJ_1".into()));
    assert_eq!(loads(&first), [(false, 0.0)]);
    assert_eq!(events(first), [gone]);
    let second = bench.message(FromServer::Termination("AJ_1".into()));
    assert!(events(second).is_empty());
}

#[test]
fn f_d9_a_terminated_job_is_owed_one_final_status_and_no_other() {
    let mut bench = Bench::registered(4);
    bench.run("AJ_1");
    bench.run("AJ_2");
    bench.message(FromServer::Termination("AJ_1".into()));
    bench.message(FromServer::Termination("AJ_2".into()));
    for (status, outcome) in [
        (JobStatus::Running, UpdateOutcome::Unknown),
        (JobStatus::Success, UpdateOutcome::Sent),
        (JobStatus::Success, UpdateOutcome::Unknown),
    ] {
        assert_eq!(bench.update("AJ_1", status), outcome, "{status:?}");
    }
    let sent = bench.orders();
    assert!(
        matches!(&sent[..], [Output::Send(ToServer::UpdateJob { job_id, .. })] if job_id.as_str() == "AJ_1"),
        "{sent:?}"
    );
    // What a connection owes ends with it.
    bench.tell(Input::Lost(Reason::ClosedByServer));
    bench.pass(Duration::from_millis(500));
    bench.register();
    assert_eq!(
        bench.update("AJ_2", JobStatus::Failed),
        UpdateOutcome::Unknown
    );
}

#[test]
fn f_d2_as_many_offers_at_once_are_taken_as_there_is_room_for() {
    let mut bench = Bench::registered(10);
    for number in 1..=11 {
        let declined = !answers(&bench.offer(&format!("AJ_{number}"))).is_empty();
        assert_eq!(declined, number == 11, "offer {number}");
        // The owner hears of each offer and counts it.
        bench.tell(Input::SetActive(number.min(10)));
    }
    for number in 1..=10 {
        bench.answer(&format!("AJ_{number}"), accept());
        bench.orders();
        bench.assign(&format!("AJ_{number}"));
    }
    assert_eq!(
        answers(&bench.offer("AJ_12")),
        [("AJ_12", &Answer::Decline)]
    );
}

#[test]
fn a_lost_connection_loses_awaited_assignments_and_comes_back_by_itself() {
    let mut bench = Bench::registered(4);
    bench.offer("AJ_1");
    bench.offer("AJ_2");
    bench.answer("AJ_1", accept());
    bench.orders();
    let orders = bench.tell(Input::Lost(Reason::ClosedByServer));
    assert_eq!(orders[0], Output::Disconnect { goodbye: false });
    let told = events(orders);
    assert!(matches!(&told[0], Event::AssignmentLost { job_id } if job_id.as_str() == "AJ_1"));
    let Event::Disconnected {
        will_retry_ms: Some(wait),
        ..
    } = told[1]
    else {
        panic!("{told:?}");
    };
    assert_eq!(bench.answer("AJ_2", accept()), AnswerOutcome::NotWaiting);
    assert!(bench.pass(Duration::from_millis(wait - 1)).is_empty());
    assert_eq!(bench.pass(2 * MS), [Output::Connect]);
}

#[test]
fn a_new_connection_is_told_the_load_again() {
    let mut bench = Bench::registered(4);
    bench.tell(Input::SetActive(2));
    bench.tell(Input::Lost(Reason::ClosedByServer));
    bench.pass(Duration::from_millis(500));
    bench.tell(Input::Opened);
    let orders = bench.message(FromServer::Registered {
        worker_id: "AW_2".into(),
        server_version: String::new(),
    });
    assert_eq!(loads(&orders), [(false, 0.345)]);
}

#[test]
fn a_silent_server_is_asked_and_then_given_up() {
    let mut bench = Bench::registered(4);
    let mut pings = 0;
    let silent_since = bench.now;
    loop {
        bench.now = bench.machine.poll_timeout().expect("a deadline");
        let orders = bench.tell(Input::Tick);
        match &orders[..] {
            [Output::Send(ToServer::Ping { .. })] => pings += 1,
            [Output::Disconnect { goodbye: false }, Output::Event(Event::Disconnected { reason, .. })] =>
            {
                assert_eq!(*reason, Reason::Silent);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(bench.now - silent_since, SILENCE);
    assert_eq!(pings, 2);
}

#[test]
fn a_registration_that_is_not_confirmed_is_given_up() {
    let mut bench = Bench::new(1);
    assert_eq!(bench.tell(Input::Start), [Output::Connect]);
    assert!(matches!(
        bench.tell(Input::Opened)[..],
        [Output::Send(ToServer::Register(_))]
    ));
    bench.tell(Input::Heard);
    let told = events(bench.pass(REGISTRATION_WINDOW));
    assert!(matches!(
        told[..],
        [Event::Disconnected {
            reason: Reason::NotRegistered,
            will_retry_ms: Some(_)
        }]
    ));
}

#[test]
fn a_refused_key_ends_a_new_worker_and_slows_one_that_was_registered_before() {
    let mut bench = Bench::new(1);
    bench.tell(Input::Start);
    let told = events(bench.tell(Input::Lost(Reason::Refused(401))));
    assert!(matches!(
        told[..],
        [
            Event::Disconnected {
                will_retry_ms: None,
                ..
            },
            Event::Closed
        ]
    ));

    let mut bench = Bench::registered(1);
    bench.tell(Input::Lost(Reason::ClosedByServer));
    bench.pass(Duration::from_millis(500));
    let told = events(bench.tell(Input::Lost(Reason::Refused(401))));
    assert!(matches!(
        told[..],
        [Event::Disconnected {
            will_retry_ms: Some(21_000..=30_000),
            ..
        }]
    ));
}

#[test]
fn draining_declines_offers_keeps_jobs_and_does_not_reconnect() {
    let mut bench = Bench::registered(4);
    bench.run("AJ_1");
    assert_eq!(loads(&bench.tell(Input::Drain)), [(true, 0.1725)]);
    assert_eq!(answers(&bench.offer("AJ_2")), [("AJ_2", &Answer::Decline)]);
    assert_eq!(
        bench.update("AJ_1", JobStatus::Running),
        UpdateOutcome::Sent
    );
    bench.orders();
    let told = events(bench.tell(Input::Lost(Reason::ClosedByServer)));
    assert!(matches!(
        told[..],
        [
            Event::Disconnected {
                will_retry_ms: None,
                ..
            },
            Event::Closed
        ]
    ));
}

#[test]
fn closing_declines_what_is_offered_and_says_goodbye_last() {
    let mut bench = Bench::registered(4);
    bench.offer("AJ_1");
    let orders = bench.tell(Input::Close);
    assert_eq!(answers(&orders), [("AJ_1", &Answer::Decline)]);
    assert_eq!(
        orders[1..],
        [
            Output::Disconnect { goodbye: true },
            Output::Event(Event::Closed)
        ]
    );
    assert!(bench.offer("AJ_2").is_empty());
    assert_eq!(bench.machine.poll_timeout(), None);
}

#[test]
fn nothing_is_believed_before_the_registration() {
    let mut bench = Bench::new(4);
    bench.tell(Input::Start);
    bench.tell(Input::Opened);
    assert!(bench.offer("AJ_1").is_empty());
    assert!(bench.assign("AJ_1").is_empty());
    assert_eq!(bench.machine.ignored(), 2);
}
