//! Joins, leaves and the one `Disconnected` of every room.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;

use super::script::{handle, say, say_in, Script};
use super::{connect_id, disconnect_id, join, left, names, options, script, start, ROOM};
use crate::engine::core::Core;
use crate::engine::join::join as join_room;
use crate::engine::proto::ffi_event::Message as Event;
use crate::engine::proto::ffi_request::Message as Ask;
use crate::engine::proto::room_event::Message as RoomMessage;
use crate::engine::rooms::RECONNECT_DEADLINE;
use crate::engine::{proto, Connected, EngineError, RoomRequest};

#[tokio::test]
async fn a_join_hands_over_what_the_library_tells_and_lets_the_events_flow() {
    let (script, core) = Script::accepting();
    let connected = join(&script, &core).await;
    assert_eq!(connected.local.identity, "us");
    assert_eq!(connected.participants.len(), 1);
    assert!(matches!(
        script.requests().last(),
        Some(Ask::ReadyForRoomEvent(request)) if request.room_handle == ROOM
    ));
    // The participant's own handle is not needed; room, local participant and publication are.
    script.given_back(3);
    assert_eq!(core.wire.open_handles(), 3);
}

#[tokio::test]
async fn a_join_that_nobody_waits_for_any_more_is_left_again() {
    let (script, core) = Script::accepting();
    let mut joining = Box::pin(join_room(&core, "ws://host", "token", options()));
    start(&mut joining).await;
    drop(joining);
    say(
        &core,
        script::joined(script.request("the join", 1, connect_id)),
    );
    let id = script.request("leaving", 1, disconnect_id);
    say(&core, left(id));
    for handle in 1..=4 {
        script.given_back(handle);
    }
}

#[tokio::test(start_paused = true)]
async fn a_join_that_the_library_never_answers_times_out_and_a_late_room_is_left() {
    let (script, core) = Script::accepting();
    let joined = join_room(&core, "ws://host", "token", options()).await;
    assert!(matches!(joined, Err(EngineError::TimedOut(_))));
    say(
        &core,
        script::joined(script.request("the join", 1, connect_id)),
    );
    let id = script.request("leaving", 1, disconnect_id);
    assert!(!script.has_back(ROOM), "the room is kept until it is left");
    say(&core, left(id));
    script.given_back(ROOM);
}

#[tokio::test]
async fn a_refused_join_says_why_without_the_token() {
    let (script, core) = Script::accepting();
    let mut joining = Box::pin(join_room(&core, "ws://host", "token", options()));
    start(&mut joining).await;
    let error = "GET /rtc?access_token=eyJh.eyJp.c2ln: 401".to_owned();
    say(
        &core,
        Event::Connect(proto::ConnectCallback {
            async_id: script.request("the join", 1, connect_id),
            message: Some(proto::connect_callback::Message::Error(error)),
        }),
    );
    let error = joining.await.err().unwrap().to_string();
    assert!(error == "GET /rtc?access_token=[hidden]: 401", "{error}");
}

#[tokio::test]
async fn an_answer_may_come_before_the_response_to_its_request() {
    let core: Arc<Mutex<Option<Arc<Core>>>> = Arc::default();
    let early = core.clone();
    let (_script, made) = Script::with(move |ask| {
        if let Some(id) = connect_id(ask) {
            say(early.lock().unwrap().as_ref().unwrap(), script::joined(id));
        }
        None
    });
    *core.lock().unwrap() = Some(made.clone());
    let joined = join_room(&made, "ws://host", "token", options()).await;
    assert!(joined.is_ok());
    *core.lock().unwrap() = None;
}

#[tokio::test]
async fn a_room_that_is_dropped_is_left_in_the_background() {
    let (script, core) = Script::accepting();
    let Connected {
        room,
        mut events,
        participants,
        ..
    } = join(&script, &core).await;
    drop(room);
    drop(participants);
    say(&core, left(script.request("leaving", 1, disconnect_id)));
    assert_eq!(names(&mut events).await, ["state 0", "disconnected 1"]);
    for handle in 1..=4 {
        script.given_back(handle);
    }
    assert_eq!(core.wire.open_handles(), 0);
}

#[tokio::test]
async fn leaving_ends_the_room_even_if_the_library_says_nothing_but_that_it_left() {
    let (script, core) = Script::accepting();
    let Connected {
        room, mut events, ..
    } = join(&script, &core).await;
    let mut leaving = Box::pin(room.disconnect());
    start(&mut leaving).await;
    say(&core, left(script.request("leaving", 1, disconnect_id)));
    leaving.await.unwrap();
    assert_eq!(names(&mut events).await, ["state 0", "disconnected 1"]);
    script.given_back(ROOM);
    room.disconnect().await.unwrap();
    let closed = room.request(RoomRequest::SetName("late".into())).await;
    assert!(matches!(closed, Err(EngineError::Closed(_))));
}

#[tokio::test(start_paused = true)]
async fn a_reconnection_without_end_is_given_up() {
    let (script, core) = Script::accepting();
    let mut connected = join(&script, &core).await;
    say_in(
        &core,
        ROOM,
        RoomMessage::Reconnecting(proto::Reconnecting {}),
    );
    say_in(&core, ROOM, RoomMessage::Reconnected(proto::Reconnected {}));
    tokio::time::sleep(RECONNECT_DEADLINE * 2).await;
    say_in(
        &core,
        ROOM,
        RoomMessage::Reconnecting(proto::Reconnecting {}),
    );
    tokio::time::sleep(RECONNECT_DEADLINE - Duration::from_secs(1)).await;
    assert!(script
        .requests()
        .iter()
        .all(|ask| disconnect_id(ask).is_none()));
    let timeout = proto::DisconnectReason::ConnectionTimeout as i32;
    let wanted = [
        "reconnecting".to_owned(),
        "reconnected".into(),
        "reconnecting".into(),
        "state 0".into(),
        format!("disconnected {timeout}"),
    ];
    assert_eq!(names(&mut connected.events).await, wanted);
    script.request("leaving", 1, disconnect_id);
}

fn endings() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(0_u8..6, 1..12)
}

proptest! {
    #[test]
    fn whatever_the_library_says_a_room_ends_once_and_then_is_silent(said in endings()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (script, core) = Script::accepting();
            let Connected { room, mut events, .. } = join(&script, &core).await;
            for what in said {
                match what {
                    0 => say_in(&core, ROOM, RoomMessage::Disconnected(proto::Disconnected { reason: 3 })),
                    1 => say_in(&core, ROOM, RoomMessage::Eos(proto::RoomEos {})),
                    2 => say_in(&core, ROOM, RoomMessage::ConnectionStateChanged(proto::ConnectionStateChanged { state: 0 })),
                    3 => say_in(&core, ROOM, RoomMessage::Reconnecting(proto::Reconnecting {})),
                    4 => say_in(&core, ROOM, RoomMessage::Reconnected(proto::Reconnected {})),
                    _ => say_in(&core, ROOM, RoomMessage::RoomSidChanged(proto::RoomSidChanged { sid: "RM_1".into() })),
                }
            }
            let mut leaving = Box::pin(room.disconnect());
            start(&mut leaving).await;
            say(&core, left(script.request("leaving", 1, disconnect_id)));
            leaving.await.unwrap();
            let names = names(&mut events).await;
            let ends = names.iter().filter(|name| name.starts_with("disconnected")).count();
            assert_eq!(ends, 1, "{names:?}");
            assert!(names.last().unwrap().starts_with("disconnected"), "{names:?}");
            assert!(names.iter().any(|name| name == "state 0"), "{names:?}");
        });
    }
}

#[tokio::test]
async fn what_no_event_of_ours_carries_is_given_back() {
    let (script, core) = Script::accepting();
    let _connected = join(&script, &core).await;
    let text = proto::OwnedTextStreamReader {
        handle: handle(20),
        ..Default::default()
    };
    let bytes = proto::OwnedByteStreamReader {
        handle: handle(21),
        ..Default::default()
    };
    let track = proto::OwnedRemoteDataTrack {
        handle: handle(22),
        ..Default::default()
    };
    let participant = proto::OwnedParticipant {
        handle: handle(23),
        ..Default::default()
    };
    let who = String::new;
    for message in [
        RoomMessage::TextStreamOpened(proto::TextStreamOpened {
            reader: text,
            participant_identity: who(),
        }),
        RoomMessage::ByteStreamOpened(proto::ByteStreamOpened {
            reader: bytes,
            participant_identity: who(),
        }),
        RoomMessage::DataTrackPublished(proto::DataTrackPublished { track }),
        RoomMessage::ParticipantConnected(proto::ParticipantConnected { info: participant }),
    ] {
        say_in(&core, ROOM, message);
    }
    // An event of a room that is not ours, and an answer nobody waits for.
    let publication = |id| proto::OwnedTrackPublication {
        handle: handle(id),
        ..Default::default()
    };
    say_in(
        &core,
        99,
        RoomMessage::TrackPublished(proto::TrackPublished {
            participant_identity: who(),
            publication: publication(24),
        }),
    );
    say(
        &core,
        Event::PublishTrack(proto::PublishTrackCallback {
            async_id: 5,
            message: Some(proto::publish_track_callback::Message::Publication(
                publication(25),
            )),
        }),
    );
    for handle in 20..=25 {
        script.given_back(handle);
    }
}
