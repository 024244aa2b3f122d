//! Streams and sources over the fake engine: one batch a tick, what is dropped, what ends, what is refused.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::engine::fake::Call;
use crate::engine::fake::FakeEngine;
use crate::engine::TrackInfo;
use crate::error::Code;
use crate::error::Error;

fn code<T>(result: Result<T, RoomError>) -> Code {
    match result {
        Ok(_) => panic!("the call succeeded"),
        Err(error) => Error::from(error).code,
    }
}

struct Bell {
    hub: Arc<FrameHub>,
    rings: Arc<AtomicUsize>,
}

fn bell() -> Bell {
    let rings = Arc::new(AtomicUsize::new(0));
    let counter = rings.clone();
    let hub = FrameHub::new(move || {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    Bell { hub, rings }
}

const STREAM: StreamOptions = StreamOptions {
    sample_rate: 48_000,
    num_channels: 1,
    frame_size_ms: None,
    capacity_frames: 3,
};

#[tokio::test(start_paused = true)]
async fn all_streams_are_emptied_in_one_batch_a_tick() {
    let engine = FakeEngine::new();
    let Bell { hub, rings } = bell();
    let mut batch = FrameBatch::default();
    let tracks: Vec<_> = (0..5).map(|_| engine.track(TrackInfo::default())).collect();
    let streams: Vec<_> = tracks
        .iter()
        .map(|track| AudioStream::open(&hub, track.clone(), STREAM).expect("it opens"))
        .collect();
    for tick in 1..=20 {
        for (number, track) in tracks.iter().enumerate() {
            track.push(&[number as i16; 480], 48_000, 1);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(rings.load(Ordering::SeqCst), tick, "one ring a tick");
        hub.take(&mut batch);
        assert_eq!(batch.index.len(), 5 * INDEX_WIDTH);
        assert_eq!(batch.samples.len(), 5 * 480);
        for (number, entry) in batch.index.chunks(INDEX_WIDTH).enumerate() {
            assert_eq!(entry[0], streams[number].number() as i32);
            assert_eq!(entry[2..], [480, 1, 48_000]);
            assert_eq!(batch.samples[entry[1] as usize], number as i16);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_does_not_answer_is_rung_once_and_loses_the_oldest_frames() {
    let engine = FakeEngine::new();
    let Bell { hub, rings } = bell();
    let track = engine.track(TrackInfo::default());
    let stream = AudioStream::open(&hub, track.clone(), STREAM).expect("it opens");
    for sample in 0..10 {
        track.push(&[sample; 4], 48_000, 2);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(rings.load(Ordering::SeqCst), 1);
    assert_eq!(stream.dropped_frames(), 7);
    let mut batch = FrameBatch::default();
    hub.take(&mut batch);
    assert_eq!(batch.samples, [7, 7, 7, 7, 8, 8, 8, 8, 9, 9, 9, 9]);
    assert_eq!(batch.index[..INDEX_WIDTH], [1, 0, 2, 2, 48_000]);
    track.push(&[1; 4], 48_000, 1);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(
        rings.load(Ordering::SeqCst),
        2,
        "it is rung again after it answered"
    );
}

#[tokio::test(start_paused = true)]
async fn a_closed_stream_hands_over_what_waits_then_its_end() {
    let engine = FakeEngine::new();
    let Bell { hub, rings } = bell();
    let track = engine.track(TrackInfo::default());
    let stream = AudioStream::open(&hub, track.clone(), STREAM).expect("it opens");
    track.push(&[1; 480], 48_000, 1);
    stream.close();
    stream.close();
    track.push(&[2; 480], 48_000, 1);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(rings.load(Ordering::SeqCst), 1);
    let mut batch = FrameBatch::default();
    hub.take(&mut batch);
    assert_eq!(batch.index, [1, 0, 480, 1, 48_000, 1, 0, 0, 0, 0]);
    hub.take(&mut batch);
    assert!(batch.index.is_empty());
    let again = AudioStream::open(&hub, track.clone(), STREAM).expect("it opens");
    track.push(&[3; 480], 48_000, 1);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(rings.load(Ordering::SeqCst), 2, "the ticker runs again");
    hub.take(&mut batch);
    assert_eq!(batch.index[0], again.number() as i32);
}

#[tokio::test]
async fn audio_that_is_none_is_refused_before_the_engine_sees_it() {
    let engine = FakeEngine::new();
    let hub = bell().hub;
    let track = engine.track(TrackInfo::default());
    for options in [
        StreamOptions {
            num_channels: 0,
            ..STREAM
        },
        StreamOptions {
            sample_rate: 0,
            ..STREAM
        },
        StreamOptions {
            frame_size_ms: Some(0),
            ..STREAM
        },
    ] {
        let refused = AudioStream::open(&hub, track.clone(), options);
        assert_eq!(code(refused), Code::ConfigInvalid);
    }
    for (rate, channels, queue) in [(0, 1, 100), (48_000, 0, 100), (48_000, 1, 15)] {
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
