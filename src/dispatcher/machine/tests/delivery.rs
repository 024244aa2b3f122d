//! From the offer to the endpoint that takes the job: records before steps, waits, the next endpoint, expiring tokens.

use super::*;

#[test]
fn a_job_goes_from_its_offer_to_success_with_a_record_before_each_step() {
    let mut bench = Bench::offered(1);
    assert_eq!(bench.take(), [Effect::Answer { available: true }]);
    bench.input(assignment());
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
        bench.stored.as_ref().unwrap().token.is_some(),
        "another endpoint may need it"
    );
    let effects = bench.status(JobStatus::Running);
    assert!(
        bench.stored.as_ref().unwrap().token.is_none(),
        "a running job keeps no token"
    );
    assert!(
        matches!(&effects[0], Effect::Reply { ticket: 9, answer: StatusAnswer::Stored(view) } if view.error.is_none())
    );
    assert_eq!(
        effects[1],
        Effect::Report {
            status: JobStatus::Running,
            error: None
        }
    );
    let effects = bench.status(JobStatus::Success);
    assert_eq!(
        effects[1],
        Effect::Report {
            status: JobStatus::Success,
            error: None
        }
    );
    assert_eq!(ended(&effects), Some((JobStatus::Success, String::new())));
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
    assert_eq!(status, JobStatus::Failed);
    assert_eq!(
        error,
        "endpoint 1 did not take the job after 4 attempts: it answered 503"
    );
    assert!(effects.contains(&Effect::Report {
        status: JobStatus::Failed,
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
    bench.input(assignment());
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
    none.input(assignment());
    assert!(ended(&none.take()).unwrap().1.contains("every endpoint"));
}

#[test]
fn no_attempt_is_made_with_a_token_in_its_last_five_minutes() {
    let mut bench = Bench::offered(1);
    let expires_at = START + crate::dispatcher::machine::delivery::TOKEN_MARGIN_MS + 1_500;
    bench.input(Input::Assigned {
        token: token(),
        expires_at,
    });
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
