//! What the media library is never sent: it is built to abort the process on a panic, so a bad input would end Node.
//!
//! Decides the ranges of every argument that reaches the library. Refuses with a sentence that says what was expected
//! and what came; a URL, a token or a sid is never part of it.

use url::Url;

use crate::engine::AudioSourceOptions;
use crate::engine::AudioStreamOptions;
use crate::engine::ConnectOptions;
use crate::engine::EngineError;
use crate::engine::PublishOptions;

/// The library paces and mixes in steps of this many milliseconds.
pub(super) const TICK_MS: u32 = 10;

const RATES: std::ops::RangeInclusive<u32> = 8_000..=192_000;
const MAX_CHANNELS: u32 = 2;
const MAX_QUEUE_MS: u32 = 600_000;
const MAX_FRAME_MS: u32 = 1_000;
const MAX_QUEUE_FRAMES: u32 = 10_000;
const MAX_JOIN_RETRIES: u32 = 100;
const MAX_CONNECT_TIMEOUT_MS: u64 = 600_000;
const BITRATES: std::ops::RangeInclusive<u64> = 500..=10_000_000;
const LAST_SCENARIO: i32 = 8;

fn refuse(message: String) -> Result<(), EngineError> {
    Err(EngineError::Invalid(message))
}

fn one_of(
    what: &str,
    value: Option<i32>,
    known: std::ops::RangeInclusive<i32>,
) -> Result<(), EngineError> {
    match value {
        Some(value) if !known.contains(&value) => refuse(format!(
            "{what}: expected one of {} to {}, got {value}",
            known.start(),
            known.end()
        )),
        _ => Ok(()),
    }
}

/// The arguments of a join.
pub(super) fn connect(url: &str, token: &str, options: &ConnectOptions) -> Result<(), EngineError> {
    let known = Url::parse(url)
        .is_ok_and(|url| matches!(url.scheme(), "ws" | "wss" | "http" | "https") && url.has_host());
    if !known {
        return refuse(
            "the server URL is not usable: expected ws://host[:port] or wss://host[:port]".into(),
        );
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.=".contains(&byte);
    if token.is_empty() || !token.bytes().all(plain) {
        return refuse(
            "the token is not usable: expected a LiveKit access token (three base64url parts joined by dots)"
                .into(),
        );
    }
    if options.join_retries > MAX_JOIN_RETRIES {
        return refuse(format!(
            "join retries: expected 0 to {MAX_JOIN_RETRIES}, got {}",
            options.join_retries
        ));
    }
    if !(1..=MAX_CONNECT_TIMEOUT_MS).contains(&options.connect_timeout_ms) {
        return refuse(format!(
            "connect timeout: expected 1 to {MAX_CONNECT_TIMEOUT_MS} ms, got {}",
            options.connect_timeout_ms
        ));
    }
    if let Some(rtc) = &options.rtc_config {
        one_of("ICE transport type", rtc.ice_transport_type, 0..=2)?;
        one_of(
            "continual gathering policy",
            rtc.continual_gathering_policy,
            0..=1,
        )?;
    }
    Ok(())
}

fn format(sample_rate: u32, num_channels: u32) -> Result<(), EngineError> {
    if !RATES.contains(&sample_rate) {
        return refuse(format!(
            "sample rate: expected {} to {} Hz, got {sample_rate}",
            RATES.start(),
            RATES.end()
        ));
    }
    if !(1..=MAX_CHANNELS).contains(&num_channels) {
        return refuse(format!("channels: expected 1 or 2, got {num_channels}"));
    }
    Ok(())
}

/// How a source is set up.
pub(super) fn audio_source(options: AudioSourceOptions) -> Result<(), EngineError> {
    format(options.sample_rate, options.num_channels)?;
    if options.queue_size_ms > MAX_QUEUE_MS || !options.queue_size_ms.is_multiple_of(TICK_MS) {
        return refuse(format!(
            "queue size of an audio source: expected a multiple of {TICK_MS} ms from 0 to {MAX_QUEUE_MS}, got {}",
            options.queue_size_ms
        ));
    }
    if options.queue_size_ms == 0 && !options.sample_rate.is_multiple_of(1_000 / TICK_MS) {
        return refuse(format!(
            "an audio source without a queue takes {TICK_MS} ms frames: expected a sample rate divisible by 100, got {}",
            options.sample_rate
        ));
    }
    Ok(())
}

/// How a stream is cut.
pub(super) fn audio_stream(options: AudioStreamOptions) -> Result<(), EngineError> {
    format(options.sample_rate, options.num_channels)?;
    if let Some(length) = options.frame_size_ms {
        let whole = (u64::from(options.sample_rate) * u64::from(length)).is_multiple_of(1_000);
        if !(1..=MAX_FRAME_MS).contains(&length) || !whole {
            return refuse(format!(
                "frame size: expected 1 to {MAX_FRAME_MS} ms that hold a whole number of samples at {} Hz, got {length}",
                options.sample_rate
            ));
        }
    }
    if !(1..=MAX_QUEUE_FRAMES).contains(&options.queue_size_frames) {
        return refuse(format!(
            "queue size of an audio stream: expected 1 to {MAX_QUEUE_FRAMES} frames, got {}",
            options.queue_size_frames
        ));
    }
    Ok(())
}

/// One frame for a source.
pub(super) fn frame(
    source: AudioSourceOptions,
    samples: usize,
    samples_per_channel: u32,
) -> Result<(), EngineError> {
    let channels = source.num_channels as usize;
    if samples != samples_per_channel as usize * channels {
        return refuse(format!(
            "audio frame: expected {samples_per_channel} samples for each of {channels} channel(s), got {samples} in all"
        ));
    }
    let tick = (source.sample_rate / (1_000 / TICK_MS)) as usize * channels;
    if source.queue_size_ms == 0 && !samples.is_multiple_of(tick) {
        return refuse(format!(
            "audio frame for a source without a queue: expected a multiple of {TICK_MS} ms ({tick} samples), got {samples}"
        ));
    }
    Ok(())
}

/// A track sid as the library parses it.
pub(super) fn track_sid(sid: &str) -> Result<(), EngineError> {
    if sid.starts_with("TR_") {
        return Ok(());
    }
    refuse("the track's sid is not usable: expected the TR_… sid of a published track".into())
}

/// How a track is published.
pub(super) fn publish(options: &PublishOptions) -> Result<(), EngineError> {
    one_of("track source", options.source, 0..=4)?;
    match options.audio_max_bitrate {
        Some(bitrate) if !BITRATES.contains(&bitrate) => refuse(format!(
            "audio bitrate: expected {} to {} bit/s, got {bitrate}",
            BITRATES.start(),
            BITRATES.end()
        )),
        _ => Ok(()),
    }
}

/// A scenario to simulate.
pub(super) fn scenario(scenario: i32) -> Result<(), EngineError> {
    one_of("scenario", Some(scenario), 0..=LAST_SCENARIO)
}
