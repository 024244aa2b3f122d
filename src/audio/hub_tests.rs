//! The hub without a clock: who is rung when, what is taken together, what is dropped, what ends.

use super::*;
use proptest::prelude::*;

const MONO: Format = Format {
    sample_rate: 48_000,
    channels: 1,
};

const USUAL: LaneOptions = LaneOptions {
    frame_size_ms: None,
    capacity_frames: 9,
    max_delay_ms: None,
};

struct Desk {
    hub: Arc<FrameHub>,
    /// How long each ring was to wait.
    rings: Arc<Mutex<Vec<u64>>>,
}

fn desk() -> Desk {
    let rings = Arc::new(Mutex::new(Vec::new()));
    let told = rings.clone();
    let hub = FrameHub::new(move |after| told.lock().push(after.as_millis() as u64));
    Desk { hub, rings }
}

impl Desk {
    fn lanes(&self, count: usize) -> Vec<Lane> {
        (0..count).map(|_| self.hub.open(USUAL)).collect()
    }

    fn rings(&self) -> Vec<u64> {
        std::mem::take(&mut *self.rings.lock())
    }
}

/// The entries of a batch: stream, format, samples.
fn entries(batch: &Batch) -> Vec<(u32, [u32; 3], Vec<i16>)> {
    let mut samples = batch.samples.iter().copied();
    let entries = batch.index.chunks_exact(INDEX_WIDTH).map(|entry| {
        let length = (entry[1] * entry[2]) as usize;
        let samples = samples.by_ref().take(length).collect();
        (entry[0], [entry[1], entry[2], entry[3]], samples)
    });
    let entries = entries.collect();
    assert_eq!(samples.next(), None, "every sample belongs to an entry");
    entries
}

#[test]
fn frames_of_all_streams_are_taken_together_after_one_ring() {
    let desk = desk();
    let mut lanes = desk.lanes(2);
    let stereo = Format {
        sample_rate: 16_000,
        channels: 2,
    };
    lanes[0].frame(&[1, -1], MONO);
    lanes[1].frame(&[2, 3, -2, i16::MIN, 4, 5], stereo);
    lanes[0].frame(&[7], MONO);
    lanes[0].end();
    assert_eq!(desk.rings(), [1]);
    assert_eq!(
        entries(&desk.hub.take()),
        [
            (1, [2, 1, 48_000], vec![1, -1]),
            (1, [1, 1, 48_000], vec![7]),
            (1, [0; 3], vec![]),
            (2, [3, 2, 16_000], vec![2, 3, -2, i16::MIN, 4, 5]),
        ]
    );
    assert_eq!(desk.hub.take(), Batch::default());
    lanes[1].frame(&[1], MONO);
    assert_eq!(desk.rings(), [0], "the other stream is alone now");
}

#[test]
fn f_r2_nobody_waits_longer_than_a_moment_at_any_number_of_streams_unless_asked_to() {
    for (streams, expected) in [
        (1, 0),
        (2, 1),
        (16, 1),
        (17, 1),
        (50, 1),
        (119, 1),
        (1_000, 1),
    ] {
        let desk = desk();
        let mut lanes = desk.lanes(streams);
        for _ in 0..3 {
            for lane in &mut lanes {
                lane.frame(&[1; 48], MONO);
            }
            assert_eq!(desk.rings(), [expected], "{streams} streams");
            while !desk.hub.take().index.is_empty() {}
            desk.rings();
        }
    }
}

#[test]
fn the_most_impatient_stream_decides_and_none_waits_longer_than_the_frames_it_holds() {
    let patient = |capacity_frames, frame_size_ms| LaneOptions {
        capacity_frames,
        frame_size_ms,
        max_delay_ms: Some(100),
    };
    for (options, expected) in [
        (vec![patient(100, None)], 100),
        (vec![patient(100, None), USUAL], 1),
        (vec![patient(2, None)], 20),
        (vec![patient(2, Some(40))], 80),
    ] {
        let desk = desk();
        let open = |options: &LaneOptions| desk.hub.open(*options);
        let mut lanes: Vec<Lane> = options.iter().map(open).collect();
        lanes[0].frame(&[1], MONO);
        assert_eq!(desk.rings(), [expected], "{options:?}");
    }
}

#[test]
fn a_consumer_that_does_not_answer_is_rung_once_and_loses_the_oldest_frames_of_each_stream() {
    let desk = desk();
    let mut lanes = desk.lanes(2);
    let dropped = lanes[0].dropped();
    lanes[1].frame(&[100; 3], MONO);
    for sample in 1..=12 {
        lanes[0].frame(&[sample; 3], MONO);
    }
    assert_eq!(desk.rings(), [1]);
    assert_eq!(dropped.load(Ordering::Relaxed), 3);
    assert_eq!(
        lanes[1].dropped().load(Ordering::Relaxed),
        0,
        "others do not pay for it"
    );
    let taken = entries(&desk.hub.take());
    let first: Vec<i16> = taken.iter().map(|(_, _, samples)| samples[0]).collect();
    assert_eq!(first, [100, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    lanes[0].frame(&[1], MONO);
    assert_eq!(desk.rings(), [1], "it is rung again after it answered");
}

#[test]
fn what_is_too_much_for_one_batch_follows_at_once_and_every_stream_gets_its_turn() {
    let desk = desk();
    let patient = LaneOptions {
        capacity_frames: 1_000,
        ..USUAL
    };
    let mut lanes = [desk.hub.open(patient), desk.hub.open(patient)];
    for lane in &mut lanes {
        for _ in 0..BATCH_FRAMES + 1 {
            lane.frame(&[1], MONO);
        }
    }
    let streams = |batch: Batch| -> Vec<u32> {
        let entries = batch.index.chunks(INDEX_WIDTH);
        let mut streams: Vec<u32> = entries.map(|entry| entry[0]).collect();
        streams.dedup();
        streams
    };
    assert_eq!(desk.rings(), [1]);
    assert_eq!(streams(desk.hub.take()), [1]);
    assert_eq!(desk.rings(), [0]);
    assert_eq!(streams(desk.hub.take()), [2]);
    assert_eq!(streams(desk.hub.take()), [1, 2]);
    assert_eq!(desk.rings(), [0]);

    lanes[0].frame(&vec![1; BATCH_SAMPLES + 7], MONO);
    lanes[0].frame(&[2], MONO);
    assert_eq!(desk.hub.take().samples.len(), BATCH_SAMPLES + 7);
    assert_eq!(desk.hub.take().samples, [2]);
}

#[test]
fn a_lane_that_is_dropped_before_its_end_leaves_nothing_and_a_closed_hub_takes_nothing_in() {
    let desk = desk();
    let mut lanes = desk.lanes(2);
    lanes[0].frame(&[1], MONO);
    drop(lanes.remove(0));
    assert_eq!(desk.hub.take(), Batch::default());
    desk.hub.close();
    lanes[0].frame(&[1], MONO);
    lanes[0].end();
    assert_eq!(desk.hub.take(), Batch::default());
}

proptest! {
    #[test]
    fn every_frame_is_taken_in_order_or_counted(
        capacity_frames in 1u32..5,
        steps in prop::collection::vec((0usize..4, 1usize..4), 0..300),
    ) {
        let desk = desk();
        let options = LaneOptions { capacity_frames, ..USUAL };
        let mut lanes: Vec<Lane> = (0..3).map(|_| desk.hub.open(options)).collect();
        let mut sent = [0i16; 3];
        let mut got: [Vec<i16>; 3] = Default::default();
        let take = |got: &mut [Vec<i16>; 3]| {
            for (stream, _, samples) in entries(&desk.hub.take()) {
                got[stream as usize - 1].push(samples[0]);
            }
        };
        for (stream, length) in steps {
            // The fourth stands for the consumer.
            if stream == 3 {
                take(&mut got);
                continue;
            }
            sent[stream] += 1;
            lanes[stream].frame(&vec![sent[stream]; length], MONO);
            let waiting = desk.hub.state.lock().lanes[&lanes[stream].stream()].frames.len();
            prop_assert!(waiting <= capacity_frames as usize);
        }
        take(&mut got);
        for (stream, lane) in lanes.iter().enumerate() {
            prop_assert!(got[stream].windows(2).all(|pair| pair[0] < pair[1]), "out of order");
            let dropped = lane.dropped().load(Ordering::Relaxed) as usize;
            prop_assert_eq!(got[stream].len() + dropped, sent[stream] as usize);
        }
    }
}
