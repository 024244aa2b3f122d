//! Joining a room: what is asked, what the answer holds, and taking it over.
//!
//! Decides how long a join may take. **A room that was reached and that nobody takes over is left again.**

use std::sync::Arc;
use std::time::Duration;

use crate::engine::answer::{failed, misunderstood};
use crate::engine::core::Core;
use crate::engine::membership::Membership;
use crate::engine::proto::ffi_event::Message as Event;
use crate::engine::proto::ffi_request::Message as Ask;
use crate::engine::publication::Publication;
use crate::engine::room::Room;
use crate::engine::wire::Handle;
use crate::engine::{
    convert, proto, ConnectOptions, Connected, EngineError, EnginePublication, ParticipantInfo,
    RoomInfo, RtcConfig,
};

/// What the library adds to a connection attempt: it waits this long for the peer connection.
const PEER_DEADLINE: Duration = Duration::from_secs(15);

/// A room that was reached. Dropping it leaves the room.
pub(super) struct Joined {
    membership: Membership,
    info: RoomInfo,
    local: ParticipantInfo,
    participants: Vec<(ParticipantInfo, Vec<Publication>)>,
}

/// The room that was reached, of the answer to joining.
pub(super) fn joined(core: &Arc<Core>, event: Event) -> Result<Joined, EngineError> {
    use proto::connect_callback::Message;
    let Event::Connect(callback) = event else {
        return Err(misunderstood());
    };
    let result = match callback.message {
        Some(Message::Result(result)) => result,
        Some(Message::Error(error)) => return failed(Some(error)),
        None => return failed(None),
    };
    let (room, local) = (result.room, result.local_participant);
    let membership = Membership::new(core, room.handle.id, local.handle.id);
    let participants = result.participants.into_iter().map(|entry| {
        // Participants are named by identity here, so their handles are not needed.
        drop(Handle::own(&core.wire, entry.participant.handle.id));
        let publications = entry.publications.into_iter();
        let publications = publications
            .map(|publication| Publication::remote(core, membership.room(), publication))
            .collect();
        (convert::participant(entry.participant.info), publications)
    });
    Ok(Joined {
        info: convert::room(room.info),
        local: convert::participant(local.info),
        participants: participants.collect(),
        membership,
    })
}

fn rtc_config(config: RtcConfig) -> proto::RtcConfig {
    proto::RtcConfig {
        ice_transport_type: config.ice_transport_type,
        continual_gathering_policy: config.continual_gathering_policy,
        ice_servers: config
            .ice_servers
            .into_iter()
            .map(|server| proto::IceServer {
                urls: server.urls,
                username: Some(server.username).filter(|name| !name.is_empty()),
                password: Some(server.password).filter(|password| !password.is_empty()),
            })
            .collect(),
    }
}

fn room_options(options: ConnectOptions) -> proto::RoomOptions {
    proto::RoomOptions {
        auto_subscribe: Some(options.auto_subscribe),
        adaptive_stream: Some(options.adaptive_stream),
        dynacast: Some(options.dynacast),
        join_retries: Some(options.join_retries),
        connect_timeout_ms: Some(options.connect_timeout_ms),
        single_peer_connection: Some(options.single_peer_connection),
        rtc_config: options.rtc_config.map(rtc_config),
        other_sdks: Some(concat!("roomhook:", env!("CARGO_PKG_VERSION")).into()),
        ..Default::default()
    }
}

/// Installs the room's route, tells the library to let its events flow, and hands everything over.
fn take_over(core: &Arc<Core>, joined: Joined) -> Result<Connected, EngineError> {
    let room = joined.membership.room();
    let events = core.rooms.open(room, &joined.local);
    let ready = Ask::ReadyForRoomEvent(proto::ReadyForRoomEventRequest { room_handle: room });
    core.wire.call("let the room's events flow", ready)?;
    let participants = joined.participants.into_iter().map(|(info, publications)| {
        let publications = publications
            .into_iter()
            .map(|publication| Arc::new(publication) as Arc<dyn EnginePublication>)
            .collect();
        (info, publications)
    });
    Ok(Connected {
        events,
        info: joined.info,
        participants: participants.collect(),
        room: Arc::new(Room::new(core, joined.membership, &joined.local.identity)),
        local: joined.local,
    })
}

/// Joins, with the arguments checked and the library loaded.
pub(super) async fn join(
    core: &Arc<Core>,
    url: &str,
    token: &str,
    options: ConnectOptions,
) -> Result<Connected, EngineError> {
    let attempt = Duration::from_millis(options.connect_timeout_ms) + PEER_DEADLINE;
    let deadline = attempt * (options.join_retries + 1);
    let ask = |id| {
        Ask::Connect(proto::ConnectRequest {
            url: url.to_owned(),
            token: token.to_owned(),
            options: room_options(options),
            request_async_id: Some(id),
        })
    };
    let reading = core.clone();
    let read = move |event| joined(&reading, event);
    let answer = core.wire.ask("join the room", deadline, None, ask, read);
    take_over(core, answer.await?)
}
