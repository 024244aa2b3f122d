//! Where each of the library's messages goes: an answer to its waiter, a room's event to that room, a frame to its stream.
//!
//! Decides what an event does before it is told: streams end, a reconnection gets a deadline. Refuses to do work in the
//! callback: it decodes, copies and enqueues; whatever can wait is left to the wire's errands.
#![allow(unsafe_code)]

use std::sync::Arc;

use prost::Message as _;
use tokio::task::AbortHandle;

use crate::engine::core::Core;
use crate::engine::events::{meaning, Meaning};
use crate::engine::join::joined;
use crate::engine::membership::leave_later;
use crate::engine::proto::ffi_event::Message as Event;
use crate::engine::proto::DisconnectReason;
use crate::engine::room::published;
use crate::engine::rooms::RECONNECT_DEADLINE;
use crate::engine::streams::Origin;
use crate::engine::{answer, logs, memory, proto, EngineEvent};

/// Everything the library has to say arrives here, on threads of the library.
pub(super) fn receive(core: &Arc<Core>, data: &[u8]) {
    if logs::unwanted(data) {
        return;
    }
    let Ok(event) = proto::FfiEvent::decode(data) else {
        tracing::error!("an event of the media library could not be decoded and is lost");
        return;
    };
    match event.message {
        None => {}
        Some(Event::RoomEvent(event)) => of_a_room(core, event),
        Some(Event::AudioStreamEvent(event)) => of_a_stream(core, event),
        Some(Event::Logs(batch)) => logs::forward(batch),
        Some(Event::Panic(_)) => {
            tracing::error!("the media library closed a room that was not taken over in time");
        }
        Some(event) => {
            let unclaimed = answer::id(&event).and_then(|id| core.wire.answered(id, event));
            match unclaimed {
                Some(event @ Event::Connect(_)) => drop(joined(core, event)),
                Some(event @ Event::PublishTrack(_)) => drop(published(core, event)),
                _ => {}
            }
        }
    }
}

fn of_a_room(core: &Arc<Core>, event: proto::RoomEvent) {
    let room = event.room_handle;
    let Some(message) = event.message else {
        return;
    };
    match meaning(core, room, message) {
        Meaning::Event(event) => deliver(core, room, event),
        Meaning::Ended(reason) => core.finish(room, reason),
        Meaning::Nothing => {}
    }
}

fn deliver(core: &Arc<Core>, room: u64, event: EngineEvent) {
    match &event {
        EngineEvent::TrackSubscribed {
            identity, track, ..
        } if core.rooms.is_open(room) => core.streams.begin_track(Origin {
            room: Some(room),
            identity: identity.clone(),
            sid: track.info().sid.clone(),
        }),
        EngineEvent::TrackUnsubscribed { sid, .. } => core.streams.end_track(room, sid),
        EngineEvent::ParticipantDisconnected { identity, .. } => {
            core.streams.end_participant(room, identity);
        }
        EngineEvent::Reconnecting => watch(core, room),
        _ => {}
    }
    if !core.rooms.deliver(room, event) {
        core.streams.end_room(room);
    }
}

/// Gives the room up if its reconnection takes too long.
fn watch(core: &Arc<Core>, room: u64) {
    let Some(runtime) = core.rooms.runtime(room) else {
        return;
    };
    let kept = Arc::downgrade(core);
    let wait = async move {
        tokio::time::sleep(RECONNECT_DEADLINE).await;
        if let Some(core) = kept.upgrade() {
            core.finish(room, Some(DisconnectReason::ConnectionTimeout));
            leave_later(&core, room, Vec::new());
        }
    };
    let deadline: AbortHandle = runtime.spawn(wait).abort_handle();
    core.rooms.set_deadline(room, deadline);
}

fn of_a_stream(core: &Core, event: proto::AudioStreamEvent) {
    use proto::audio_stream_event::Message;
    let stream = event.stream_handle;
    match event.message {
        Some(Message::FrameReceived(received)) => {
            let info = &received.frame.info;
            let length = u64::from(info.num_channels) * u64::from(info.samples_per_channel);
            // SAFETY: pointer and size are the frame's own; its handle is given back below, after the copy.
            let samples = unsafe { memory::slice::<i16>(info.data_ptr, length) };
            core.streams
                .frame(stream, samples, info.sample_rate, info.num_channels);
            core.wire.give_back(received.frame.handle.id);
        }
        Some(Message::Eos(_)) => core.streams.ended(stream),
        None => {}
    }
}
