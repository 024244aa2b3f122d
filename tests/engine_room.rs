//! The real engine in real rooms: joining, seeing each other, data, descriptions, leaving.
#![allow(clippy::panic)]

mod engine_support;
mod support;

use bytes::Bytes;
use engine_support::end;
use engine_support::event;
use engine_support::join;
use engine_support::soon;
use roomhook::engine::DataPacket;
use roomhook::engine::EngineEvent;
use support::LiveKitServer;

const CLIENT_INITIATED: i32 = 1;

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
    let identity = event("the second participant", &mut first, |event| match event {
        EngineEvent::ParticipantConnected { info } => Some(info.identity),
        _ => None,
    })
    .await;
    assert_eq!(identity, "second");
    let packet = DataPacket {
        payload: Bytes::from_static(b"hello"),
        reliable: true,
        topic: Some("greeting".into()),
        destination_identities: vec!["first".into()],
    };
    second.room.publish_data(packet).await.expect("sent");
    let received = event("the data", &mut first, |event| match event {
        EngineEvent::DataReceived {
            identity,
            payload,
            topic,
            kind,
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
