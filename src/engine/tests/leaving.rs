//! What happens to the tracks of a room that is left, and to the calls nobody will answer any more.

use std::sync::Arc;
use std::time::Duration;

use super::script::{handle, say, say_in, Script};
use super::{disconnect_id, join, left, publish_id, publishing, sid_of, start, taking_back, ROOM};
use crate::engine::core::Core;
use crate::engine::proto::ffi_event::Message as Event;
use crate::engine::proto::ffi_request::Message as Ask;
use crate::engine::proto::room_event::Message as RoomMessage;
use crate::engine::publish_gate::PATIENCE;
use crate::engine::source::AudioSource;
use crate::engine::{
    proto, AudioSourceOptions, Connected, EngineAudioSource, EngineError, EnginePublication,
    EngineRoom, EngineTrack, RoomAnswer,
};

fn unpublish_id(ask: &Ask) -> Option<u64> {
    match ask {
        Ask::UnpublishTrack(request) => request.request_async_id,
        _ => None,
    }
}

fn published(async_id: u64, sid: &str) -> Event {
    Event::PublishTrack(proto::PublishTrackCallback {
        async_id,
        message: Some(proto::publish_track_callback::Message::Publication(
            proto::OwnedTrackPublication {
                handle: handle(70),
                info: proto::TrackPublicationInfo {
                    sid: sid.into(),
                    ..Default::default()
                },
            },
        )),
    })
}

fn unpublished(async_id: u64) -> Event {
    Event::UnpublishTrack(proto::UnpublishTrackCallback {
        async_id,
        error: None,
    })
}

fn track(core: &Arc<Core>) -> Arc<dyn EngineTrack> {
    let options = AudioSourceOptions {
        sample_rate: 48_000,
        num_channels: 1,
        queue_size_ms: 1_000,
    };
    let source = AudioSource::new(core, options).unwrap();
    source.create_track("voice").unwrap()
}

async fn publish(
    script: &Script,
    core: &Arc<Core>,
    room: &Arc<dyn EngineRoom>,
) -> Arc<dyn EnginePublication> {
    let track = track(core);
    let published_one = room.request(publishing(&track));
    let id = script.request("publishing", 1, publish_id);
    say(core, published(id, "TR_9"));
    match published_one.await.unwrap() {
        RoomAnswer::Published(publication) => publication,
        _ => panic!("nothing was published"),
    }
}

fn asked(script: &Script, wanted: fn(&Ask) -> Option<u64>) -> usize {
    script.requests().iter().filter_map(wanted).count()
}

#[tokio::test]
async fn a_room_is_left_only_after_its_tracks_were_taken_back() {
    let (script, core) = Script::accepting();
    let Connected { room, .. } = join(&script, &core).await;
    let _publication = publish(&script, &core, &room).await;
    let (mut first, mut second) = (room.disconnect(), room.disconnect());
    start(&mut first).await;
    start(&mut second).await;
    let id = script.request("taking the track back", 1, unpublish_id);
    assert_eq!(asked(&script, disconnect_id), 0);
    say(&core, unpublished(id));
    start(&mut first).await;
    say(&core, left(script.request("leaving", 1, disconnect_id)));
    first.await.unwrap();
    second.await.unwrap();
    assert_eq!(asked(&script, unpublish_id), 1);
    assert_eq!(asked(&script, disconnect_id), 1);
}

#[tokio::test]
async fn a_room_is_left_only_after_what_is_under_way_has_ended() {
    let (script, core) = Script::accepting();
    let Connected { room, .. } = join(&script, &core).await;
    let _publication = publish(&script, &core, &room).await;
    let other = track(&core);
    let publishing = room.request(publishing(&other));
    // Nobody waits for this one, but the library is at it.
    drop(room.request(taking_back("TR_9")));
    let mut leaving = room.disconnect();
    start(&mut leaving).await;
    let late = track(&core);
    let refused = room.request(super::publishing(&late));
    let taken_back = room.request(taking_back("TR_9"));
    say(
        &core,
        unpublished(script.request("taking back", 1, unpublish_id)),
    );
    say_in(
        &core,
        ROOM,
        RoomMessage::LocalTrackUnpublished(proto::LocalTrackUnpublished {
            publication_sid: "TR_9".into(),
        }),
    );
    start(&mut leaving).await;
    assert_eq!(
        asked(&script, unpublish_id),
        1,
        "the other is still being published"
    );
    say(
        &core,
        published(script.request("publishing", 2, publish_id), "TR_8"),
    );
    assert_eq!(sid_of(publishing.await), "TR_8");
    start(&mut leaving).await;
    assert!(matches!(refused.await, Err(EngineError::Closed(_))));
    taken_back.await.unwrap();
    say(
        &core,
        unpublished(script.request("taking back", 2, unpublish_id)),
    );
    start(&mut leaving).await;
    say(&core, left(script.request("leaving", 1, disconnect_id)));
    leaving.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_room_is_left_although_the_library_never_answers_for_its_tracks() {
    let (script, core) = Script::accepting();
    let Connected { room, .. } = join(&script, &core).await;
    let _publication = publish(&script, &core, &room).await;
    let other = track(&core);
    let publishing = room.request(publishing(&other));
    let began = tokio::time::Instant::now();
    let mut leaving = room.disconnect();
    let before = began + PATIENCE * 2 - Duration::from_millis(1);
    assert!(tokio::time::timeout_at(before, &mut leaving).await.is_err());
    assert_eq!(asked(&script, disconnect_id), 0);
    let after = before + Duration::from_millis(2);
    assert!(tokio::time::timeout_at(after, &mut leaving).await.is_err());
    say(&core, left(script.request("leaving", 1, disconnect_id)));
    leaving.await.unwrap();
    assert!(matches!(publishing.await, Err(EngineError::Closed(_))));
}

#[tokio::test]
async fn a_call_under_way_fails_when_the_room_ends_and_its_late_answer_is_given_back() {
    let (script, core) = Script::accepting();
    let Connected { room, .. } = join(&script, &core).await;
    let track = track(&core);
    let publishing = room.request(publishing(&track));
    let gone = proto::Disconnected { reason: 5 };
    say_in(&core, ROOM, RoomMessage::Disconnected(gone));
    assert!(matches!(publishing.await, Err(EngineError::Closed(_))));
    say(
        &core,
        published(script.request("publishing", 1, publish_id), "TR_9"),
    );
    script.given_back(70);
    let mut leaving = room.disconnect();
    start(&mut leaving).await;
    say(&core, left(script.request("leaving", 1, disconnect_id)));
    leaving.await.unwrap();
}
