//! The options of rooms and publications as they cross: complete objects from `ts/room/options.ts`, whose numbers are
//! checked again here. It knows no default.

use napi_derive::napi;

use super::convert;
use crate::engine::{ConnectOptions, IceServer, PublishOptions, RtcConfig};
use crate::error::Error;

/// How a room is joined, complete.
#[napi(object)]
pub struct NativeConnectOptions {
    pub auto_subscribe: bool,
    pub adaptive_stream: bool,
    pub dynacast: bool,
    pub join_retries: f64,
    pub connect_timeout_ms: f64,
    pub single_peer_connection: bool,
    pub rtc_config: Option<NativeRtcConfig>,
}

/// ICE settings.
#[napi(object)]
pub struct NativeRtcConfig {
    pub ice_transport_type: Option<f64>,
    pub continual_gathering_policy: Option<f64>,
    pub ice_servers: Vec<NativeIceServer>,
}

/// One ICE server.
#[napi(object)]
pub struct NativeIceServer {
    pub urls: Vec<String>,
    pub username: String,
    pub password: String,
}

/// How a track is published; what is left out is the library's choice.
#[napi(object)]
pub struct NativePublishOptions {
    pub audio_max_bitrate: Option<f64>,
    pub dtx: Option<bool>,
    pub red: Option<bool>,
    pub source: Option<f64>,
    pub stream: Option<String>,
    pub preconnect_buffer: Option<bool>,
}

pub(super) fn connect_options(options: NativeConnectOptions) -> Result<ConnectOptions, Error> {
    Ok(ConnectOptions {
        auto_subscribe: options.auto_subscribe,
        adaptive_stream: options.adaptive_stream,
        dynacast: options.dynacast,
        join_retries: convert::integer(options.join_retries, "options.joinRetries", 0..=100)?,
        connect_timeout_ms: convert::integer(
            options.connect_timeout_ms,
            "options.connectTimeoutMs",
            1..=600_000,
        )?,
        single_peer_connection: options.single_peer_connection,
        rtc_config: options.rtc_config.map(rtc_config).transpose()?,
    })
}

fn rtc_config(config: NativeRtcConfig) -> Result<RtcConfig, Error> {
    let choice = |value: Option<f64>, path: &str, last: i64| {
        value
            .map(|value| convert::integer::<i32>(value, path, 0..=last))
            .transpose()
    };
    Ok(RtcConfig {
        ice_transport_type: choice(
            config.ice_transport_type,
            "options.rtcConfig.iceTransportType",
            2,
        )?,
        continual_gathering_policy: choice(
            config.continual_gathering_policy,
            "options.rtcConfig.continualGatheringPolicy",
            1,
        )?,
        ice_servers: config
            .ice_servers
            .into_iter()
            .map(|server| IceServer {
                urls: server.urls,
                username: server.username,
                password: server.password,
            })
            .collect(),
    })
}

pub(super) fn publish_options(options: NativePublishOptions) -> Result<PublishOptions, Error> {
    Ok(PublishOptions {
        audio_max_bitrate: options
            .audio_max_bitrate
            .map(|rate| convert::unsigned(rate, "options.audioEncoding.maxBitrate"))
            .transpose()?,
        dtx: options.dtx,
        red: options.red,
        source: options
            .source
            .map(|source| convert::integer(source, "options.source", 0..=4))
            .transpose()?,
        stream: options.stream,
        preconnect_buffer: options.preconnect_buffer,
    })
}
