//! The bold sentence on `Machine`, tried on arbitrary orders of events.

use proptest::prelude::*;

use super::tests::{fail, gone, no_room, threw, LIMITS};
use super::*;
use crate::time::tests::at;

fn any_input() -> impl Strategy<Value = Input> {
    prop_oneof![
        4 => Just(Input::Connected),
        2 => Just(no_room("no route")),
        1 => Just(Input::EntryResolved),
        1 => any::<bool>().prop_map(|flag| threw("threw", flag)),
        1 => Just(Input::Complete),
        1 => Just(fail("failed")),
        2 => (0..18).prop_map(gone),
        1 => Just(Input::Terminated(TerminationReason::Cancelled)),
        1 => Just(Input::Terminated(TerminationReason::Expired)),
        1 => (0_u64..2_000).prop_map(|within_ms| Input::Closing { within_ms }),
        3 => Just(Input::WoundDown),
        4 => Just(Input::Tick),
        1 => Just(Input::Accepted),
        1 => Just(Input::Rejected),
    ]
}

proptest! {
    #[test]
    fn exactly_one_terminal_status_is_ever_reported_for_an_accepted_job(
        steps in proptest::collection::vec((any_input(), 0_u64..40_000), 0..40),
        first in prop_oneof![Just(Input::Accepted), Just(Input::Rejected)],
    ) {
        let mut machine = Machine::new(LIMITS);
        let mut now = 0;
        let mut outputs = Vec::new();
        machine.handle(at(now), first.clone()).unwrap();
        for (input, pause) in steps {
            now += pause;
            let _ = machine.handle(at(now), input);
        }
        // Nothing else happens any more but time.
        while let Some(wake) = machine.poll_timeout() {
            while at(now).instant < wake {
                now += 1_000;
            }
            machine.handle(at(now), Input::Tick).unwrap();
        }
        while let Some(output) = machine.poll_output() {
            outputs.push(output);
        }

        let position = |wanted: fn(&Output) -> bool| outputs.iter().position(wanted);
        let count = |wanted: fn(&Output) -> bool| outputs.iter().filter(|output| wanted(output)).count();
        let terminal = |output: &Output| matches!(output, Output::Post(report) if report.is_terminal());
        let running = |output: &Output| matches!(output, Output::Post(Report::Running));
        let finished = |output: &Output| matches!(output, Output::Finished(_));

        let accepted = first == Input::Accepted;
        prop_assert_eq!(count(terminal), usize::from(accepted));
        prop_assert_eq!(count(finished), 1);
        prop_assert!(count(running) <= 1);
        prop_assert_eq!(count(|output| matches!(output, Output::Abort(_))), usize::from(accepted));
        prop_assert_eq!(count(|output| *output == Output::WindDown), usize::from(accepted));
        if accepted {
            prop_assert!(position(terminal) < position(finished));
            if let Some(at) = position(running) {
                prop_assert!(Some(at) < position(terminal));
            }
            let reported = outputs.iter().find_map(|output| match output {
                Output::Post(Report::Ended(outcome)) => Some(outcome.clone()),
                _ => None,
            });
            prop_assert_eq!(machine.result().cloned(), reported.clone());
            prop_assert!(outputs.contains(&Output::Finished(reported)));
        }
    }
}
