//! Streams and sources over the fake engine: one batch a tick, what is dropped, what ends, what is refused.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::audio::INDEX_WIDTH;
use crate::engine::fake::{Call, FakeEngine};
use crate::engine::TrackInfo;
use crate::error::{Code, Error};

fn code<T>(result: Result<T, RoomError>) -> Code {
    match result {
        Ok(_) => panic!("the call succeeded"),
        Err(error) => Error::from(error).code,
    }
}

/// Everything that waits: the samples, one frame after the other, and the index.
fn take(hub: &FrameHub) -> (Vec<i16>, Vec<u32>) {
    let (mut samples, mut numbers, mut more) = (vec![], vec![], true);
    while more {
        let index: Vec<_> = (0..1_000).map(|_| AtomicU32::new(0)).collect();
        let taken = hub.take(&index);
        for slot in index.chunks(INDEX_WIDTH).take(taken.entries) {
            let numbers_of = slot.iter().map(|number| number.load(Ordering::Relaxed));
            let entry: Vec<u32> = numbers_of.collect();
            if let Some(piece) = taken.piece.as_deref() {
                samples.extend(piece.read(entry[1] as usize, (entry[2] * entry[3]) as usize));
            }
            numbers.extend(entry);
        }
        more = taken.more;
    }
    (samples, numbers)
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
    max_delay_ms: None,
};

#[tokio::test(start_paused = true)]
async fn all_streams_are_emptied_in_one_batch_a_tick() {
    let engine = FakeEngine::new();
    let Bell { hub, rings } = bell();
    let tracks: Vec<_> = (0..5).map(|_| engine.track(TrackInfo::default())).collect();
    let streams: Vec<_> = tracks
        .iter()
        .map(|track| AudioStream::open(&hub, track.clone(), STREAM).expect("it opens"))
        .collect();
    // As long as they lie in one piece of memory.
    for tick in 1..=13 {
        for (number, track) in tracks.iter().enumerate() {
            track.push(&[number as i16; 480], 48_000, 1);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(rings.load(Ordering::SeqCst), tick, "one ring a tick");
        let (samples, index) = take(&hub);
        assert_eq!(index.len(), 5 * INDEX_WIDTH);
        assert_eq!(samples.len(), 5 * 480);
        for (number, entry) in index.chunks(INDEX_WIDTH).enumerate() {
            assert_eq!(entry[0], streams[number].number());
            assert_eq!(entry[2..], [480, 1, 48_000]);
            assert_eq!(samples[480 * number], number as i16);
        }
    }
    for track in &tracks {
        track.push(&[7; 480], 48_000, 1);
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
    let (samples, _) = take(&hub);
    assert_eq!(samples, [7; 5 * 480]);
    assert_eq!(
        rings.load(Ordering::SeqCst),
        15,
        "one more for the rest, at once"
    );
}

/// How often a consumer is woken in 400 ms, and whether its streams lost nothing.
async fn rings(streams: &[StreamOptions]) -> (usize, bool) {
    let engine = FakeEngine::new();
    let Bell { hub, rings } = bell();
    let track = engine.track(TrackInfo::default());
    let open = |options: &StreamOptions| AudioStream::open(&hub, track.clone(), *options);
    let streams: Vec<_> = streams.iter().flat_map(open).collect();
    for _ in 0..40 {
        track.push(&[1; 480], 48_000, 1);
        let rung = rings.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(10)).await;
        if rings.load(Ordering::SeqCst) > rung {
            take(&hub);
        }
    }
    let lost = streams.iter().any(|stream| stream.dropped_frames() > 0);
    (rings.load(Ordering::SeqCst), !lost)
}

#[tokio::test(start_paused = true)]
async fn a_consumer_is_woken_as_often_as_its_most_impatient_stream_asks() {
    let stream = |capacity_frames, max_delay_ms| StreamOptions {
        capacity_frames,
        max_delay_ms,
        ..STREAM
    };
    let usual = stream(100, None);
    let patient = stream(100, Some(100));
    // A full piece of memory costs one ring more.
    for (streams, expected) in [
        (vec![usual; 16], 38..=44),
        (vec![usual; 17], 6..=9),
        (vec![usual; 40], 13..=17),
        (vec![patient], 4..=5),
        (vec![patient, usual], 38..=42),
        (
            [vec![usual; 17], vec![stream(100, Some(20))]].concat(),
            18..=23,
        ),
        // Two frames are all it holds.
        (vec![stream(2, Some(100)); 17], 18..=23),
    ] {
        let (rings, whole) = rings(&streams).await;
        let asked = streams.last().and_then(|stream| stream.max_delay_ms);
        assert!(expected.contains(&rings), "{rings} rings, {asked:?}");
        assert!(whole, "frames were lost, {asked:?}");
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
    let (samples, index) = take(&hub);
    assert_eq!(samples, [7, 7, 7, 7, 8, 8, 8, 8, 9, 9, 9, 9]);
    assert_eq!(index[..INDEX_WIDTH], [1, 7 * 4, 2, 2, 48_000]);
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
    let (_, index) = take(&hub);
    assert_eq!(index, [1, 0, 480, 1, 48_000, 1, 0, 0, 0, 0]);
    let (_, index) = take(&hub);
    assert!(index.is_empty());
    let again = AudioStream::open(&hub, track.clone(), STREAM).expect("it opens");
    track.push(&[3; 480], 48_000, 1);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(rings.load(Ordering::SeqCst), 2, "the ticker runs again");
    let (_, index) = take(&hub);
    assert_eq!(index[0], again.number());
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
