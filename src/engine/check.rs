//! What the media library is never sent: it is built to abort the process on a panic, so a bad input would end Node.
//!
//! Decides the ranges of every argument that reaches the library. Refuses with a sentence that says what was expected
//! and what came; a URL, a token or a sid is never part of it.

use url::Url;

use crate::audio::{check_frame_size, check_queue_size, Format, FormatError};
use crate::engine::{
    AudioSourceOptions, AudioStreamOptions, ConnectOptions, DataPacket, EngineError, IceServer,
    PublishOptions,
};

/// The library paces and mixes in steps of this many milliseconds.
pub(super) const TICK_MS: u32 = 10;

const MAX_QUEUE_FRAMES: u32 = 10_000;
const MAX_JOIN_RETRIES: u32 = 100;
const MAX_CONNECT_TIMEOUT_MS: u64 = 600_000;
/// What Opus can do.
const BITRATES: std::ops::RangeInclusive<u64> = 6_000..=510_000;
const LAST_SCENARIO: i32 = 8;
/// The library sends no message that is longer, whatever the server would take (rust-sdks
/// livekit/src/rtc_engine/rtc_session.rs `DEFAULT_MAX_MESSAGE_SIZE`).
pub(super) const MAX_MESSAGE_BYTES: usize = 64_000;
/// What a message holds besides payload, topic and identities: field tags and lengths, a sequence number, our sid.
const FRAMING_BYTES: usize = 100;
const FRAMING_OF_ONE: usize = 4;

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
        for server in &rtc.ice_servers {
            ice_server(server)?;
        }
    }
    Ok(())
}

/// The library refuses the whole join for one of these, and does not say why.
fn ice_server(server: &IceServer) -> Result<(), EngineError> {
    let starts = |url: &str, schemes: [&str; 2]| {
        let scheme = url.split_once(':').map(|(scheme, _)| scheme);
        scheme.is_some_and(|scheme| schemes.contains(&scheme))
    };
    for url in &server.urls {
        let turn = starts(url, ["turn", "turns"]);
        if !turn && !starts(url, ["stun", "stuns"]) {
            return refuse("ICE server: expected a URL of stun:, stuns:, turn: or turns:".into());
        }
        if turn && (server.username.is_empty() || server.password.is_empty()) {
            return refuse("ICE server: expected a username and a credential for turn:".into());
        }
    }
    Ok(())
}

fn audio<T>(checked: Result<T, FormatError>) -> Result<T, EngineError> {
    checked.map_err(|error| EngineError::Invalid(error.to_string()))
}

/// How a source is set up.
pub(super) fn audio_source(options: AudioSourceOptions) -> Result<(), EngineError> {
    audio(Format::new(options.sample_rate, options.num_channels))?;
    audio(check_queue_size(options.queue_size_ms)).map(drop)
}

/// How a stream is cut.
pub(super) fn audio_stream(options: AudioStreamOptions) -> Result<(), EngineError> {
    audio(Format::new(options.sample_rate, options.num_channels))?;
    audio(options.frame_size_ms.map(check_frame_size).transpose())?;
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
    let format = audio(Format::new(source.sample_rate, source.num_channels))?;
    audio(format.check_frame(samples, samples_per_channel))?;
    let tick = (format.sample_rate / (1_000 / TICK_MS) * format.channels) as usize;
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

/// A packet of data from `sender`.
pub(super) fn data(packet: &DataPacket, sender: &str) -> Result<(), EngineError> {
    let topic = packet.topic.as_ref().map_or(0, String::len);
    let to = packet.destination_identities.iter();
    let to: usize = to.map(|identity| identity.len() + FRAMING_OF_ONE).sum();
    let beside = FRAMING_BYTES + sender.len() + topic + to;
    let length = packet.payload.len();
    if beside + length > MAX_MESSAGE_BYTES {
        let most = MAX_MESSAGE_BYTES.saturating_sub(beside);
        return refuse(format!(
            "data: expected at most {most} bytes beside this topic and these destinations (a message is at most \
             {MAX_MESSAGE_BYTES} bytes long), got {length}; send it in pieces"
        ));
    }
    Ok(())
}

/// A scenario to simulate.
pub(super) fn scenario(scenario: i32) -> Result<(), EngineError> {
    one_of("scenario", Some(scenario), 0..=LAST_SCENARIO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::RtcConfig;

    const STREAM: AudioStreamOptions = AudioStreamOptions {
        sample_rate: 48_000,
        num_channels: 1,
        frame_size_ms: None,
        queue_size_frames: 10,
    };

    fn options() -> ConnectOptions {
        ConnectOptions {
            auto_subscribe: true,
            adaptive_stream: false,
            dynacast: false,
            join_retries: 0,
            connect_timeout_ms: 1_000,
            single_peer_connection: true,
            rtc_config: None,
        }
    }

    #[test]
    fn inputs_that_would_abort_the_process_are_refused() {
        let source = |sample_rate, num_channels, queue_size_ms| {
            audio_source(AudioSourceOptions {
                sample_rate,
                num_channels,
                queue_size_ms,
            })
            .is_ok()
        };
        assert!(source(48_000, 1, 1_000) && source(44_100, 2, 10) && source(16_000, 1, 0));
        for (rate, channels, queue) in [
            (48_000, 0, 1_000),
            (48_000, 3, 1_000),
            (48_000, 1, 15),
            (48_000, 1, 600_010),
            (0, 1, 1_000),
            (7_999, 1, 1_000),
            (192_001, 1, 1_000),
            (22_050, 1, 10),
        ] {
            assert!(!source(rate, channels, queue), "{rate} {channels} {queue}");
        }
        let stream = |num_channels, frame_size_ms, queue_size_frames| {
            audio_stream(AudioStreamOptions {
                num_channels,
                frame_size_ms,
                queue_size_frames,
                ..STREAM
            })
            .is_ok()
        };
        assert!(stream(1, None, 1) && stream(2, Some(20), 10_000));
        for (channels, length, queue) in [
            (0, Some(20), 1),
            (1, Some(0), 1),
            (1, Some(1_001), 1),
            (1, None, 0),
        ] {
            assert!(
                !stream(channels, length, queue),
                "{channels} {length:?} {queue}"
            );
        }
        assert!(track_sid("TR_x").is_ok() && track_sid("PA_x").is_err());
        assert!(scenario(8).is_ok() && scenario(9).is_err() && scenario(-1).is_err());
        let bitrate = |audio_max_bitrate| PublishOptions {
            audio_max_bitrate,
            ..Default::default()
        };
        assert!(publish(&bitrate(None)).is_ok() && publish(&bitrate(Some(64_000))).is_ok());
        assert!(publish(&bitrate(Some(1))).is_err());
        let source = PublishOptions {
            source: Some(5),
            ..Default::default()
        };
        assert!(publish(&source).is_err());
    }

    #[test]
    fn f_r18_a_packet_is_at_most_as_long_as_a_message_with_its_topic_and_destinations() {
        let packet = |length, topic: &str, to: &[&str]| DataPacket {
            payload: vec![0; length].into(),
            reliable: true,
            topic: (!topic.is_empty()).then(|| topic.to_owned()),
            destination_identities: to.iter().map(|&to| to.to_owned()).collect(),
        };
        assert!(data(&packet(63_895, "", &[]), "agent").is_ok());
        assert!(data(&packet(63_896, "", &[]), "agent").is_err());
        assert!(data(&packet(63_895, "t", &[]), "agent").is_err());
        assert!(data(&packet(63_885, "t", &["alice"]), "agent").is_ok());
        let refused = data(&packet(70_000, "", &[]), "agent").unwrap_err();
        assert!(refused.to_string().contains("64000 bytes"), "{refused}");
        assert!(data(&packet(0, &"t".repeat(70_000), &[]), "agent").is_err());
    }

    #[test]
    fn a_frame_must_fit_its_source() {
        let source = |num_channels, queue_size_ms| AudioSourceOptions {
            sample_rate: 48_000,
            num_channels,
            queue_size_ms,
        };
        assert!(frame(source(2, 1_000), 960, 480).is_ok());
        assert!(frame(source(2, 1_000), 961, 480).is_err());
        assert!(frame(source(1, 1_000), 7, 7).is_ok());
        assert!(frame(source(1, 0), 960, 960).is_ok());
        assert!(frame(source(1, 0), 481, 481).is_err());
    }

    #[test]
    fn a_join_needs_a_websocket_url_a_plain_token_and_known_settings() {
        let check = |url, token, options: &ConnectOptions| connect(url, token, options).is_ok();
        assert!(check("wss://host:7880/path", "a.b-c_d.e", &options()));
        for url in ["", "host", "ftp://host", "ws://", "ws://host:99999"] {
            assert!(!check(url, "a.b.c", &options()), "{url}");
        }
        for token in ["", "a b", "a\nb", "é"] {
            assert!(!check("ws://host", token, &options()), "{token}");
        }
        let retries = ConnectOptions {
            join_retries: 101,
            ..options()
        };
        let timeout = ConnectOptions {
            connect_timeout_ms: 0,
            ..options()
        };
        let ice = |ice_transport_type, continual_gathering_policy| ConnectOptions {
            rtc_config: Some(RtcConfig {
                ice_transport_type,
                continual_gathering_policy,
                ice_servers: Vec::new(),
            }),
            ..options()
        };
        assert!(check("ws://host", "t", &ice(Some(2), Some(1))));
        let served = |url: &str, username: &str| {
            let mut options = ice(None, None);
            let server = IceServer {
                urls: vec![url.to_owned()],
                username: username.to_owned(),
                password: "p".to_owned(),
            };
            let rtc = options.rtc_config.as_mut().expect("just set");
            rtc.ice_servers.push(server);
            check("ws://host", "t", &options)
        };
        assert!(served("stun:host", "") && served("turns:host:443", "u"));
        assert!(!served("turn:host", "") && !served("http://host", "u") && !served("", "u"));
        for bad in [retries, timeout, ice(Some(3), None), ice(None, Some(-1))] {
            assert!(!check("ws://host", "t", &bad));
        }
    }
}
