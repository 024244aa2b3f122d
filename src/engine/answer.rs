//! The library's answers to requests, with what they hand over already owned.
//!
//! Decides which answers exist for us. Refuses none: an answer nobody waits for gives back what it holds.

use std::sync::Arc;

use crate::engine::abi::Handle;
use crate::engine::membership::Membership;
use crate::engine::proto::ffi_event::Message as Event;
use crate::engine::publication::Publication;
use crate::engine::router::Router;
use crate::engine::{convert, proto, ParticipantInfo, PublicationInfo, RoomInfo};

/// What became of a request.
pub(super) enum Answer {
    Done,
    /// Not done, for the library's reason: not to be shown as it is (see `refusal`).
    Failed(String),
    /// A room was reached.
    Joined(Box<Joined>),
    /// A track was published.
    Published(Handle, PublicationInfo),
}

/// A room that was reached. Dropping it leaves the room.
pub(super) struct Joined {
    pub(super) membership: Membership,
    pub(super) info: RoomInfo,
    pub(super) local: ParticipantInfo,
    pub(super) participants: Vec<(ParticipantInfo, Vec<Publication>)>,
}

fn done(async_id: u64, error: Option<String>) -> Option<(u64, Answer)> {
    Some((async_id, error.map_or(Answer::Done, Answer::Failed)))
}

/// The answer in `event` and the id of the request it answers.
pub(super) fn of(router: &Arc<Router>, event: Event) -> Option<(u64, Answer)> {
    match event {
        Event::Connect(callback) => Some((callback.async_id, joined(router, callback.message))),
        Event::PublishTrack(callback) => {
            Some((callback.async_id, published(router, callback.message)))
        }
        Event::Disconnect(callback) => done(callback.async_id, None),
        Event::UnpublishTrack(callback) => done(callback.async_id, callback.error),
        Event::PublishData(callback) => done(callback.async_id, callback.error),
        Event::CaptureAudioFrame(callback) => done(callback.async_id, callback.error),
        Event::SetLocalMetadata(callback) => done(callback.async_id, callback.error),
        Event::SetLocalName(callback) => done(callback.async_id, callback.error),
        Event::SetLocalAttributes(callback) => done(callback.async_id, callback.error),
        Event::SimulateScenario(callback) => done(callback.async_id, callback.error),
        _ => None,
    }
}

fn joined(router: &Arc<Router>, message: Option<proto::connect_callback::Message>) -> Answer {
    use proto::connect_callback::Message;
    let result = match message {
        Some(Message::Result(result)) => result,
        Some(Message::Error(error)) => return Answer::Failed(error),
        None => return Answer::Failed("it gave no reason".into()),
    };
    let membership = Membership::new(
        Handle::own(router, result.room.handle.id),
        Handle::own(router, result.local_participant.handle.id),
    );
    let room = membership.room();
    let participants = result.participants.into_iter().map(|entry| {
        // Participants are named by identity here, so their handles are not needed.
        drop(Handle::own(router, entry.participant.handle.id));
        let publications = entry.publications.into_iter();
        (
            convert::participant(entry.participant.info),
            publications
                .map(|publication| Publication::remote(router, room, publication))
                .collect(),
        )
    });
    Answer::Joined(Box::new(Joined {
        info: convert::room(result.room.info),
        local: convert::participant(result.local_participant.info),
        participants: participants.collect(),
        membership,
    }))
}

fn published(
    router: &Arc<Router>,
    message: Option<proto::publish_track_callback::Message>,
) -> Answer {
    use proto::publish_track_callback::Message;
    match message {
        Some(Message::Publication(publication)) => Answer::Published(
            Handle::own(router, publication.handle.id),
            convert::publication(publication.info),
        ),
        Some(Message::Error(error)) => Answer::Failed(error),
        None => Answer::Failed("it gave no reason".into()),
    }
}
