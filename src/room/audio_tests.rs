//! Streams and sources over the fake engine: what reaches a stream's taps, what ends, what is refused.

use std::sync::Arc;

use super::*;
use crate::audio::{Format, FrameHub, LaneOptions};
use crate::engine::fake::{Call, FakeEngine, FakeTrack};
use crate::engine::TrackInfo;
use crate::error::{Code, Error};

fn code<T>(result: Result<T, RoomError>) -> Code {
    match result {
        Ok(_) => panic!("the call succeeded"),
        Err(error) => Error::from(error).code,
    }
}

const FORMAT: Format = Format {
    sample_rate: 48_000,
    channels: 1,
};

const LANE: LaneOptions = LaneOptions {
    frame_size_ms: None,
    capacity_frames: 3,
    max_delay_ms: None,
};

/// A hub that nobody has to ring.
fn hub() -> Arc<FrameHub> {
    FrameHub::new(|_| ())
}

fn open(hub: &Arc<FrameHub>, track: &Arc<FakeTrack>, format: Format) -> (AudioStream, u32) {
    let lane = hub.open(LANE);
    let number = lane.stream();
    let stream = AudioStream::open(track.clone(), format, None, vec![Box::new(lane)]);
    (stream.expect("it opens"), number)
}

#[test]
fn the_frames_of_a_stream_go_through_its_taps_and_a_closed_one_hands_over_what_waits_then_its_end()
{
    let engine = FakeEngine::new();
    let hub = hub();
    let track = engine.track(TrackInfo::default());
    let (stream, number) = open(&hub, &track, FORMAT);
    let (_other, other) = open(&hub, &track, FORMAT);
    track.push(&[1, -1, 2, -2], 48_000, 2);
    stream.close();
    stream.close();
    track.push(&[3; 4], 48_000, 1);
    let batch = hub.take();
    let index = [
        [number, 2, 2, 48_000],
        [number, 0, 0, 0],
        [other, 2, 2, 48_000],
        [other, 4, 1, 48_000],
    ];
    assert_eq!(batch.index, index.concat());
    assert_eq!(batch.samples, [1, -1, 2, -2, 1, -1, 2, -2, 3, 3, 3, 3]);
}

#[test]
fn f_r21_a_stream_that_is_dropped_is_closed() {
    let engine = FakeEngine::new();
    let hub = hub();
    let track = engine.track(TrackInfo::default());
    let (stream, number) = open(&hub, &track, FORMAT);
    drop(stream);
    track.push(&[1], 48_000, 1);
    assert_eq!(hub.take().index, [number, 0, 0, 0]);
    let closed = |call: &Call| matches!(call, Call::CloseStream { .. });
    assert!(engine.calls().iter().any(closed));
}

#[tokio::test]
async fn audio_that_is_none_is_refused_before_the_engine_sees_it() {
    let engine = FakeEngine::new();
    let track = engine.track(TrackInfo::default());
    for (sample_rate, channels, frame_size_ms) in [
        (48_000, 0, None),
        (0, 1, None),
        (48_000, 1, Some(0)),
        (11_025, 1, None),
    ] {
        let format = Format {
            sample_rate,
            channels,
        };
        let refused = AudioStream::open(track.clone(), format, frame_size_ms, vec![]);
        assert_eq!(code(refused), Code::ConfigInvalid);
    }
    for (rate, channels, queue) in [
        (0, 1, 100),
        (48_000, 0, 100),
        (48_000, 1, 15),
        (22_050, 1, 100),
    ] {
        let refused = AudioSource::new(&*engine, rate, channels, queue);
        assert_eq!(code(refused), Code::ConfigInvalid);
    }
    assert!(engine.calls().is_empty());
}

#[tokio::test]
async fn captures_reach_the_engine_in_the_order_of_the_calls() {
    let engine = FakeEngine::new();
    let source = Arc::new(AudioSource::new(&*engine, 48_000, 1, 100).expect("a source"));
    let captures: Vec<_> = (0..20)
        .map(|sample| source.capture(vec![sample; 480], 480).expect("it fits"))
        .collect();
    // First polled in the opposite order.
    let running: Vec<_> = captures.into_iter().rev().map(tokio::spawn).collect();
    for capture in running {
        capture.await.expect("it ends").expect("it is captured");
    }
    let calls = engine.calls();
    let captured: Vec<i16> = calls
        .iter()
        .filter_map(|call| match call {
            Call::Capture { samples, .. } => Some(samples[0]),
            _ => None,
        })
        .collect();
    assert_eq!(captured, (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn clearing_drops_what_waits_and_closing_refuses_it() {
    let engine = FakeEngine::new();
    let source = Arc::new(AudioSource::new(&*engine, 48_000, 1, 0).expect("a source"));
    let waiting = source.capture(vec![1; 480], 480).expect("it fits");
    source.clear().expect("it clears");
    waiting.await.expect("dropped frames are no failure");
    assert!(!engine
        .calls()
        .iter()
        .any(|call| matches!(call, Call::Capture { .. })));
    assert_eq!(code(source.capture(vec![1; 960], 960)), Code::ConfigInvalid);
    assert_eq!(code(source.capture(vec![1; 479], 480)), Code::ConfigInvalid);
    let waiting = source.capture(vec![1; 480], 480).expect("it fits");
    source.close();
    assert_eq!(code(waiting.await), Code::Closed);
    assert_eq!(code(source.capture(vec![1; 480], 480)), Code::Closed);
    assert_eq!(code(source.clear()), Code::Closed);
    assert_eq!(code(source.create_track("t")), Code::Closed);
}

#[tokio::test]
async fn closing_a_full_source_gives_up_the_captures_that_wait() {
    let engine = FakeEngine::new();
    let source = Arc::new(AudioSource::new(&*engine, 48_000, 1, 100).expect("a source"));
    engine.fill_sources();
    let under_way = tokio::spawn(source.capture(vec![1; 480], 480).expect("it fits"));
    let behind = tokio::spawn(source.capture(vec![2; 480], 480).expect("it fits"));
    engine
        .called(|call| matches!(call, Call::Capture { .. }))
        .await;
    source.close();
    assert_eq!(code(under_way.await.expect("it ends")), Code::Closed);
    assert_eq!(code(behind.await.expect("it ends")), Code::Closed);
}

#[tokio::test]
async fn f_r7_f_r16_a_source_nobody_can_hear_gives_up_what_waits_and_refuses_what_comes_until_it_is_published_again(
) {
    for (why, expected) in [
        (Stopped::RoomLeft, Code::RoomDisconnected),
        (Stopped::Unpublished, Code::Closed),
    ] {
        let engine = FakeEngine::new();
        let source = Arc::new(AudioSource::new(&*engine, 48_000, 1, 100).expect("a source"));
        engine.fill_sources();
        let under_way = tokio::spawn(source.capture(vec![1; 480], 480).expect("it fits"));
        let behind = tokio::spawn(source.capture(vec![2; 480], 480).expect("it fits"));
        engine
            .called(|call| matches!(call, Call::Capture { .. }))
            .await;
        source.stop(why);
        assert_eq!(code(under_way.await.expect("it ends")), expected);
        assert_eq!(code(behind.await.expect("it ends")), expected);
        assert_eq!(code(source.capture(vec![3; 480], 480)), expected);
        let cleared = |call: &Call| matches!(call, Call::Clear);
        assert!(engine.calls().iter().any(cleared), "nothing is left over");

        source.resume();
        assert!(source.capture(vec![4; 480], 480).is_ok());
        source.close();
        source.resume();
        source.stop(why);
        assert_eq!(code(source.capture(vec![5; 480], 480)), Code::Closed);
    }
}

#[tokio::test]
async fn captures_that_nobody_awaits_are_refused_at_a_limit() {
    let engine = FakeEngine::new();
    let source = Arc::new(AudioSource::new(&*engine, 48_000, 1, 100).expect("a source"));
    let waiting: Vec<_> = (0..1_000)
        .map(|_| source.capture(vec![0; 480], 480).expect("it fits"))
        .collect();
    assert_eq!(code(source.capture(vec![0; 480], 480)), Code::ConfigInvalid);
    drop(waiting);
    let free = source
        .capture(vec![0; 480], 480)
        .expect("places are given back");
    free.await.expect("it is captured");
}
