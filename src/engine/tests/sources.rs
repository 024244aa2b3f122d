//! Capturing in order, and publishing what is captured.

use std::sync::Arc;

use super::script::{handle, say, say_in, Script};
use super::{capture_id, join, publish_id, publishing, sid_of, start, ROOM};
use crate::engine::core::Core;
use crate::engine::proto::ffi_event::Message as Event;
use crate::engine::proto::ffi_request::Message as Ask;
use crate::engine::proto::room_event::Message as RoomMessage;
use crate::engine::source::AudioSource;
use crate::engine::{proto, AudioSourceOptions, EngineAudioSource, EngineError};

fn source(core: &Arc<Core>, queue_size_ms: u32) -> AudioSource {
    let options = AudioSourceOptions {
        sample_rate: 48_000,
        num_channels: 1,
        queue_size_ms,
    };
    AudioSource::new(core, options).unwrap()
}

fn captured(async_id: u64) -> Event {
    Event::CaptureAudioFrame(proto::CaptureAudioFrameCallback {
        async_id,
        error: None,
    })
}

#[tokio::test]
async fn one_capture_is_outstanding_at_a_time_even_if_the_first_is_abandoned() {
    let (script, core) = Script::accepting();
    let source = source(&core, 1_000);
    let mut first = source.capture(vec![0; 480], 480);
    start(&mut first).await;
    let id = script.request("the first frame", 1, capture_id);
    drop(first);
    let mut second = source.capture(vec![0; 480], 480);
    start(&mut second).await;
    let sent = || script.requests().iter().filter_map(capture_id).count();
    assert_eq!(sent(), 1, "the second frame waits for the first");
    say(&core, captured(id));
    start(&mut second).await;
    assert_eq!(sent(), 2);
    say(
        &core,
        captured(script.request("the second frame", 2, capture_id)),
    );
    second.await.unwrap();
}

#[tokio::test]
async fn a_frame_longer_than_the_queue_is_handed_over_in_pieces() {
    let (script, core) = Script::accepting();
    let source = source(&core, 20);
    let mut capture = source.capture(vec![0; 2_000], 2_000);
    for piece in 1..=3 {
        start(&mut capture).await;
        say(
            &core,
            captured(script.request("a piece", piece, capture_id)),
        );
    }
    capture.await.unwrap();
    let requests = script.requests();
    let lengths = requests.iter().filter_map(|ask| match ask {
        Ask::CaptureAudioFrame(request) => Some(request.buffer.samples_per_channel),
        _ => None,
    });
    assert_eq!(lengths.collect::<Vec<_>>(), [960, 960, 80]);
}

#[tokio::test(start_paused = true)]
async fn publishing_has_a_deadline_and_happens_once_per_track() {
    let (script, core) = Script::accepting();
    let connected = join(&script, &core).await;
    let track = source(&core, 1_000).create_track("voice").unwrap();
    let room = connected.room;
    let late = room.request(publishing(&track)).await;
    assert!(matches!(late, Err(EngineError::TimedOut(_))));
    let published = |number: usize, id| {
        Event::PublishTrack(proto::PublishTrackCallback {
            async_id: script.request("publishing", number, publish_id),
            message: Some(proto::publish_track_callback::Message::Publication(
                proto::OwnedTrackPublication {
                    handle: handle(id),
                    info: proto::TrackPublicationInfo {
                        sid: "TR_9".into(),
                        ..Default::default()
                    },
                },
            )),
        })
    };
    say(&core, published(1, 70));
    script.given_back(70);
    let published_one = room.request(publishing(&track));
    say(&core, published(2, 71));
    assert_eq!(sid_of(published_one.await), "TR_9");
    let again = room.request(publishing(&track)).await;
    assert!(matches!(again, Err(EngineError::Invalid(_))));
    let event = proto::LocalTrackUnpublished {
        publication_sid: "TR_9".into(),
    };
    say_in(&core, ROOM, RoomMessage::LocalTrackUnpublished(event));
    let mut free = room.request(publishing(&track));
    start(&mut free).await;
}
