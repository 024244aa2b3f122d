//! The codec against LiveKit's own generated types.

use proptest::collection::vec;
use proptest::prelude::any;
use proptest::{prop_assert, proptest};

use super::*;

fn server(message: In) -> Vec<u8> {
    wire::ServerMessage {
        message: Some(message),
    }
    .encode_to_vec()
}

fn sent(message: ToServer) -> Out {
    wire::WorkerMessage::decode(encode(message))
        .expect("protobuf")
        .message
        .expect("never empty: LiveKit ends the connection for an empty message")
}

fn wire_job() -> wire::Job {
    wire::Job {
        id: "AJ_1".to_owned(),
        dispatch_id: "AD_1".to_owned(),
        r#type: wire::JobType::JtPublisher as i32,
        room: Some(wire::Room {
            sid: "RM_1".to_owned(),
            name: "kitchen".to_owned(),
            creation_time: 17,
            turn_password: "turn-secret".to_owned(),
            metadata: "m".to_owned(),
            num_participants: 2,
            ..Default::default()
        }),
        participant: Some(wire::ParticipantInfo {
            sid: "PA_1".to_owned(),
            identity: "alice".to_owned(),
            kind: wire::participant_info::Kind::Sip as i32,
            attributes: [("a".to_owned(), "b".to_owned())].into(),
            ..Default::default()
        }),
        metadata: "{}".to_owned(),
        agent_name: "cook".to_owned(),
        attributes: [("x".to_owned(), "y".to_owned())].into(),
        ..Default::default()
    }
}

#[test]
fn a_job_is_decoded_field_by_field_and_the_turn_password_stays_behind() {
    let request = wire::AvailabilityRequest {
        job: Some(wire_job()),
        resuming: false,
    };
    let Ok(FromServer::Availability(job)) = decode(&server(In::Availability(request))) else {
        panic!("an availability request");
    };
    assert_eq!(job.id.as_str(), "AJ_1");
    assert_eq!(job.dispatch_id.as_str(), "AD_1");
    assert_eq!(job.job_type, JobType::Publisher);
    assert_eq!(job.room.name.0, "kitchen");
    assert_eq!((job.room.created_at, job.room.num_participants), (17, 2));
    let participant = job.participant.clone().expect("a participant");
    assert_eq!(participant.identity.0, "alice");
    assert_eq!(participant.kind, "SIP");
    assert_eq!(participant.attributes.0["a"], "b");
    assert_eq!(job.attributes.0["x"], "y");
    let json = serde_json::to_string(&job).expect("JSON");
    assert!(!json.contains("turn-secret"));
    let printed = format!("{job:?}");
    for private in ["kitchen", "alice", "turn-secret"] {
        assert!(!printed.contains(private), "{printed}");
    }
}

#[test]
fn an_assignment_keeps_its_token_out_of_print_and_an_empty_url_is_none() {
    for (url, expected) in [
        (None, None),
        (Some(""), None),
        (Some("wss://x"), Some("wss://x".to_owned())),
    ] {
        let assignment = wire::JobAssignment {
            job: Some(wire_job()),
            url: url.map(str::to_owned),
            token: "join-token".to_owned(),
        };
        let decoded = decode(&server(In::Assignment(assignment))).expect("an assignment");
        assert!(!format!("{decoded:?}").contains("join-token"));
        let FromServer::Assignment { token, url, .. } = decoded else {
            panic!("an assignment");
        };
        assert_eq!(token.expose(), "join-token");
        assert_eq!(url, expected);
    }
}

#[test]
fn what_means_nothing_is_refused_and_what_is_new_is_unknown() {
    let without = |change: fn(&mut wire::Job)| {
        let mut job = wire_job();
        change(&mut job);
        decode(&server(In::Availability(wire::AvailabilityRequest {
            job: Some(job),
            resuming: false,
        })))
    };
    assert_eq!(
        without(|job| job.id.clear()),
        Err(DecodeError::Missing("job.id"))
    );
    assert_eq!(
        without(|job| job.room = None),
        Err(DecodeError::Missing("job.room"))
    );
    assert_eq!(without(|job| job.r#type = 7), Err(DecodeError::JobType(7)));
    assert_eq!(
        decode(&server(In::Availability(
            wire::AvailabilityRequest::default()
        ))),
        Err(DecodeError::Missing("job"))
    );
    assert_eq!(decode(b"\xff\xff"), Err(DecodeError::Protobuf));
    assert_eq!(decode(b""), Ok(FromServer::Unknown));
    // Field 99, varint: a message of a schema to come.
    assert_eq!(decode(b"\x98\x06\x01"), Ok(FromServer::Unknown));
}

#[test]
fn an_accepting_answer_always_has_an_identity_and_both_name_attributes() {
    let answer = |identity: &str, agent_name: &str| {
        let message = ToServer::Availability {
            job_id: "AJ_1".into(),
            agent_name: agent_name.to_owned(),
            answer: Answer::Accept(Acceptance {
                identity: identity.to_owned(),
                ..Default::default()
            }),
        };
        match sent(message) {
            Out::Availability(response) => response,
            other => panic!("{other:?}"),
        }
    };
    let response = answer("", "cook");
    assert!(response.available && !response.terminate);
    assert_eq!(response.participant_identity, "agent-AJ_1");
    assert_eq!(response.participant_attributes["lk.agent.name"], "cook");
    assert_eq!(answer("me", "cook").participant_identity, "me");
    assert!(answer("me", "").participant_attributes.is_empty());
}

#[test]
fn decline_and_terminate_are_told_apart() {
    for (answer, terminate) in [(Answer::Decline, false), (Answer::Terminate, true)] {
        let message = ToServer::Availability {
            job_id: "AJ_1".into(),
            agent_name: String::new(),
            answer,
        };
        let Out::Availability(response) = sent(message) else {
            panic!("an availability response");
        };
        assert_eq!((response.available, response.terminate), (false, terminate));
    }
}

#[test]
fn a_registration_names_every_permission_because_absent_ones_would_be_false() {
    let registration = Registration {
        agent_name: "cook".to_owned(),
        job_type: JobType::Participant,
        version: "1".to_owned(),
        permissions: Permissions::default(),
    };
    let Out::Register(request) = sent(ToServer::Register(registration)) else {
        panic!("a registration");
    };
    assert_eq!(request.r#type, wire::JobType::JtParticipant as i32);
    assert_eq!(request.namespace, None);
    let allowed = request.allowed_permissions.expect("permissions");
    assert!(allowed.can_subscribe && allowed.can_publish);
    assert!(allowed.can_publish_data && allowed.can_update_metadata);
    assert!(!allowed.hidden);
}

#[test]
fn a_status_update_always_carries_both_status_and_load() {
    let Out::UpdateWorker(update) = sent(ToServer::UpdateWorker {
        full: false,
        load: 0.5,
    }) else {
        panic!("an update");
    };
    assert_eq!(update.status, Some(wire::WorkerStatus::WsAvailable as i32));
    assert_eq!(update.load, 0.5);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..300)) {
        let decoded = decode(&bytes);
        prop_assert!(decoded.is_ok() || decoded.is_err());
    }
}
