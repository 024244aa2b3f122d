//! Two participants and their ears: the real engine, joins against a real livekit-server, tones and their measure.
#![allow(dead_code, missing_docs, clippy::panic)] // each test binary uses a part of it

use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Once};
use std::time::Duration;

use roomhook::engine::{
    AudioSink, AudioSourceOptions, AudioStreamOptions, ConnectOptions, Connected,
    EngineAudioSource, EngineError, EngineEvent, EnginePublication, EngineRoom, EngineTrack,
    NativeEngine, Pending, PublishOptions, RoomAnswer, RoomEngine, RoomRequest,
};
use tokio::sync::mpsc;

use crate::support::LiveKitServer;

pub const RATE: u32 = 48_000;
pub const MICROPHONE: i32 = 2;
/// No wait on loopback is meant to take this long; it turns a hang into a failure.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn engine() -> Arc<NativeEngine> {
    static PLACE: Once = Once::new();
    PLACE.call_once(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        roomhook::engine::set_library_dir(root.join(".cache/engine"));
    });
    NativeEngine::new()
}

pub fn options() -> ConnectOptions {
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

pub async fn join(server: &LiveKitServer, room: &str, identity: &str) -> Connected {
    join_with(server, room, identity, options()).await
}

pub async fn join_with(
    server: &LiveKitServer,
    room: &str,
    identity: &str,
    options: ConnectOptions,
) -> Connected {
    let token = server.join_token(room, identity);
    let url = server.url();
    let joined = engine().connect(url.as_str(), &token, options).await;
    joined.expect("the join")
}

/// Within the patience, or a panic that says what was waited for.
pub async fn soon<T>(what: &str, wait: impl std::future::Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, wait).await {
        Ok(value) => value,
        Err(_) => panic!("waited for {what} in vain"),
    }
}

/// The first event that `wanted` answers something for; events before it are passed over.
pub async fn event<T>(
    what: &str,
    connected: &mut Connected,
    mut wanted: impl FnMut(EngineEvent) -> Option<T>,
) -> T {
    soon(what, async {
        loop {
            let event = connected.events.recv().await;
            let event = event.unwrap_or_else(|| panic!("the events ended before {what}"));
            if let Some(found) = wanted(event) {
                return found;
            }
        }
    })
    .await
}

/// Waits until `identity` is announced: before that, changes of it are part of the announcement and no events.
pub async fn announced(connected: &mut Connected, identity: &str) {
    event("another participant", connected, |event| match event {
        EngineEvent::ParticipantConnected { participant } => {
            (participant.identity == identity).then_some(())
        }
        _ => None,
    })
    .await;
}

/// All events up to the end; fails unless `Disconnected` is the last and the only one. Answers its reason.
pub async fn end(connected: &mut Connected) -> i32 {
    soon("the end of the events", async {
        let mut reasons = Vec::new();
        while let Some(event) = connected.events.recv().await {
            assert!(reasons.is_empty(), "an event after `Disconnected`");
            if let EngineEvent::Disconnected { reason } = event {
                reasons.push(reason);
            }
        }
        assert_eq!(reasons.len(), 1, "expected one `Disconnected`");
        reasons[0]
    })
    .await
}

pub fn source(queue_size_ms: u32) -> Arc<dyn EngineAudioSource> {
    engine()
        .audio_source(AudioSourceOptions {
            sample_rate: RATE,
            num_channels: 1,
            queue_size_ms,
        })
        .expect("a source")
}

pub fn microphone() -> PublishOptions {
    PublishOptions {
        source: Some(MICROPHONE),
        ..PublishOptions::default()
    }
}

/// Publishes a track; the request is made at once.
pub fn publishing(
    room: &dyn EngineRoom,
    track: &Arc<dyn EngineTrack>,
    options: PublishOptions,
) -> impl Future<Output = Result<Arc<dyn EnginePublication>, EngineError>> {
    let track = track.clone();
    let answer = room.request(RoomRequest::PublishTrack { track, options });
    async move {
        match answer.await? {
            RoomAnswer::Published(publication) => Ok(publication),
            _ => panic!("nothing was published"),
        }
    }
}

pub fn taking_back(room: &dyn EngineRoom, sid: &str) -> Pending<RoomAnswer> {
    let sid = sid.to_owned();
    room.request(RoomRequest::UnpublishTrack { sid, stop: true })
}

pub fn simulating(room: &dyn EngineRoom, scenario: i32) -> Pending<RoomAnswer> {
    room.request(RoomRequest::SimulateScenario(scenario))
}

/// `length` samples of a sine from sample `from` on.
pub fn tone(hz: f64, peak: f64, rate: u32, from: usize, length: usize) -> Vec<i16> {
    (from..from + length)
        .map(|at| {
            let phase = at as f64 * hz * std::f64::consts::TAU / f64::from(rate);
            (phase.sin() * peak) as i16
        })
        .collect()
}

/// Captures a 440 Hz tone of 8000 peak in 20 ms frames until it is aborted.
pub fn play(source: Arc<dyn EngineAudioSource>) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let length = RATE as usize / 50;
        let mut at = 0;
        loop {
            let frame = tone(440.0, 8_000.0, RATE, at, length);
            at += length;
            if source.capture(frame, length as u32).await.is_err() {
                return;
            }
        }
    })
}

/// What a sink hears.
pub enum Heard {
    Frame(Vec<i16>, u32, u32),
    End,
}

pub struct Ear(mpsc::UnboundedSender<Heard>);

impl Ear {
    pub fn new() -> (Arc<Ear>, mpsc::UnboundedReceiver<Heard>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Arc::new(Ear(sender)), receiver)
    }
}

impl AudioSink for Ear {
    fn frame(&self, samples: &[i16], sample_rate: u32, num_channels: u32) {
        let frame = Heard::Frame(samples.to_vec(), sample_rate, num_channels);
        let _ = self.0.send(frame);
    }

    fn end(&self) {
        let _ = self.0.send(Heard::End);
    }
}

pub fn ten_ms() -> AudioStreamOptions {
    AudioStreamOptions {
        sample_rate: RATE,
        num_channels: 1,
        frame_size_ms: None,
        queue_size_frames: 50,
    }
}

pub async fn subscribed(connected: &mut Connected) -> Arc<dyn EngineTrack> {
    event("a subscribed track", connected, |event| match event {
        EngineEvent::TrackSubscribed { track, .. } => Some(track),
        _ => None,
    })
    .await
}

/// The next `length` samples.
pub async fn listen(heard: &mut mpsc::UnboundedReceiver<Heard>, length: usize) -> Vec<i16> {
    soon("audio", async {
        let mut samples = Vec::new();
        while samples.len() < length {
            match heard.recv().await {
                Some(Heard::Frame(frame, ..)) => samples.extend_from_slice(&frame),
                Some(Heard::End) | None => panic!("the stream ended early"),
            }
        }
        samples
    })
    .await
}

/// Listens until one second of `channels` at `rate` is a tone of this pitch (within 2 Hz) and level (within 3 %). On a
/// busy machine packets come late, and what the library plays in their place is no measure of us.
pub async fn hear_tone(
    heard: &mut mpsc::UnboundedReceiver<Heard>,
    (rate, channels): (u32, usize),
    (pitch, level): (f64, f64),
) {
    let mut last = (0.0, 0.0);
    for _ in 0..15 {
        let samples = listen(heard, rate as usize * channels).await;
        let left: Vec<i16> = samples.iter().step_by(channels).copied().collect();
        last = (frequency(&left, rate), rms(&left));
        if (last.0 - pitch).abs() < 2.0 && (last.1 - level).abs() < level * 0.03 {
            return;
        }
    }
    panic!("expected {pitch} Hz at {level}, heard {last:?}");
}

pub fn rms(samples: &[i16]) -> f64 {
    let sum: f64 = samples.iter().map(|&s| f64::from(s) * f64::from(s)).sum();
    (sum / samples.len() as f64).sqrt()
}

/// The frequency by counting where the signal crosses zero upwards.
pub fn frequency(samples: &[i16], rate: u32) -> f64 {
    let crossings = samples
        .windows(2)
        .filter(|pair| pair[0] < 0 && pair[1] >= 0)
        .count();
    crossings as f64 * f64::from(rate) / samples.len() as f64
}
