//! Tables: what each course of events means for a job.

use super::*;
use crate::time::tests::at;

pub(super) const LIMITS: Limits = Limits {
    job_timeout_ms: Some(60_000),
    shutdown_timeout_ms: 1_000,
};

pub(super) fn fail(text: &str) -> Input {
    Input::Fail {
        reason: text.into(),
    }
}

pub(super) fn threw(text: &str, because_ending: bool) -> Input {
    Input::EntryThrew {
        reason: text.into(),
        because_ending,
    }
}

pub(super) fn no_room(text: &str) -> Input {
    Input::ConnectFailed {
        reason: text.into(),
    }
}

pub(super) fn gone(reason: i32) -> Input {
    Input::RoomDisconnected(DisconnectReason(reason))
}

/// Feeds inputs at time 0; `WindDown` is answered at once, as an agent without shutdown functions does.
fn run(inputs: &[Input]) -> Vec<Output> {
    let mut machine = Machine::new(LIMITS);
    let mut outputs = Vec::new();
    for input in inputs {
        let _ = machine.handle(at(0), input.clone());
        while let Some(output) = machine.poll_output() {
            if output == Output::WindDown {
                machine.handle(at(0), Input::WoundDown).unwrap();
            }
            outputs.push(output);
        }
    }
    outputs
}

fn reports(outputs: &[Output]) -> Vec<String> {
    let posts = outputs.iter().filter_map(|output| match output {
        Output::Post(report) => Some(serde_json::to_string(report).unwrap()),
        _ => None,
    });
    posts.collect()
}

fn error_of(outputs: &[Output]) -> Option<String> {
    outputs.iter().find_map(|output| match output {
        Output::Post(Report::Ended(Outcome::Failed { error })) => Some(error.clone()),
        _ => None,
    })
}

#[test]
fn a_job_that_goes_well_reports_running_and_success_before_it_leaves() {
    let outputs = run(&[Input::Accepted, Input::Connected, Input::EntryResolved]);
    assert_eq!(
        outputs,
        [
            Output::Post(Report::Running),
            Output::Warn(Notice::LeftAtOnce),
            Output::Abort(AbortReason::Ended),
            Output::WindDown,
            Output::Post(Report::Ended(Outcome::Success)),
            Output::Leave,
            Output::Finished(Some(Outcome::Success)),
        ]
    );
    assert_eq!(
        reports(&outputs),
        [r#"{"status":"JS_RUNNING"}"#, r#"{"status":"JS_SUCCESS"}"#]
    );
}

#[test]
fn f_r9_an_entry_function_that_most_likely_forgot_to_wait_is_warned_about_once() {
    let notices = |inputs: &[(u64, Input)]| -> Vec<Notice> {
        let mut machine = Machine::new(LIMITS);
        for (now, input) in inputs {
            let _ = machine.handle(at(*now), input.clone());
        }
        let outputs = std::iter::from_fn(|| machine.poll_output());
        let warnings = outputs.filter_map(|output| match output {
            Output::Warn(notice) => Some(notice),
            _ => None,
        });
        warnings.collect()
    };
    use Input::{Accepted, Complete, Connected, EntryResolved, Tick};
    for (name, inputs, expected) in [
        (
            "returned milliseconds after joining",
            vec![(0, Accepted), (100, Connected), (105, EntryResolved)],
            Some(Notice::LeftAtOnce),
        ),
        (
            "returned after a while",
            vec![(0, Accepted), (100, Connected), (1_100, EntryResolved)],
            None,
        ),
        (
            "completed on purpose",
            vec![
                (0, Accepted),
                (100, Connected),
                (105, Complete),
                (106, EntryResolved),
            ],
            None,
        ),
        (
            "returned without joining",
            vec![(0, Accepted), (5, EntryResolved)],
            Some(Notice::NeverJoined),
        ),
        (
            "could not join",
            vec![(0, Accepted), (1, no_room("refused")), (5, EntryResolved)],
            None,
        ),
        (
            "the room was gone before it returned",
            vec![
                (0, Accepted),
                (100, Connected),
                (101, gone(10)),
                (102, EntryResolved),
            ],
            None,
        ),
        (
            "does not join",
            vec![
                (0, Accepted),
                (14_999, Tick),
                (15_000, Tick),
                (15_001, Tick),
            ],
            Some(Notice::NotJoined),
        ),
        (
            "joined late",
            vec![(0, Accepted), (14_999, Connected), (15_000, Tick)],
            None,
        ),
    ] {
        assert_eq!(notices(&inputs), Vec::from_iter(expected), "{name}");
    }
    let mut machine = Machine::new(Limits {
        job_timeout_ms: None,
        ..LIMITS
    });
    machine.handle(at(5), Accepted).unwrap();
    assert_eq!(machine.poll_timeout(), Some(at(15_005).instant));
}

#[test]
fn a_rejected_job_reports_nothing_and_takes_nothing_in() {
    let outputs = run(&[
        Input::Rejected,
        Input::Connected,
        Input::EntryResolved,
        Input::Closing { within_ms: 0 },
    ]);
    assert_eq!(outputs, [Output::Finished(None)]);
}

#[test]
fn the_table_of_results() {
    use Input::*;
    let success = None;
    for (name, inputs, expected) in [
        ("entry resolves", vec![Connected, EntryResolved], success),
        ("entry never needs the room", vec![EntryResolved], success),
        (
            "complete()",
            vec![Connected, Complete, EntryResolved],
            success,
        ),
        (
            "complete() then throw",
            vec![Complete, threw("x", false)],
            success,
        ),
        (
            "room closed",
            vec![Connected, gone(10), EntryResolved],
            success,
        ),
        (
            "room deleted",
            vec![Connected, gone(5), threw("a", true)],
            success,
        ),
        ("removed", vec![Connected, gone(4), EntryResolved], success),
        (
            "own disconnect()",
            vec![Connected, gone(1), EntryResolved],
            success,
        ),
        (
            "terminated",
            vec![
                Connected,
                Terminated(TerminationReason::DispatchDeleted),
                threw("a", true),
            ],
            success,
        ),
        (
            "closing",
            vec![Connected, Closing { within_ms: 9 }, EntryResolved],
            success,
        ),
        (
            "connected at the second try",
            vec![no_room("dns"), Connected, EntryResolved],
            success,
        ),
        (
            "entry throws",
            vec![Connected, threw("boom", false)],
            Some("boom"),
        ),
        (
            "fail()",
            vec![Connected, fail("no answer"), EntryResolved],
            Some("no answer"),
        ),
        (
            "connect fails",
            vec![no_room("refused"), threw("refused", false)],
            Some("refused"),
        ),
        (
            "connect fails and entry ignores it",
            vec![no_room("refused"), EntryResolved],
            Some("refused"),
        ),
        (
            "room gone, then another error",
            vec![Connected, gone(10), threw("disk full", false)],
            Some("disk full"),
        ),
        (
            "duplicate identity",
            vec![Connected, gone(2), EntryResolved],
            Some("the room was lost: DUPLICATE_IDENTITY"),
        ),
        (
            "join failure",
            vec![Connected, gone(7), EntryResolved],
            Some("the room was lost: JOIN_FAILURE"),
        ),
        (
            "connection timeout",
            vec![Connected, gone(14), EntryResolved],
            Some("the room was lost: CONNECTION_TIMEOUT"),
        ),
        (
            "media failure",
            vec![Connected, gone(15), EntryResolved],
            Some("the room was lost: MEDIA_FAILURE"),
        ),
        (
            "server shutdown",
            vec![Connected, gone(3), threw("a", true)],
            Some("the room was lost: SERVER_SHUTDOWN"),
        ),
        (
            "no reason given",
            vec![Connected, gone(99), EntryResolved],
            Some("the room was lost: UNKNOWN_REASON"),
        ),
        (
            "expired",
            vec![
                Connected,
                Terminated(TerminationReason::Expired),
                EntryResolved,
            ],
            Some("the dispatcher ended the job: expired"),
        ),
        (
            "closed before connected",
            vec![Closing { within_ms: 9 }, threw("a", true)],
            Some("the job ended before the room was connected: the agent closed"),
        ),
    ] {
        let inputs: Vec<Input> = [vec![Accepted], inputs].concat();
        let outputs = run(&inputs);
        assert_eq!(error_of(&outputs).as_deref(), expected, "{name}");
        let ends = outputs
            .iter()
            .filter(|output| matches!(output, Output::Post(report) if report.is_terminal()));
        assert_eq!(ends.count(), 1, "{name}");
        assert!(
            matches!(outputs.last(), Some(Output::Finished(Some(_)))),
            "{name}: {outputs:?}"
        );
    }
}

#[test]
fn a_closing_agent_leaves_the_room_so_that_an_entry_waiting_for_its_end_returns() {
    let outputs = run(&[
        Input::Accepted,
        Input::Connected,
        Input::Closing { within_ms: 500 },
    ]);
    assert_eq!(
        outputs[1..],
        [
            Output::Abort(AbortReason::Closing),
            Output::WindDown,
            Output::Leave
        ]
    );
}

#[test]
fn shutdown_functions_hold_back_the_report_and_the_leave_until_they_are_done_or_late() {
    for late in [false, true] {
        let mut machine = Machine::new(LIMITS);
        for input in [Input::Accepted, Input::Connected, Input::EntryResolved] {
            machine.handle(at(0), input).unwrap();
        }
        let before: Vec<Output> = std::iter::from_fn(|| machine.poll_output()).collect();
        assert_eq!(before.last(), Some(&Output::WindDown));
        assert_eq!(machine.poll_timeout(), Some(at(1_000).instant));
        let input = if late { Input::Tick } else { Input::WoundDown };
        machine
            .handle(at(if late { 1_000 } else { 10 }), input)
            .unwrap();
        assert_eq!(
            machine.poll_output(),
            Some(Output::Post(Report::Ended(Outcome::Success)))
        );
        assert_eq!(machine.poll_output(), Some(Output::Leave));
        assert!(machine.is_finished());
    }
}

#[test]
fn a_job_that_runs_out_of_time_fails_and_its_slot_comes_free_even_if_entry_never_returns() {
    let mut machine = Machine::new(LIMITS);
    machine.handle(at(5), Input::Accepted).unwrap();
    machine.handle(at(6), Input::Connected).unwrap();
    assert_eq!(machine.poll_timeout(), Some(at(60_005).instant));
    machine.handle(at(60_004), Input::Tick).unwrap();
    assert!(machine.result().is_none());
    machine.handle(at(60_005), Input::Tick).unwrap();
    assert!(matches!(machine.result(), Some(Outcome::Failed { .. })));
    assert!(!machine.is_finished());
    assert_eq!(machine.poll_timeout(), Some(at(61_005).instant));
    machine.handle(at(61_005), Input::Tick).unwrap();
    assert!(machine.is_finished());
    assert_eq!(machine.poll_timeout(), None);
}

#[test]
fn closing_shortens_the_shutdown_time_and_never_lengthens_it() {
    let mut machine = Machine::new(LIMITS);
    machine.handle(at(0), Input::Accepted).unwrap();
    machine
        .handle(at(0), Input::Terminated(TerminationReason::Cancelled))
        .unwrap();
    machine
        .handle(at(0), Input::Closing { within_ms: 5_000 })
        .unwrap();
    assert_eq!(machine.poll_timeout(), Some(at(1_000).instant));
    machine
        .handle(at(0), Input::Closing { within_ms: 200 })
        .unwrap();
    assert_eq!(machine.poll_timeout(), Some(at(200).instant));
}

#[test]
fn a_contradicting_result_is_a_conflict_and_changes_nothing() {
    let mut machine = Machine::new(LIMITS);
    machine.handle(at(0), Input::Accepted).unwrap();
    machine.handle(at(0), Input::Complete).unwrap();
    machine.handle(at(0), Input::Complete).unwrap();
    assert_eq!(machine.handle(at(0), fail("late")), Err(Conflict));
    assert_eq!(machine.result(), Some(&Outcome::Success));
}

#[test]
fn a_job_that_was_terminated_while_it_was_decided_ends_as_soon_as_it_is_accepted() {
    let outputs = run(&[
        Input::Terminated(TerminationReason::Cancelled),
        Input::Accepted,
        threw("aborted", true),
    ]);
    assert_eq!(outputs[0], Output::Abort(AbortReason::Terminated));
    assert_eq!(
        error_of(&outputs).as_deref(),
        Some("the job ended before the room was connected: the dispatcher ended it")
    );
}

#[test]
fn a_room_that_connects_after_the_end_is_left_again() {
    let outputs = run(&[
        Input::Accepted,
        Input::Complete,
        Input::EntryResolved,
        Input::Connected,
    ]);
    assert_eq!(outputs.last(), Some(&Output::Leave));
    assert_eq!(reports(&outputs), [r#"{"status":"JS_SUCCESS"}"#]);
}
