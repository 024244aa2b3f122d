//! Sound through real rooms: what is captured on one side is heard on the other, and wrong sound is refused.
#![allow(clippy::panic)]

mod engine_support;
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use engine_support::{
    engine, event, hear_tone, join, join_with, listen, microphone, options, play, publishing, soon,
    source, subscribed, taking_back, ten_ms, tone, Ear, Heard, RATE,
};
use roomhook::engine::{
    AudioSourceOptions, AudioStreamOptions, ConnectOptions, Connected, EngineAudioSource,
    EngineError, EngineEvent, EnginePublication, EngineTrack, PublishOptions, RoomEngine,
};
use support::LiveKitServer;

/// The RMS of a sine with a peak of 8000.
const LEVEL: f64 = 5_657.0;
const SECOND: usize = RATE as usize;

struct Pair {
    speaker: Connected,
    listener: Connected,
    track: Arc<dyn EngineTrack>,
    publication: Arc<dyn EnginePublication>,
    heard: Arc<dyn EngineTrack>,
    source: Arc<dyn EngineAudioSource>,
}

/// Two in a room; one plays 440 Hz, the other has subscribed to it.
async fn pair(server: &LiveKitServer, room: &str) -> Pair {
    let speaker = join(server, room, "speaker").await;
    let mut listener = join(server, room, "listener").await;
    let source = source(1_000);
    let track = source.create_track("voice").expect("a track");
    let publishing = publishing(&*speaker.room, &track, microphone());
    let publication = soon("publishing", publishing).await.expect("published");
    play(source.clone());
    let heard = subscribed(&mut listener).await;
    Pair {
        speaker,
        listener,
        track,
        publication,
        heard,
        source,
    }
}

#[tokio::test]
async fn a_tone_arrives_with_its_pitch_and_level_in_frames_of_ten_ms() {
    let server = LiveKitServer::start();
    let pair = pair(&server, "tone").await;
    assert!(pair.publication.info().sid.starts_with("TR_"));
    assert_eq!(pair.heard.info().sid, pair.publication.info().sid);
    let (ear, mut frames) = Ear::new();
    let stream = pair.heard.audio_stream(ten_ms(), ear).expect("a stream");
    hear_tone(&mut frames, (RATE, 1), (440.0, LEVEL)).await;
    match frames.recv().await {
        Some(Heard::Frame(frame, rate, channels)) => {
            assert_eq!((frame.len(), rate, channels), (SECOND / 100, RATE, 1));
        }
        _ => panic!("expected a frame"),
    }
    stream.close();
    soon("the end", async {
        while let Some(Heard::Frame(..)) = frames.recv().await {}
    })
    .await;
    assert!(frames.recv().await.is_none(), "nothing after the end");
}

#[tokio::test]
async fn a_stream_is_resampled_remixed_and_cut_as_asked() {
    let server = LiveKitServer::start();
    let pair = pair(&server, "cut").await;
    let (ear, mut frames) = Ear::new();
    let options = AudioStreamOptions {
        sample_rate: 16_000,
        num_channels: 2,
        frame_size_ms: Some(20),
        queue_size_frames: 50,
    };
    let _stream = pair.heard.audio_stream(options, ear).expect("a stream");
    hear_tone(&mut frames, (16_000, 2), (440.0, LEVEL)).await;
    match frames.recv().await {
        Some(Heard::Frame(frame, rate, channels)) => {
            assert_eq!((frame.len(), rate, channels), (640, 16_000, 2));
        }
        _ => panic!("expected a frame"),
    }
}

#[tokio::test]
async fn muting_unsubscribing_and_unpublishing_reach_the_other_side() {
    let server = LiveKitServer::start();
    let mut pair = pair(&server, "control").await;
    let sid = pair.publication.info().sid.clone();
    assert!(pair.track.set_muted(true).expect("muted"));
    event("the mute", &mut pair.listener, |event| match event {
        EngineEvent::TrackMuted { .. } => Some(()),
        _ => None,
    })
    .await;
    assert!(!pair.track.set_muted(false).expect("unmuted"));
    event("the unmute", &mut pair.listener, |event| match event {
        EngineEvent::TrackUnmuted { .. } => Some(()),
        _ => None,
    })
    .await;
    assert!(!pair.heard.set_enabled(false).expect("disabled"));
    assert!(pair.heard.set_enabled(true).expect("enabled"));
    assert!(pair.heard.set_muted(true).is_err(), "not ours to mute");
    assert!(pair.track.set_enabled(false).is_err(), "not theirs");
    assert!(pair.publication.set_subscribed(true).is_err(), "ours");

    let leaving = taking_back(&*pair.speaker.room, &sid);
    soon("unpublishing", leaving).await.expect("unpublished");
    let gone = event("the end of it", &mut pair.listener, |event| match event {
        EngineEvent::TrackUnpublished { sid, .. } => Some(sid),
        _ => None,
    })
    .await;
    assert_eq!(gone, sid);
}

#[tokio::test]
async fn a_track_is_subscribed_on_demand_and_its_stream_ends_with_the_subscription() {
    let server = LiveKitServer::start();
    let by_hand = ConnectOptions {
        auto_subscribe: false,
        ..options()
    };
    let mut listener = join_with(&server, "demand", "listener", by_hand).await;
    let speaker = join(&server, "demand", "speaker").await;
    let source = source(1_000);
    let track = source.create_track("voice").expect("a track");
    let publishing = publishing(&*speaker.room, &track, microphone());
    let _publication = publishing.await.expect("published");
    play(source);
    let publication = event("the publication", &mut listener, |event| match event {
        EngineEvent::TrackPublished { publication, .. } => Some(publication),
        EngineEvent::TrackSubscribed { .. } => panic!("nobody subscribed yet"),
        _ => None,
    })
    .await;
    publication.set_subscribed(true).expect("asked for");
    let heard = subscribed(&mut listener).await;
    let (ear, mut frames) = Ear::new();
    let _stream = heard.audio_stream(ten_ms(), ear).expect("a stream");
    listen(&mut frames, SECOND / 10).await;
    publication.set_subscribed(false).expect("no longer");
    event("the unsubscription", &mut listener, |event| match event {
        EngineEvent::TrackUnsubscribed { .. } => Some(()),
        _ => None,
    })
    .await;
    soon("the stream to end", async {
        while let Some(Heard::Frame(..)) = frames.recv().await {}
    })
    .await;
}

#[tokio::test]
async fn capturing_is_paced_by_the_queue_and_clearing_frees_it() {
    let source = source(200);
    let _track = source.create_track("voice").expect("a track");
    let begun = Instant::now();
    // One second through a queue of 0.2 s: the rest has to wait until it was played.
    let frame = tone(440.0, 8_000.0, RATE, 0, SECOND);
    source
        .capture(frame, SECOND as u32)
        .await
        .expect("captured in pieces");
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(500), "{took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    let full = source.capture(vec![0; SECOND / 5], SECOND as u32 / 5);
    source.clear().expect("cleared");
    full.await.expect("captured after clearing");
}

#[tokio::test]
async fn a_source_without_a_queue_takes_a_long_frame_in_pieces_of_ten_ms() {
    let source = source(0);
    let frame = vec![0; SECOND / 10];
    let captured = source.capture(frame, SECOND as u32 / 10).await;
    captured.expect("ten pieces");
    let odd = source.capture(vec![0; 481], 481).await;
    assert!(matches!(odd, Err(EngineError::Invalid(_))));
}

#[tokio::test]
async fn sound_that_would_abort_the_process_is_refused_and_the_room_goes_on() {
    let server = LiveKitServer::start();
    let pair = pair(&server, "refused").await;
    let new_source = |sample_rate, num_channels, queue_size_ms| {
        let options = AudioSourceOptions {
            sample_rate,
            num_channels,
            queue_size_ms,
        };
        engine().audio_source(options).err()
    };
    for (rate, channels, queue) in [(RATE, 0, 100), (RATE, 1, 15), (0, 1, 100), (7, 1, 100)] {
        let refused = new_source(rate, channels, queue);
        assert!(
            matches!(refused, Some(EngineError::Invalid(_))),
            "{rate} {channels} {queue}"
        );
    }
    let short = pair.source.capture(vec![0; 100], 480).await;
    assert!(matches!(short, Err(EngineError::Invalid(_))));
    pair.source
        .capture(Vec::new(), 0)
        .await
        .expect("nothing is nothing");
    let (ear, _frames) = Ear::new();
    let none = AudioStreamOptions {
        num_channels: 0,
        frame_size_ms: Some(10),
        ..ten_ms()
    };
    let refused = pair.heard.audio_stream(none, ear).err();
    assert!(matches!(refused, Some(EngineError::Invalid(_))));
    for sid in ["", "PA_x", "voice"] {
        let refused = taking_back(&*pair.speaker.room, sid).await;
        assert!(matches!(refused, Err(EngineError::Invalid(_))), "{sid}");
    }
    let unknown = taking_back(&*pair.speaker.room, "TR_unheard").await;
    assert!(matches!(unknown, Err(EngineError::Refused(_))));
    let publish = |source| PublishOptions {
        source: Some(source),
        ..PublishOptions::default()
    };
    let other = pair.source.create_track("other").expect("a second track");
    let room = &pair.speaker.room;
    for (track, options) in [
        (&pair.track, publish(2)),
        (&pair.heard, publish(2)),
        (&other, publish(9)),
    ] {
        let refused = publishing(&**room, track, options).await.err();
        assert!(matches!(refused, Some(EngineError::Invalid(_))));
    }
    let (ear, mut frames) = Ear::new();
    let _stream = pair.heard.audio_stream(ten_ms(), ear).expect("a stream");
    listen(&mut frames, SECOND / 10).await;
}
