//! The receiving agent without JavaScript: what becomes of signed requests, repetitions, capacity and terminations.

#![allow(clippy::panic)] // a helper that got the wrong thing is a failed test

use std::sync::Arc;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use roomhook::address::PlainText;
use roomhook::agent::{
    AddressRules, Agent, AgentOptions, Answer, Decision, NewJob, Received, Step, Steps,
    TableLimits, Ticket,
};
use roomhook::clock::FakeClock;
use roomhook::error::Code;
use roomhook::job::{Input, Limits};
use roomhook::secret::{SecretOptions, Secrets};
use roomhook::webhook::{sign, Event, Headers, Verifier, VerifierOptions};
use serde_json::{json, Value};

const NOW_S: i64 = 1_800_000_000;
const SECRET: &str = "a-webhook-secret-of-thirty-two-bytes";

fn agent() -> Agent {
    let secrets = vec![SecretOptions::new(SECRET)];
    Agent::new(AgentOptions {
        verifier: Verifier::new(VerifierOptions::new(secrets)).expect("a verifier"),
        addresses: AddressRules {
            plain: PlainText::ThisMachine,
            allowed_server_urls: Vec::new(),
        },
        status_base: None,
        limits: Limits {
            job_timeout_ms: None,
            shutdown_timeout_ms: 1_000,
        },
        table: TableLimits {
            max_jobs: 2,
            max_answers: 100,
            retain_ms: 300_000,
        },
        clock: Arc::new(FakeClock::at(NOW_S * 1_000)),
    })
}

fn token(room: &str, extra: &Value) -> String {
    let mut claims = json!({
        "sub": "agent-1", "exp": NOW_S + 600,
        "video": { "room": room, "roomJoin": true, "canUpdateOwnMetadata": true },
    });
    merge(&mut claims, extra);
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!(
        "{}.{}.c2lnbmF0dXJl",
        part(&json!({ "alg": "HS256" })),
        part(&claims)
    )
}

fn merge(into: &mut Value, change: &Value) {
    let (Some(into), Some(change)) = (into.as_object_mut(), change.as_object()) else {
        return;
    };
    for (key, value) in change {
        into.insert(key.clone(), value.clone());
    }
}

fn webhook(change: Value) -> Value {
    let mut body = json!({
        "job_id": "AJ_1", "dispatch_id": "AD_1", "job_type": "JT_ROOM",
        "room": { "sid": "RM_1", "name": "lobby", "created_at": NOW_S },
        "access_token": token("lobby", &json!({})), "participant_identity": "agent-1",
        "server_url": "wss://x.livekit.cloud", "timestamp": NOW_S,
        "status_url": "https://dispatcher.example/api/agents/jobs/AJ_1/status", "status_token": "status-token",
    });
    merge(&mut body, &change);
    body
}

fn receive(agent: &Agent, body: &Value) -> Received {
    let body = body.to_string();
    let secrets = Secrets::new(&[SecretOptions::new(SECRET)]).expect("secrets");
    let signed = sign(&secrets, body.as_bytes(), "msg_1", NOW_S).expect("signed");
    let lines: Vec<(&str, &str)> = signed.iter().collect();
    agent.receive(&Headers::from_lines(lines), body.as_bytes())
}

fn new_job(agent: &Agent, change: Value) -> NewJob {
    match receive(agent, &webhook(change)) {
        Received::New(job) => *job,
        other => panic!("expected a new job, got {other:?}"),
    }
}

fn answered(received: Received) -> (u16, Value, Option<Code>) {
    match received {
        Received::Answered { answer, why } => {
            let body = serde_json::from_str(&answer.body).expect("JSON");
            (answer.status, body, why.map(|why| why.code))
        }
        other => panic!("expected an answer, got {other:?}"),
    }
}

fn accept(agent: &Agent, ticket: Ticket) -> (Answer, Steps) {
    let decision = serde_json::from_str(r#"{"is":"accepted"}"#).expect("a decision");
    agent.decide(ticket, &decision).expect("decided")
}

fn finish(agent: &Agent, ticket: Ticket) -> Vec<Step> {
    let mut steps = agent
        .input(ticket, Input::EntryResolved)
        .expect("taken")
        .steps;
    steps.extend(agent.input(ticket, Input::WoundDown).expect("taken").steps);
    steps
}

#[test]
fn s1_08_an_accepted_job_is_answered_with_the_tokens_identity_and_runs() {
    let agent = agent();
    let job = new_job(&agent, json!({ "deadline_ms": 9_000 }));
    let webhook = &job.notification;
    let claims = webhook.claims.as_ref().expect("a token");
    assert_eq!(webhook.participant_identity, Some(claims.subject.clone()));
    assert_eq!(claims.subject.0, "agent-1");
    assert_eq!(webhook.deadline_ms, Some(9_000));
    assert!(claims.can_update_own_metadata && webhook.event == Event::Job);
    let (answer, steps) = accept(&agent, job.ticket);
    assert_eq!(
        (answer.status, &*answer.body),
        (200, r#"{"accepted":true,"participant_identity":"agent-1"}"#)
    );
    assert!(steps.steps.is_empty());
    let connected = agent.input(job.ticket, Input::Connected).expect("taken");
    assert_eq!(
        connected.steps,
        [Step::Report {
            status: "JS_RUNNING"
        }]
    );
    let words: Vec<String> = finish(&agent, job.ticket)
        .iter()
        .map(|step| serde_json::to_value(step).expect("JSON")["do"].to_string())
        .collect();
    assert_eq!(
        words,
        [
            r#""warn""#,
            r#""abort""#,
            r#""windDown""#,
            r#""report""#,
            r#""leave""#,
            r#""finished""#
        ]
    );
}

#[test]
fn s1_10_copies_await_the_first_and_get_its_bytes() {
    let agent = agent();
    let job = new_job(&agent, json!({}));
    // A second attempt differs in its attempt number and is still the same delivery.
    let again = webhook(json!({ "attempt": 2 }));
    assert!(matches!(receive(&agent, &again), Received::Undecided(ticket) if ticket == job.ticket));
    let (first, _) = accept(&agent, job.ticket);
    match receive(&agent, &again) {
        Received::Answered { answer, why: None } => assert_eq!(answer, first),
        other => panic!("expected the first answer, got {other:?}"),
    }
    let twice = agent
        .decide(job.ticket, &Decision::Threw)
        .expect_err("decided before");
    assert_eq!(twice.code, Code::JobStateConflict);
}

#[test]
fn s1_11_another_participant_is_another_job() {
    let agent = agent();
    let of = |sid: &str| json!({ "job_type": "JT_PARTICIPANT", "participant": { "sid": sid, "identity": "caller" } });
    let (one, two) = (new_job(&agent, of("PA_1")), new_job(&agent, of("PA_2")));
    assert_ne!(one.ticket, two.ticket);
}

#[test]
fn a_decision_that_failed_is_asked_for_again() {
    for (decision, status) in [
        (Decision::Threw, 500),
        (Decision::TimedOut, 503),
        (Decision::Closing, 503),
    ] {
        let agent = agent();
        let job = new_job(&agent, json!({}));
        let (answer, _) = agent.decide(job.ticket, &decision).expect("decided");
        assert_eq!(answer.status, status);
        new_job(&agent, json!({}));
    }
}

#[test]
fn s1_18_a_full_agent_says_so_with_200_and_takes_jobs_again_when_one_has_ended() {
    let agent = agent();
    let job = new_job(&agent, json!({}));
    accept(&agent, job.ticket);
    new_job(&agent, json!({ "job_id": "AJ_2" }));
    let third = json!({ "job_id": "AJ_3" });
    let full = json!({ "accepted": false, "error": "at capacity" });
    assert_eq!(
        answered(receive(&agent, &webhook(third.clone()))),
        (200, full, Some(Code::AtCapacity))
    );
    finish(&agent, job.ticket);
    new_job(&agent, third);
}

#[test]
fn s1_15_tokens_and_addresses_that_do_not_fit_are_refused_with_the_field() {
    let agent = agent();
    for (change, code, field) in [
        (
            json!({ "access_token": token("other", &json!({})) }),
            Code::TokenMismatch,
            "access_token",
        ),
        (
            json!({ "access_token": token("lobby", &json!({ "exp": NOW_S - 61 })) }),
            Code::TokenMismatch,
            "access_token",
        ),
        (
            json!({ "access_token": token("lobby", &json!({ "exp": null })) }),
            Code::TokenMismatch,
            "access_token",
        ),
        (
            json!({ "participant_identity": "agent-2" }),
            Code::TokenMismatch,
            "access_token",
        ),
        (
            json!({ "server_url": "ws://10.0.0.1:7880" }),
            Code::BodyInvalid,
            "server_url",
        ),
        (
            json!({ "server_url": "https://x.livekit.cloud" }),
            Code::BodyInvalid,
            "server_url",
        ),
        (
            json!({ "server_url": "not a url" }),
            Code::BodyInvalid,
            "server_url",
        ),
        (
            json!({ "status_url": "http://10.0.0.1/status" }),
            Code::BodyInvalid,
            "status_url",
        ),
        (
            json!({ "room": { "name": "lobby" } }),
            Code::BodyInvalid,
            "room.sid",
        ),
    ] {
        let (status, body, why) = answered(receive(&agent, &webhook(change)));
        assert_eq!((status, why), (400, Some(code)));
        let error = body["error"].as_str().expect("a reason");
        assert!(error.starts_with(field), "{error}");
    }
}

#[test]
fn an_offer_is_answered_and_nothing_runs() {
    let agent = agent();
    let mut body = webhook(json!({ "event": "offer" }));
    for field in ["access_token", "participant_identity", "status_token"] {
        body.as_object_mut().expect("an object").remove(field);
    }
    let Received::New(offer) = receive(&agent, &body) else {
        panic!("expected something to decide");
    };
    assert_eq!(offer.notification.event, Event::Offer);
    assert_eq!(offer.notification.participant_identity, None);
    let decision = serde_json::from_str(r#"{"is":"accepted","identity":"ada"}"#).expect("JSON");
    let (answer, steps) = agent.decide(offer.ticket, &decision).expect("decided");
    assert_eq!(
        &*answer.body,
        r#"{"accepted":true,"participant_identity":"ada"}"#
    );
    assert_eq!(steps, Steps::default());
    assert_eq!(
        agent
            .input(offer.ticket, Input::Connected)
            .expect("ignored")
            .steps,
        [Step::Leave]
    );
    // The job of the offer is a delivery of its own.
    new_job(&agent, json!({}));
}

#[test]
fn a_terminated_job_is_told_and_an_unknown_one_is_noted() {
    let agent = agent();
    let terminated = |job_id: &str| {
        json!({
            "event": "terminated", "job_id": job_id, "reason": "dispatch_deleted", "timestamp": NOW_S,
            "room": { "sid": "RM_1", "name": "lobby" },
        })
    };
    let job = new_job(&agent, json!({}));
    accept(&agent, job.ticket);
    agent.input(job.ticket, Input::Connected).expect("taken");
    match receive(&agent, &terminated("AJ_1")) {
        Received::Terminated { answer, steps } => {
            assert_eq!(answer.status, 200);
            let [(ticket, steps)] = &steps[..] else {
                panic!("expected one job, got {steps:?}");
            };
            assert_eq!(*ticket, job.ticket);
            assert!(matches!(steps.steps[0], Step::Abort { .. }));
            assert_eq!(steps.wake_in_ms, Some(1_000));
        }
        other => panic!("expected a termination, got {other:?}"),
    }
    match receive(&agent, &terminated("AJ_404")) {
        Received::Terminated { steps, .. } => assert!(steps.is_empty()),
        other => panic!("expected a termination, got {other:?}"),
    }
}

#[test]
fn a_result_after_the_end_is_a_conflict_and_a_late_room_is_left() {
    let agent = agent();
    let job = new_job(&agent, json!({}));
    accept(&agent, job.ticket);
    finish(&agent, job.ticket);
    let late = agent.input(
        job.ticket,
        Input::Fail {
            reason: "late".to_owned(),
        },
    );
    assert_eq!(late.expect_err("too late").code, Code::JobStateConflict);
    assert_eq!(
        agent
            .input(job.ticket, Input::Connected)
            .expect("taken")
            .steps,
        [Step::Leave]
    );
}

#[test]
fn s1_20_a_reported_reason_has_no_token_of_the_job_in_it() {
    let agent = agent();
    let job = new_job(&agent, json!({}));
    accept(&agent, job.ticket);
    let token = token("lobby", &json!({}));
    let clean = agent.redact(
        job.ticket,
        &format!("wss://host/rtc?access_token={token} status-token"),
    );
    assert_eq!(clean, "wss://host/rtc?access_token=[redacted] [redacted]");
    let steps = agent.input(
        job.ticket,
        Input::EntryThrew {
            reason: format!("could not use {token}"),
            because_ending: false,
        },
    );
    let steps = serde_json::to_string(&steps.expect("taken")).expect("JSON");
    assert!(!steps.contains(&token[..20]), "{steps}");
}

#[test]
fn s1_16_new_secrets_take_effect_at_once_and_the_old_ones_stop() {
    let agent = agent();
    let options = VerifierOptions::new(vec![SecretOptions::new(
        "another-secret-of-thirty-two-bytes!!",
    )]);
    agent.set_verifier(Verifier::new(options).expect("a verifier"));
    let (status, body, why) = answered(receive(&agent, &webhook(json!({}))));
    assert_eq!((status, why), (401, Some(Code::SignatureInvalid)));
    assert_eq!(
        body,
        json!({ "accepted": false, "error": "Invalid signature" })
    );
}
