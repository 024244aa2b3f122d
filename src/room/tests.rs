//! Rooms over the fake engine: what reaches the reader, in which order, and what a disconnected one says.

use std::collections::HashMap;

use bytes::Bytes;

use super::*;
use crate::engine::fake::{Call, FakeEngine, FakeRoom, Join};
use crate::engine::{
    DataPacket, EngineError, EngineEvent, ParticipantInfo, PublicationInfo, PublishOptions,
    RoomInfo, TrackInfo,
};
use crate::error::{Code, Error};

fn options() -> ConnectOptions {
    ConnectOptions {
        auto_subscribe: true,
        adaptive_stream: false,
        dynacast: false,
        join_retries: 1,
        connect_timeout_ms: 5_000,
        single_peer_connection: true,
        rtc_config: None,
    }
}

async fn join(engine: &FakeEngine) -> (Room, FakeRoom) {
    let room = Room::connect(engine, "ws://example", "token", options())
        .await
        .expect("the fake engine joins");
    let fake = engine.rooms().pop().expect("a room was joined");
    (room, fake)
}

fn publishing(track: Arc<dyn EngineTrack>) -> RoomRequest {
    RoomRequest::PublishTrack {
        track,
        options: PublishOptions::default(),
    }
}

fn taking_back(sid: &str) -> RoomRequest {
    RoomRequest::UnpublishTrack {
        sid: sid.into(),
        stop: true,
    }
}

fn publication(sid: &str) -> PublicationInfo {
    PublicationInfo {
        sid: sid.into(),
        kind: 1,
        ..PublicationInfo::default()
    }
}

/// The types of all events until the end, as JavaScript reads them.
async fn types(room: &Room) -> Vec<String> {
    let mut types = Vec::new();
    while let Some(events) = room.next_events(4).await {
        assert!(events.len() <= 4);
        for event in events {
            let json = serde_json::to_value(&event).expect("events are JSON");
            types.push(json["type"].as_str().expect("a tag").to_owned());
        }
    }
    types
}

fn code<T>(result: Result<T, RoomError>) -> Code {
    match result {
        Ok(_) => panic!("the call succeeded"),
        Err(error) => Error::from(error).code,
    }
}

#[tokio::test]
async fn a_join_shows_who_was_there_and_keeps_their_publications() {
    let engine = FakeEngine::new();
    engine.script(Join::Room {
        info: RoomInfo {
            name: "kitchen".into(),
            ..RoomInfo::default()
        },
        local: ParticipantInfo::default(),
        participants: vec![(
            ParticipantInfo {
                identity: "alice".into(),
                ..ParticipantInfo::default()
            },
            vec![engine.publication(publication("TR_a"))],
        )],
    });
    let (room, _) = join(&engine).await;
    let json = serde_json::to_value(room.snapshot()).expect("a snapshot is JSON");
    assert_eq!(json["room"]["name"], "kitchen");
    assert_eq!(json["participants"][0]["participant"]["identity"], "alice");
    assert_eq!(json["participants"][0]["publications"][0]["sid"], "TR_a");
    room.set_subscribed("TR_a", false).expect("it is known");
    assert!(matches!(
        engine.calls().last(),
        Some(Call::SetSubscribed { sid, subscribed: false }) if sid == "TR_a"
    ));
    assert_eq!(code(room.set_subscribed("TR_b", true)), Code::ConfigInvalid);
}

#[tokio::test]
async fn events_come_in_order_and_disconnected_is_the_last() {
    let engine = FakeEngine::new();
    let (room, fake) = join(&engine).await;
    fake.emit(EngineEvent::ParticipantConnected {
        participant: ParticipantInfo::default(),
    });
    fake.emit(EngineEvent::Reconnecting);
    fake.emit(EngineEvent::Reconnected);
    fake.emit(EngineEvent::Disconnected { reason: 3 });
    assert!(!fake.emit(EngineEvent::Reconnecting));
    assert_eq!(
        types(&room).await,
        [
            "participantConnected",
            "reconnecting",
            "reconnected",
            "disconnected"
        ]
    );
    assert!(room.next_events(1).await.is_none());
}

#[tokio::test]
async fn leaving_twice_tells_disconnected_once() {
    let engine = FakeEngine::new();
    let (room, _) = join(&engine).await;
    room.disconnect().await.expect("it leaves");
    room.disconnect().await.expect("it has left");
    let events = room.next_events(10).await.expect("the last event");
    assert!(matches!(
        events[..],
        [
            RoomEvent::ConnectionStateChanged { state: 0 },
            RoomEvent::Disconnected { reason: 1 }
        ]
    ));
    assert!(room.next_events(10).await.is_none());
}

#[tokio::test]
async fn a_disconnected_room_refuses_every_call_with_its_code() {
    let engine = FakeEngine::new();
    let (room, fake) = join(&engine).await;
    let track = engine.track(TrackInfo::default());
    fake.emit(EngineEvent::Disconnected { reason: 5 });
    while room.next_events(1).await.is_some() {}
    let data = DataPacket {
        payload: Bytes::new(),
        reliable: true,
        topic: None,
        destination_identities: Vec::new(),
    };
    for refused in [
        code(room.request(publishing(track)).await),
        code(room.request(taking_back("TR_1")).await),
        code(room.request(RoomRequest::PublishData(data)).await),
        code(room.request(RoomRequest::SetMetadata("m".into())).await),
        code(room.request(RoomRequest::SetName("n".into())).await),
        code(
            room.request(RoomRequest::SetAttributes(HashMap::new()))
                .await,
        ),
        code(room.set_subscribed("TR_1", true)),
        code(room.request(RoomRequest::SimulateScenario(0)).await),
    ] {
        assert_eq!(refused, Code::RoomDisconnected);
    }
    assert_eq!(code(room.take_track(1)), Code::ConfigInvalid);
}

#[tokio::test]
async fn publications_follow_their_sid_through_a_republish() {
    let engine = FakeEngine::new();
    let (room, fake) = join(&engine).await;
    let track = engine.track(TrackInfo::default());
    let Ok(RoomAnswer::Published(published)) = room.request(publishing(track)).await else {
        panic!("nothing was published");
    };
    let sid = published.info().sid.clone();
    fake.emit(EngineEvent::LocalTrackRepublished {
        previous_sid: sid.clone(),
        publication: publication("TR_new"),
    });
    while let Some(events) = room.next_events(1).await {
        if let [RoomEvent::LocalTrackRepublished { .. }] = events[..] {
            break;
        }
    }
    assert_eq!(
        code(room.request(taking_back(&sid)).await),
        Code::ConfigInvalid
    );
    room.request(taking_back("TR_new"))
        .await
        .expect("it is known");
}

#[tokio::test]
async fn a_subscribed_track_is_taken_once() {
    let engine = FakeEngine::new();
    let (room, fake) = join(&engine).await;
    fake.emit(EngineEvent::TrackSubscribed {
        identity: "alice".into(),
        track: engine.track(TrackInfo {
            sid: "TR_a".into(),
            ..TrackInfo::default()
        }),
        handle: 0,
    });
    let events = room.next_events(1).await.expect("an event");
    let [RoomEvent::TrackSubscribed { handle, .. }] = events[..] else {
        panic!("{events:?}");
    };
    let track = room.take_track(handle).expect("it is there");
    assert_eq!(track.info().sid, "TR_a");
    assert_eq!(code(room.take_track(handle)), Code::ConfigInvalid);
}

#[tokio::test]
async fn a_failed_join_and_a_dropped_room_leave_nothing() {
    let engine = FakeEngine::new();
    engine.script(Join::Fail(EngineError::Refused("no".into())));
    let failed = Room::connect(&*engine, "ws://example", "token", options()).await;
    assert_eq!(code(failed), Code::RoomConnectFailed);
    assert!(engine.rooms().is_empty());
    let (room, fake) = join(&engine).await;
    drop(room);
    assert!(fake.ended());
}

#[tokio::test]
async fn packets_nobody_reads_are_dropped_and_counted_while_every_state_is_told() {
    let engine = FakeEngine::new();
    let (room, fake) = join(&engine).await;
    let packet = || EngineEvent::DataReceived {
        identity: "alice".into(),
        payload: Bytes::from_static(&[0; 16]),
        length: 16,
        topic: None,
        kind: 0,
    };
    let mut sent = 0;
    // Nobody reads, and nobody can be made to wait: each state comes after a thousand packets.
    for number in 0..100 {
        for _ in 0..1_000 {
            fake.emit(packet());
            sent += 1;
        }
        tokio::task::yield_now().await;
        let sid = number.to_string();
        assert!(fake.emit(EngineEvent::RoomSidChanged { sid }));
    }
    fake.emit(EngineEvent::Disconnected { reason: 1 });
    let types = types(&room).await;
    let count = |name: &str| types.iter().filter(|found| *found == name).count();
    assert_eq!(count("roomSidChanged"), 100);
    assert_eq!(types.last().map(String::as_str), Some("disconnected"));
    let read = count("dataReceived");
    assert!(read < 6_000, "{read} packets were kept");
    assert_eq!(read as u64 + room.counters().dropped, sent);
}
