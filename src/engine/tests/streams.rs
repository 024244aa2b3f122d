//! Which frames reach which sink, and that a sink ends once.

use std::sync::{Arc, Mutex};

use super::script::{handle, say, say_in, Script};
use super::{join, ROOM};
use crate::engine::core::Core;
use crate::engine::proto::ffi_event::Message as Event;
use crate::engine::proto::ffi_request::Message as Ask;
use crate::engine::proto::room_event::Message as RoomMessage;
use crate::engine::{proto, AudioSink, AudioStreamOptions, Connected, EngineEvent, EngineTrack};

#[derive(Default)]
struct Ear(Mutex<Vec<String>>);

impl AudioSink for Ear {
    fn frame(&self, samples: &[i16], sample_rate: u32, num_channels: u32) {
        let heard = format!("{samples:?} {sample_rate} {num_channels}");
        self.0.lock().unwrap().push(heard);
    }

    fn end(&self) {
        self.0.lock().unwrap().push("end".into());
    }
}

impl Ear {
    fn heard(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

const STREAM: AudioStreamOptions = AudioStreamOptions {
    sample_rate: 48_000,
    num_channels: 1,
    frame_size_ms: None,
    queue_size_frames: 10,
};

fn frame(stream: u64, id: u64, samples: &[i16]) -> Event {
    use proto::audio_stream_event::Message;
    let info = proto::AudioFrameBufferInfo {
        data_ptr: samples.as_ptr() as u64,
        num_channels: 1,
        sample_rate: 48_000,
        samples_per_channel: samples.len() as u32,
    };
    let received = proto::AudioFrameReceived {
        frame: proto::OwnedAudioFrameBuffer {
            handle: handle(id),
            info,
        },
    };
    Event::AudioStreamEvent(proto::AudioStreamEvent {
        stream_handle: stream,
        message: Some(Message::FrameReceived(received)),
    })
}

fn stream_ended(stream: u64) -> Event {
    use proto::audio_stream_event::Message;
    Event::AudioStreamEvent(proto::AudioStreamEvent {
        stream_handle: stream,
        message: Some(Message::Eos(proto::AudioStreamEos {})),
    })
}

/// Lets a track arrive and answers it.
async fn subscribe(core: &Arc<Core>, connected: &mut Connected, id: u64) -> Arc<dyn EngineTrack> {
    let info = proto::TrackInfo {
        sid: "TR_1".into(),
        kind: proto::TrackKind::KindAudio.into(),
        remote: true,
        ..Default::default()
    };
    say_in(
        core,
        ROOM,
        RoomMessage::TrackSubscribed(proto::TrackSubscribed {
            participant_identity: "them".into(),
            track: proto::OwnedTrack {
                handle: handle(id),
                info,
            },
        }),
    );
    match connected.events.recv().await {
        Some(EngineEvent::TrackSubscribed { track, .. }) => track,
        _ => panic!("expected the track"),
    }
}

#[tokio::test]
async fn frames_reach_their_sink_and_are_given_back_and_none_follows_the_end() {
    let (script, core) = Script::with(|ask| match ask {
        Ask::NewAudioStream(_) => Some(proto::ffi_response::Message::NewAudioStream(
            proto::NewAudioStreamResponse {
                stream: proto::OwnedAudioStream {
                    handle: handle(50),
                    ..Default::default()
                },
            },
        )),
        _ => None,
    });
    let mut connected = join(&script, &core).await;
    let track = subscribe(&core, &mut connected, 40).await;
    let ear = Arc::new(Ear::default());
    let stream = track.audio_stream(STREAM, ear.clone()).unwrap();
    drop(track);
    assert!(!script.has_back(40), "an open stream keeps its track");
    say(&core, frame(50, 60, &[1, -2, 3]));
    script.given_back(60);
    stream.close();
    say(&core, frame(50, 61, &[4]));
    say(&core, stream_ended(50));
    script.given_back(61);
    drop(stream);
    assert_eq!(ear.heard(), ["[1, -2, 3] 48000 1", "end"]);
    script.given_back(50);
    script.given_back(40);
}

#[tokio::test]
async fn a_stream_ends_with_its_track_its_participant_its_room_or_by_itself() {
    let (script, core) = Script::accepting();
    let mut connected = join(&script, &core).await;
    let track = subscribe(&core, &mut connected, 40).await;
    let open = || {
        let ear = Arc::new(Ear::default());
        let stream = track.audio_stream(STREAM, ear.clone()).unwrap();
        (ear, stream)
    };
    let who = || "them".to_owned();
    let (unsubscribed, _a) = open();
    let sid = "TR_1".to_owned();
    let event = proto::TrackUnsubscribed {
        participant_identity: who(),
        track_sid: sid,
    };
    say_in(&core, ROOM, RoomMessage::TrackUnsubscribed(event));
    assert_eq!(unsubscribed.heard(), ["end"]);
    let (gone, _b) = open();
    let event = proto::ParticipantDisconnected {
        participant_identity: who(),
        disconnect_reason: 1,
    };
    say_in(&core, ROOM, RoomMessage::ParticipantDisconnected(event));
    assert_eq!(gone.heard(), ["end"]);
    let (over, c) = open();
    say_in(&core, ROOM, RoomMessage::Eos(proto::RoomEos {}));
    assert_eq!(over.heard(), ["end"]);
    c.close();
    assert_eq!(over.heard(), ["end"]);
}

#[tokio::test]
async fn an_end_that_overtakes_the_opening_of_its_stream_is_not_lost() {
    let core: Arc<Mutex<Option<Arc<Core>>>> = Arc::default();
    let early = core.clone();
    let (script, made) = Script::with(move |ask| match ask {
        Ask::NewAudioStream(_) => {
            say(early.lock().unwrap().as_ref().unwrap(), stream_ended(50));
            Some(proto::ffi_response::Message::NewAudioStream(
                proto::NewAudioStreamResponse {
                    stream: proto::OwnedAudioStream {
                        handle: handle(50),
                        ..Default::default()
                    },
                },
            ))
        }
        _ => None,
    });
    *core.lock().unwrap() = Some(made.clone());
    let mut connected = join(&script, &made).await;
    let track = subscribe(&made, &mut connected, 40).await;
    let ear = Arc::new(Ear::default());
    let _stream = track.audio_stream(STREAM, ear.clone()).unwrap();
    assert_eq!(ear.heard(), ["end"]);
    *core.lock().unwrap() = None;
}
