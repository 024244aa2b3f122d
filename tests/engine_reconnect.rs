//! Faults: what the library can act out, and a real server that dies. A room comes back or ends, and ends once.
#![allow(clippy::panic)]

mod engine_support;
mod support;

use std::time::Duration;

use bytes::Bytes;
use engine_support::{end, event, join, simulating, soon};
use roomhook::engine::{Connected, DataPacket, EngineError, EngineEvent, RoomRequest};
use support::LiveKitServer;

const CLIENT_INITIATED: i32 = 1;
const SERVER_SHUTDOWN: i32 = 3;
const SPEAKER: i32 = 1;
const SERVER_LEAVE: i32 = 3;
const FORCE_TLS: i32 = 6;
/// Signal reconnect, node failure, migration, force TCP, full reconnect, disconnect signal on resume.
const SURVIVED: [i32; 6] = [0, 2, 4, 5, 7, 8];

async fn reconnected(connected: &mut Connected) {
    for what in ["reconnecting", "reconnected"] {
        event(what, connected, |event| match event {
            EngineEvent::Reconnecting if what == "reconnecting" => Some(()),
            EngineEvent::Reconnected if what == "reconnected" => Some(()),
            EngineEvent::Disconnected { reason } => panic!("disconnected ({reason})"),
            _ => None,
        })
        .await;
    }
}

/// Sends a packet and waits until the other has it.
async fn data_flows(from: &Connected, to: &mut Connected) {
    let packet = DataPacket {
        payload: Bytes::from_static(b"still here"),
        reliable: true,
        topic: None,
        destination_identities: Vec::new(),
    };
    let sending = from.room.request(RoomRequest::PublishData(packet));
    sending.await.expect("sent");
    let payload = event("the data", to, |event| match event {
        EngineEvent::DataReceived { payload, .. } => Some(payload),
        _ => None,
    })
    .await;
    assert_eq!(payload.as_ref(), b"still here");
}

#[tokio::test]
async fn a_room_survives_every_simulated_fault_and_data_flows_after() {
    let server = LiveKitServer::start();
    for scenario in SURVIVED {
        let room = format!("fault-{scenario}");
        let mut faulty = join(&server, &room, "faulty").await;
        let mut other = join(&server, &room, "other").await;
        let simulating = simulating(&*faulty.room, scenario);
        soon("the simulation", simulating).await.expect("simulated");
        reconnected(&mut faulty).await;
        // A full reconnection joins anew; the other must see the newcomer before it can be heard.
        data_flows(&faulty, &mut other).await;
        data_flows(&other, &mut faulty).await;
        faulty.room.disconnect().await.expect("left");
        assert_eq!(end(&mut faulty).await, CLIENT_INITIATED);
    }
}

#[tokio::test]
async fn a_server_that_sends_us_away_ends_the_room() {
    let server = LiveKitServer::start();
    let mut agent = join(&server, "leave", "agent").await;
    simulating(&*agent.room, SPEAKER).await.expect("no fault");
    simulating(&*agent.room, SERVER_LEAVE).await.expect("asked");
    assert_eq!(end(&mut agent).await, SERVER_SHUTDOWN);
    let closed = simulating(&*agent.room, SPEAKER).await;
    assert!(matches!(closed, Err(EngineError::Closed(_))));
    agent.room.disconnect().await.expect("harmless");
}

#[tokio::test]
async fn a_room_can_be_left_while_it_reconnects_without_hope() {
    let server = LiveKitServer::start();
    let mut agent = join(&server, "tls", "agent").await;
    simulating(&*agent.room, FORCE_TLS).await.expect("asked");
    event("the reconnection", &mut agent, |event| match event {
        EngineEvent::Reconnecting => Some(()),
        _ => None,
    })
    .await;
    soon("leaving", agent.room.disconnect())
        .await
        .expect("left");
    assert_eq!(end(&mut agent).await, CLIENT_INITIATED);
}

#[tokio::test]
async fn a_room_comes_back_when_the_server_does() {
    let mut server = LiveKitServer::start();
    let mut agent = join(&server, "restart", "agent").await;
    server.kill();
    event("the loss", &mut agent, |event| match event {
        EngineEvent::Reconnecting => Some(()),
        _ => None,
    })
    .await;
    server.launch();
    event("the return", &mut agent, |event| match event {
        EngineEvent::Reconnected => Some(()),
        EngineEvent::Disconnected { reason } => panic!("disconnected ({reason})"),
        _ => None,
    })
    .await;
    agent.room.disconnect().await.expect("left");
}

#[tokio::test]
async fn a_server_that_stays_away_ends_the_room_by_itself() {
    let mut server = LiveKitServer::start();
    let mut agent = join(&server, "away", "agent").await;
    server.kill();
    // The library gives up after 20 to 25 s.
    let ended = async {
        while let Some(event) = agent.events.recv().await {
            if matches!(event, EngineEvent::Disconnected { .. }) {
                return agent.events.recv().await.is_none();
            }
        }
        false
    };
    let ended = tokio::time::timeout(Duration::from_secs(60), ended).await;
    assert!(ended.expect("the room ends"), "`Disconnected` comes last");
}
