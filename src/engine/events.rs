//! What the library's room events mean in our words.
//!
//! Decides which events exist for us and takes ownership of what they carry. Refuses to let anything slip: objects in
//! events we have no use for are given back here.
#![allow(unsafe_code)]
// The `Err` of the functions below is no error: it is the message, handed on to the next of them.
#![allow(clippy::result_large_err)]

use std::sync::Arc;

use crate::engine::core::Core;
use crate::engine::proto::data_packet_received::Value;
use crate::engine::proto::room_event::Message;
use crate::engine::proto::DisconnectReason;
use crate::engine::publication::Publication;
use crate::engine::track::Track;
use crate::engine::wire::Handle;
use crate::engine::{convert, memory, proto, refusal, EngineEvent};

/// What to do about an event.
#[allow(clippy::large_enum_variant)] // it lives for one call
pub(super) enum Meaning {
    Event(EngineEvent),
    /// The room has ended, for this reason if the library gave one.
    Ended(Option<DisconnectReason>),
    Nothing,
}

/// The meaning of one event of `room`.
pub(super) fn meaning(core: &Arc<Core>, room: u64, message: Message) -> Meaning {
    let event = match message {
        Message::Disconnected(event) => return Meaning::Ended(Some(event.reason())),
        Message::Eos(_) => return Meaning::Ended(None),
        Message::DataPacketReceived(packet) => data(core, packet),
        Message::ByteStreamOpened(event) => give_back(core, event.reader.handle.id),
        Message::TextStreamOpened(event) => give_back(core, event.reader.handle.id),
        Message::DataTrackPublished(event) => give_back(core, event.track.handle.id),
        message => of_a_track(core, room, message)
            .or_else(|message| of_a_participant(core, message))
            .or_else(of_the_room)
            .ok(),
    };
    event.map_or(Meaning::Nothing, Meaning::Event)
}

fn give_back(core: &Core, handle: u64) -> Option<EngineEvent> {
    core.wire.give_back(handle);
    None
}

fn data(core: &Core, packet: proto::DataPacketReceived) -> Option<EngineEvent> {
    let (identity, kind) = (packet.participant_identity, packet.kind);
    match packet.value? {
        Value::User(user) => {
            let buffer = &user.data.data;
            // SAFETY: pointer and size are the packet's own; its handle is given back below, after the copy.
            let bytes = unsafe { memory::slice::<u8>(buffer.data_ptr, buffer.data_len) };
            let payload = bytes::Bytes::copy_from_slice(bytes);
            core.wire.give_back(user.data.handle.id);
            Some(EngineEvent::DataReceived {
                identity,
                length: payload.len(),
                payload,
                topic: user.topic,
                kind,
            })
        }
        Value::SipDtmf(dtmf) => Some(EngineEvent::DtmfReceived {
            identity,
            code: dtmf.code,
            digit: dtmf.digit,
        }),
    }
}

/// An event about a track, or the message back.
fn of_a_track(core: &Arc<Core>, room: u64, message: Message) -> Result<EngineEvent, Message> {
    Ok(match message {
        Message::LocalTrackPublished(event) => EngineEvent::LocalTrackPublished {
            sid: event.track_sid,
        },
        Message::LocalTrackUnpublished(event) => EngineEvent::LocalTrackUnpublished {
            sid: event.publication_sid,
        },
        Message::LocalTrackRepublished(event) => EngineEvent::LocalTrackRepublished {
            previous_sid: event.previous_sid,
            publication: convert::publication(event.info),
        },
        Message::LocalTrackSubscribed(event) => EngineEvent::LocalTrackSubscribed {
            sid: event.track_sid,
        },
        Message::TrackPublished(event) => EngineEvent::TrackPublished {
            identity: event.participant_identity,
            publication: Arc::new(Publication::remote(core, room, event.publication)),
        },
        Message::TrackUnpublished(event) => EngineEvent::TrackUnpublished {
            identity: event.participant_identity,
            sid: event.publication_sid,
        },
        Message::TrackSubscribed(event) => EngineEvent::TrackSubscribed {
            track: Arc::new(Track::remote(
                core,
                room,
                &event.participant_identity,
                event.track,
            )),
            handle: 0,
            identity: event.participant_identity,
        },
        Message::TrackUnsubscribed(event) => EngineEvent::TrackUnsubscribed {
            identity: event.participant_identity,
            sid: event.track_sid,
        },
        Message::TrackSubscriptionFailed(event) => EngineEvent::TrackSubscriptionFailed {
            identity: event.participant_identity,
            sid: event.track_sid,
            error: refusal::told(&event.error),
        },
        Message::TrackMuted(event) => EngineEvent::TrackMuted {
            identity: event.participant_identity,
            sid: event.track_sid,
        },
        Message::TrackUnmuted(event) => EngineEvent::TrackUnmuted {
            identity: event.participant_identity,
            sid: event.track_sid,
        },
        message => return Err(message),
    })
}

/// An event about a participant, or the message back.
fn of_a_participant(core: &Arc<Core>, message: Message) -> Result<EngineEvent, Message> {
    Ok(match message {
        Message::ParticipantConnected(event) => {
            // Participants are named by identity here, so the handle is not needed.
            drop(Handle::own(&core.wire, event.info.handle.id));
            EngineEvent::ParticipantConnected {
                participant: convert::participant(event.info.info),
            }
        }
        Message::ParticipantActive(event) => EngineEvent::ParticipantActive {
            identity: event.participant_identity,
        },
        Message::ParticipantDisconnected(event) => EngineEvent::ParticipantDisconnected {
            identity: event.participant_identity,
            reason: event.disconnect_reason,
        },
        Message::ParticipantsUpdated(event) => EngineEvent::ParticipantsUpdated {
            participants: event
                .participants
                .into_iter()
                .map(convert::participant)
                .collect(),
        },
        Message::ParticipantMetadataChanged(event) => EngineEvent::ParticipantMetadataChanged {
            identity: event.participant_identity,
            metadata: event.metadata,
        },
        Message::ParticipantNameChanged(event) => EngineEvent::ParticipantNameChanged {
            identity: event.participant_identity,
            name: event.name,
        },
        Message::ParticipantAttributesChanged(event) => EngineEvent::ParticipantAttributesChanged {
            identity: event.participant_identity,
            attributes: convert::attributes(event.attributes),
            changed: convert::attributes(event.changed_attributes),
        },
        Message::ParticipantPermissionChanged(event) => EngineEvent::ParticipantPermissionChanged {
            identity: event.participant_identity,
            permission: event.permission.map(convert::permission),
        },
        Message::ParticipantEncryptionStatusChanged(event) => {
            EngineEvent::ParticipantEncryptionStatusChanged {
                identity: event.participant_identity,
                is_encrypted: event.is_encrypted,
            }
        }
        Message::ConnectionQualityChanged(event) => EngineEvent::ConnectionQualityChanged {
            identity: event.participant_identity,
            quality: event.quality,
        },
        message => return Err(message),
    })
}

/// An event about the room itself, or the message back.
fn of_the_room(message: Message) -> Result<EngineEvent, Message> {
    Ok(match message {
        Message::ActiveSpeakersChanged(event) => EngineEvent::ActiveSpeakersChanged {
            identities: event.participant_identities,
        },
        Message::RoomMetadataChanged(event) => EngineEvent::RoomMetadataChanged {
            metadata: event.metadata,
        },
        Message::RoomSidChanged(event) => EngineEvent::RoomSidChanged { sid: event.sid },
        Message::RoomUpdated(info) => EngineEvent::RoomUpdated {
            room: convert::room(info),
        },
        Message::Moved(info) => EngineEvent::Moved {
            room: convert::room(info),
        },
        Message::ConnectionStateChanged(event) => {
            EngineEvent::ConnectionStateChanged { state: event.state }
        }
        Message::Reconnecting(_) => EngineEvent::Reconnecting,
        Message::Reconnected(_) => EngineEvent::Reconnected,
        Message::TokenRefreshed(_) => EngineEvent::TokenRefreshed,
        message => return Err(message),
    })
}
