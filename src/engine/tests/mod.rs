//! The engine against a scripted library: what every file here needs.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use crate::engine::core::Core;
use crate::engine::join::join as join_room;
use crate::engine::proto::ffi_event::Message as Event;
use crate::engine::proto::ffi_request::Message as Ask;
use crate::engine::{
    proto, ConnectOptions, Connected, EngineError, EngineEvent, EngineTrack, EventReceiver,
    PublishOptions, RoomAnswer, RoomRequest,
};
use script::{say, Script};

mod leaving;
mod rooms;
mod script;
mod sources;
mod streams;
mod subscriptions;

const ROOM: u64 = 1;

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

fn connect_id(ask: &Ask) -> Option<u64> {
    match ask {
        Ask::Connect(request) => request.request_async_id,
        _ => None,
    }
}

fn disconnect_id(ask: &Ask) -> Option<u64> {
    match ask {
        Ask::Disconnect(request) => request.request_async_id,
        _ => None,
    }
}

fn capture_id(ask: &Ask) -> Option<u64> {
    match ask {
        Ask::CaptureAudioFrame(request) => request.request_async_id,
        _ => None,
    }
}

fn publish_id(ask: &Ask) -> Option<u64> {
    match ask {
        Ask::PublishTrack(request) => request.request_async_id,
        _ => None,
    }
}

/// Polls a future once, so that what it sends first is sent.
async fn start(future: &mut (impl std::future::Future + Unpin)) {
    tokio::select! {
        biased;
        _ = future => panic!("the future ended too early"),
        () = std::future::ready(()) => {}
    }
}

fn publishing(track: &Arc<dyn EngineTrack>) -> RoomRequest {
    RoomRequest::PublishTrack {
        track: track.clone(),
        options: PublishOptions::default(),
    }
}

fn taking_back(sid: &str) -> RoomRequest {
    RoomRequest::UnpublishTrack {
        sid: sid.to_owned(),
        stop: true,
    }
}

/// The sid of what was published.
fn sid_of(answer: Result<RoomAnswer, EngineError>) -> String {
    match answer.unwrap() {
        RoomAnswer::Published(publication) => publication.info().sid.clone(),
        _ => panic!("nothing was published"),
    }
}

async fn join(script: &Script, core: &Arc<Core>) -> Connected {
    let mut joining = Box::pin(join_room(core, "ws://host", "token", options()));
    start(&mut joining).await;
    say(
        core,
        script::joined(script.request("the join", 1, connect_id)),
    );
    joining.await.unwrap()
}

fn left(async_id: u64) -> Event {
    Event::Disconnect(proto::DisconnectCallback { async_id })
}

/// The names of all events until the channel closes, which must be soon.
async fn names(events: &mut EventReceiver) -> Vec<String> {
    let all = async {
        let mut names = Vec::new();
        while let Some(event) = events.recv().await {
            names.push(match event {
                EngineEvent::Disconnected { reason } => format!("disconnected {reason}"),
                EngineEvent::ConnectionStateChanged { state } => format!("state {state}"),
                EngineEvent::Reconnecting => "reconnecting".into(),
                EngineEvent::Reconnected => "reconnected".into(),
                _ => "other".into(),
            });
        }
        names
    };
    let all = tokio::time::timeout(Duration::from_secs(20), all).await;
    all.expect("the events end")
}
