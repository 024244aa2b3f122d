//! The real engine in real rooms: joining, seeing each other, data, descriptions, leaving.
#![allow(clippy::panic)]

mod engine_support;
mod support;

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use engine_support::{announced, end, engine, event, join, options, soon};
use roomhook::engine::{DataPacket, EngineError, EngineEvent, EngineRoom, RoomEngine, RoomRequest};
use serde_json::{json, Value};
use support::LiveKitServer;

const CLIENT_INITIATED: i32 = 1;
const ROOM_DELETED: i32 = 5;

#[tokio::test]
async fn a_participant_joins_and_leaves_and_is_told_so_once() {
    let server = LiveKitServer::start();
    let mut alone = join(&server, "alone", "agent").await;
    assert_eq!(alone.info.name, "alone");
    assert_eq!(alone.local.identity, "agent");
    assert!(alone.local.sid.starts_with("PA_"));
    assert!(alone.participants.is_empty());
    soon("leaving", alone.room.disconnect())
        .await
        .expect("left");
    assert_eq!(end(&mut alone).await, CLIENT_INITIATED);
    soon("leaving again", alone.room.disconnect())
        .await
        .expect("harmless");
}

#[tokio::test]
async fn two_participants_see_each_other_and_exchange_data() {
    let server = LiveKitServer::start();
    let mut first = join(&server, "pair", "first").await;
    let second = join(&server, "pair", "second").await;
    assert_eq!(second.participants.len(), 1);
    assert_eq!(second.participants[0].0.identity, "first");
    announced(&mut first, "second").await;
    let packet = DataPacket {
        payload: Bytes::from_static(b"hello"),
        reliable: true,
        topic: Some("greeting".into()),
        destination_identities: vec!["first".into()],
    };
    second
        .room
        .request(RoomRequest::PublishData(packet))
        .await
        .expect("sent");
    let received = event("the data", &mut first, |event| match event {
        EngineEvent::DataReceived {
            identity,
            payload,
            topic,
            kind,
            ..
        } => Some((identity, payload, topic, kind)),
        _ => None,
    })
    .await;
    let wanted = (
        "second".to_owned(),
        Bytes::from_static(b"hello"),
        Some("greeting".to_owned()),
        1,
    );
    assert_eq!(received, wanted);
    second.room.disconnect().await.expect("left");
    event("the second to be gone", &mut first, |event| match event {
        EngineEvent::ParticipantDisconnected { identity, .. } => {
            (identity == "second").then_some(())
        }
        _ => None,
    })
    .await;
}

#[tokio::test]
async fn descriptions_of_the_local_participant_reach_the_others() {
    let server = LiveKitServer::start();
    let mut watcher = join(&server, "described", "watcher").await;
    let agent = join(&server, "described", "agent").await;
    announced(&mut watcher, "agent").await;
    agent
        .room
        .request(RoomRequest::SetMetadata("busy".into()))
        .await
        .expect("set");
    let metadata = event("the metadata", &mut watcher, |event| match event {
        EngineEvent::ParticipantMetadataChanged { identity, metadata } => {
            Some((identity, metadata))
        }
        _ => None,
    })
    .await;
    assert_eq!(metadata, ("agent".into(), "busy".into()));
    agent
        .room
        .request(RoomRequest::SetName("Agent Smith".into()))
        .await
        .expect("set");
    let name = event("the name", &mut watcher, |event| match event {
        EngineEvent::ParticipantNameChanged { name, .. } => Some(name),
        _ => None,
    })
    .await;
    assert_eq!(name, "Agent Smith");
    let attributes = HashMap::from([("mood".to_owned(), "calm".to_owned())]);
    agent
        .room
        .request(RoomRequest::SetAttributes(attributes.clone()))
        .await
        .expect("set");
    let changed = event("the attributes", &mut watcher, |event| match event {
        EngineEvent::ParticipantAttributesChanged {
            attributes,
            changed,
            ..
        } => Some((attributes, changed)),
        _ => None,
    })
    .await;
    assert_eq!(changed, (attributes.clone(), attributes));
    let late = join(&server, "described", "late").await;
    let (known, _) = late
        .participants
        .iter()
        .find(|(info, _)| info.identity == "agent")
        .expect("the agent is there");
    assert_eq!(known.metadata, "busy");
    assert_eq!(known.name, "Agent Smith");
}

#[tokio::test]
async fn what_the_server_refuses_is_an_error_with_its_reason() {
    let server = LiveKitServer::start();
    let agent = join(&server, "refusing", "agent").await;
    let long = "x".repeat(100_000);
    let refused = agent.room.request(RoomRequest::SetName(long)).await;
    assert!(matches!(refused, Err(EngineError::Refused(_))));
    let huge = DataPacket {
        payload: vec![0; 1 << 20].into(),
        reliable: true,
        topic: None,
        destination_identities: Vec::new(),
    };
    let refused = agent.room.request(RoomRequest::PublishData(huge)).await;
    assert!(matches!(refused, Err(EngineError::Invalid(_))));
    let wrong = engine()
        .connect(server.url().as_str(), "not.a.token", options())
        .await;
    let error = wrong.err().expect("a bad token is refused").to_string();
    assert!(error.contains("401"), "{error}");
    assert!(!error.contains("not.a.token"), "{error}");
    let nobody = format!("ws://127.0.0.1:{}", support::free_tcp_port());
    let token = server.join_token("refusing", "late");
    let unreachable = engine().connect(&nobody, &token, options()).await;
    let error = unreachable.err().expect("nobody listens").to_string();
    assert!(error.contains("refused"), "{error}");
}

#[tokio::test]
async fn a_room_that_is_dropped_is_left() {
    let server = LiveKitServer::start();
    let mut watcher = join(&server, "dropped", "watcher").await;
    let dropped = join(&server, "dropped", "dropped").await;
    announced(&mut watcher, "dropped").await;
    drop(dropped);
    let gone = |event| match event {
        EngineEvent::ParticipantDisconnected { identity, .. } => Some(identity),
        _ => None,
    };
    let identity = event("the other to be gone", &mut watcher, gone).await;
    assert_eq!(identity, "dropped");
}

/// Asks the server until `wanted` holds for who is in the room; the server has no event for it.
async fn until(server: &LiveKitServer, room: &str, wanted: impl Fn(&[Value]) -> bool) {
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    soon("the server's list of participants to change", async {
        while !wanted(&server.list_participants(room).await) {
            pace.tick().await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_abandoned_join_leaves_nobody_behind() {
    let server = LiveKitServer::start();
    server.create_room("abandoned").await;
    let joining = tokio::spawn({
        let (url, token) = (server.url(), server.join_token("abandoned", "gone"));
        async move {
            let _ = engine().connect(url.as_str(), &token, options()).await;
        }
    });
    until(&server, "abandoned", |list| !list.is_empty()).await;
    joining.abort();
    until(&server, "abandoned", <[Value]>::is_empty).await;
}

#[tokio::test]
async fn a_deleted_room_ends_with_the_servers_reason() {
    let server = LiveKitServer::start();
    let mut agent = join(&server, "deleted", "agent").await;
    server.delete_room("deleted").await;
    assert_eq!(end(&mut agent).await, ROOM_DELETED);
    let closed = agent
        .room
        .request(RoomRequest::SetMetadata("late".into()))
        .await;
    assert!(matches!(closed, Err(EngineError::Closed(_))));
    agent.room.disconnect().await.expect("harmless");
}

#[tokio::test]
async fn f_r10_what_is_asked_first_reaches_the_others_first_whenever_it_is_waited_for() {
    let server = LiveKitServer::start();
    let mut first = join(&server, "order", "first").await;
    let second = join(&server, "order", "second").await;
    announced(&mut first, "second").await;
    let answers: Vec<_> = (0..500_u32)
        .map(|number| {
            second.room.request(RoomRequest::PublishData(DataPacket {
                payload: Bytes::copy_from_slice(&number.to_be_bytes()),
                reliable: true,
                topic: None,
                destination_identities: Vec::new(),
            }))
        })
        .collect();
    // The last answer is asked for first, and by other threads than the first ones.
    for answer in answers.into_iter().rev() {
        answer.await.expect("sent");
    }
    for expected in 0..500_u32 {
        let number = event("the data", &mut first, |event| match event {
            EngineEvent::DataReceived { payload, .. } => Some(payload),
            _ => None,
        })
        .await;
        assert_eq!(number.as_ref(), expected.to_be_bytes());
    }
}

#[tokio::test]
async fn f_r18_data_without_permission_is_refused_until_it_is_given() {
    let server = LiveKitServer::start();
    let mut agent = join(&server, "mute", "agent").await;
    let send = |room: &dyn EngineRoom| {
        room.request(RoomRequest::PublishData(DataPacket {
            payload: Bytes::from_static(b"x"),
            reliable: true,
            topic: None,
            destination_identities: Vec::new(),
        }))
    };
    for allowed in [false, true] {
        let permission =
            json!({ "canSubscribe": true, "canPublish": true, "canPublishData": allowed });
        let body = json!({ "room": "mute", "identity": "agent", "permission": permission });
        server
            .call("RoomService", "UpdateParticipant", "mute", body)
            .await;
        event("the permission", &mut agent, |event| match event {
            EngineEvent::ParticipantPermissionChanged { permission, .. } => {
                permission.filter(|told| told.can_publish_data == allowed)
            }
            _ => None,
        })
        .await;
        let sent = send(&*agent.room).await;
        assert_eq!(sent.is_ok(), allowed, "{:?}", sent.err());
    }
}
