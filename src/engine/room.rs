//! A joined room: what the local participant does there.
//!
//! Decides which message each request is and how long its answer is waited for. Refuses inputs the library would abort on
//! or misread, what the server would drop without a word, and every request after the room ended.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{join_all, FutureExt};
use tokio::sync::{OnceCell, OwnedSemaphorePermit};
use tokio_util::sync::CancellationToken;

use crate::engine::answer::{done, failed, misunderstood};
use crate::engine::core::Core;
use crate::engine::membership::Membership;
use crate::engine::proto::ffi_event::Message as Event;
use crate::engine::proto::ffi_request::Message as Ask;
use crate::engine::publication::Publication;
use crate::engine::publish_gate::{PublishGate, PATIENCE};
use crate::engine::track::Track;
use crate::engine::wire::Handle;
use crate::engine::{
    check, convert, proto, DataPacket, EngineError, EnginePublication, EngineRoom, EngineTrack,
    Pending, PublishOptions, RoomAnswer, RoomRequest,
};

/// A little longer than the library's own deadline of 10 s, so that its reason is the one that is reported.
const PUBLISH_DEADLINE: Duration = Duration::from_secs(11);
/// Longer than the 15 s the library waits for a peer connection before it gives up on sending.
const DATA_DEADLINE: Duration = Duration::from_secs(20);
const UPDATE_DEADLINE: Duration = Duration::from_secs(10);

pub(super) struct Room {
    core: Arc<Core>,
    membership: Membership,
    /// Our identity, which every packet of data carries.
    identity: String,
    gate: PublishGate,
    /// Set once the tracks were taken back to leave the room.
    emptied: OnceCell<()>,
    ended: CancellationToken,
}

impl Room {
    pub(super) fn new(core: &Arc<Core>, membership: Membership, identity: &str) -> Room {
        Room {
            core: core.clone(),
            identity: identity.to_owned(),
            gate: PublishGate::new(),
            emptied: OnceCell::new(),
            ended: core.rooms.ended(membership.room()),
            membership,
        }
    }

    /// Asks at once. The answer is waited for as long as the room lasts: the library waits for its own deadlines after that.
    fn ask<T: Send + 'static>(
        &self,
        what: &'static str,
        deadline: Duration,
        permit: Option<OwnedSemaphorePermit>,
        ask: impl FnOnce(u64) -> Ask,
        read: impl FnOnce(Event) -> Result<T, EngineError> + Send + 'static,
    ) -> impl Future<Output = Result<T, EngineError>> + Send + 'static {
        let answer = self.core.wire.ask(what, deadline, permit, ask, read);
        let ended = self.ended.clone();
        async move {
            let answer = ended.run_until_cancelled(answer).await;
            answer.unwrap_or_else(|| {
                Err(EngineError::Closed(format!(
                    "the room ended before it could {what}"
                )))
            })
        }
    }

    fn ask_done(
        &self,
        what: &'static str,
        deadline: Duration,
        ask: impl FnOnce(u64) -> Ask,
    ) -> Pending<RoomAnswer> {
        let answer = self.ask(what, deadline, None, ask, done);
        async move { answer.await.map(|()| RoomAnswer::Done) }.boxed()
    }

    fn taking_back(
        &self,
        track_sid: &str,
        stop: bool,
    ) -> Result<impl FnOnce(u64) -> Ask, EngineError> {
        let local_participant_handle = self.membership.local()?;
        let track_sid = track_sid.to_owned();
        Ok(move |id| {
            Ask::UnpublishTrack(proto::UnpublishTrackRequest {
                local_participant_handle,
                track_sid,
                stop_on_unpublish: stop,
                request_async_id: Some(id),
            })
        })
    }

    /// Takes every track back before the room is left. The library does so too, but goes before the server has answered,
    /// and then keeps five threads of the room for the ten seconds it waits for that.
    async fn empty(&self) {
        let settled = self.gate.end().await;
        let room = self.membership.room();
        let taking_back = self.core.rooms.published_in(room).into_iter();
        let taking_back = taking_back.map(|sid| async move {
            let ask = self.taking_back(&sid, true)?;
            self.ask("unpublish the track", PATIENCE, None, ask, done)
                .await
        });
        let failed = join_all(taking_back).await.iter().any(Result::is_err);
        if failed || !settled {
            tracing::debug!("a room is left before its tracks were taken back");
        }
    }

    fn publish_track(
        &self,
        track: &dyn EngineTrack,
        options: PublishOptions,
    ) -> Result<Pending<RoomAnswer>, EngineError> {
        check::publish(&options)?;
        let track = track
            .as_any()
            .downcast_ref::<Track>()
            .filter(|track| !track.info().remote)
            .ok_or_else(|| {
                EngineError::Invalid(
                    "publishing: expected a local track made from an audio source".into(),
                )
            })?;
        let local_participant_handle = self.membership.local()?;
        let mark = Mark::set(&track.published)?;
        let mut change = self.gate.begin()?;
        let permit = change.until_answered();
        let ask = |id| {
            Ask::PublishTrack(proto::PublishTrackRequest {
                local_participant_handle,
                track_handle: track.id(),
                options: publish_options(options),
                request_async_id: Some(id),
            })
        };
        let reading = self.core.clone();
        let read = move |event| published(&reading, event);
        let answer = self.ask("publish the track", PUBLISH_DEADLINE, permit, ask, read);
        let (core, room) = (self.core.clone(), self.membership.room());
        Ok(async move {
            let _change = change;
            let publication = answer.await?;
            core.rooms
                .published(room, &publication.info().sid, mark.keep());
            Ok(RoomAnswer::Published(Arc::new(publication)))
        }
        .boxed())
    }

    fn unpublish_track(&self, sid: String, stop: bool) -> Result<Pending<RoomAnswer>, EngineError> {
        check::track_sid(&sid)?;
        let ask = self.taking_back(&sid, stop)?;
        let Ok(mut change) = self.gate.begin() else {
            // The room is being left, which takes every track back.
            return Ok(async { Ok(RoomAnswer::Done) }.boxed());
        };
        let permit = change.until_answered();
        let answer = self.ask("unpublish the track", PUBLISH_DEADLINE, permit, ask, done);
        let (core, room) = (self.core.clone(), self.membership.room());
        Ok(async move {
            let _change = change;
            answer.await?;
            core.rooms.unpublished(room, &sid);
            Ok(RoomAnswer::Done)
        }
        .boxed())
    }

    fn publish_data(&self, packet: DataPacket) -> Result<Pending<RoomAnswer>, EngineError> {
        check::data(&packet, &self.identity)?;
        let local_participant_handle = self.membership.local()?;
        if !self.core.rooms.may_publish_data(self.membership.room()) {
            // The server would drop it, and tell nobody.
            return Err(EngineError::Refused(
                "the token does not allow to publish data (canPublishData)".into(),
            ));
        }
        let ask = |id| {
            Ask::PublishData(proto::PublishDataRequest {
                local_participant_handle,
                // The library copies the bytes before it answers the request.
                data_ptr: packet.payload.as_ptr() as u64,
                data_len: packet.payload.len() as u64,
                reliable: packet.reliable,
                topic: packet.topic.clone(),
                destination_identities: packet.destination_identities.clone(),
                request_async_id: Some(id),
                ..Default::default()
            })
        };
        Ok(self.ask_done("send the data", DATA_DEADLINE, ask))
    }

    /// Changes what the local participant says about itself.
    fn update(
        &self,
        what: &'static str,
        ask: impl FnOnce(u64, u64) -> Ask,
    ) -> Result<Pending<RoomAnswer>, EngineError> {
        let local = self.membership.local()?;
        Ok(self.ask_done(what, UPDATE_DEADLINE, |id| ask(local, id)))
    }

    fn ask_for(&self, request: RoomRequest) -> Result<Pending<RoomAnswer>, EngineError> {
        match request {
            RoomRequest::PublishTrack { track, options } => self.publish_track(&*track, options),
            RoomRequest::UnpublishTrack { sid, stop } => self.unpublish_track(sid, stop),
            RoomRequest::PublishData(packet) => self.publish_data(packet),
            RoomRequest::SetMetadata(metadata) => {
                self.update("change the metadata", |local, id| {
                    Ask::SetLocalMetadata(proto::SetLocalMetadataRequest {
                        local_participant_handle: local,
                        metadata,
                        request_async_id: Some(id),
                    })
                })
            }
            RoomRequest::SetName(name) => self.update("change the name", |local, id| {
                Ask::SetLocalName(proto::SetLocalNameRequest {
                    local_participant_handle: local,
                    name,
                    request_async_id: Some(id),
                })
            }),
            RoomRequest::SetAttributes(attributes) => {
                let entries = attributes.into_iter();
                let entries = entries.map(|(key, value)| proto::AttributesEntry { key, value });
                self.update("change the attributes", |local, id| {
                    Ask::SetLocalAttributes(proto::SetLocalAttributesRequest {
                        local_participant_handle: local,
                        attributes: entries.collect(),
                        request_async_id: Some(id),
                    })
                })
            }
            RoomRequest::SimulateScenario(scenario) => {
                check::scenario(scenario)?;
                self.update("simulate the scenario", |_, id| {
                    Ask::SimulateScenario(proto::SimulateScenarioRequest {
                        room_handle: self.membership.room(),
                        scenario,
                        request_async_id: Some(id),
                    })
                })
            }
        }
    }
}

/// What was published, of the answer to publishing.
pub(super) fn published(core: &Arc<Core>, event: Event) -> Result<Publication, EngineError> {
    use proto::publish_track_callback::Message;
    let Event::PublishTrack(callback) = event else {
        return Err(misunderstood());
    };
    match callback.message {
        Some(Message::Publication(publication)) => Ok(Publication::local(
            Handle::own(&core.wire, publication.handle.id),
            convert::publication(publication.info),
        )),
        Some(Message::Error(error)) => failed(Some(error)),
        None => failed(None),
    }
}

fn publish_options(options: PublishOptions) -> proto::TrackPublishOptions {
    proto::TrackPublishOptions {
        audio_encoding: options
            .audio_max_bitrate
            .map(|max_bitrate| proto::AudioEncoding { max_bitrate }),
        dtx: options.dtx,
        red: options.red,
        source: options.source,
        stream: options.stream,
        preconnect_buffer: options.preconnect_buffer,
        ..Default::default()
    }
}

/// A track's mark that it is published; taken back unless it is kept.
struct Mark(Option<Arc<AtomicBool>>);

impl Mark {
    fn set(published: &Arc<AtomicBool>) -> Result<Mark, EngineError> {
        if published.swap(true, Ordering::SeqCst) {
            return Err(EngineError::Invalid(
                "publishing: the track is published already; unpublish it first".into(),
            ));
        }
        Ok(Mark(Some(published.clone())))
    }

    fn keep(mut self) -> Arc<AtomicBool> {
        self.0.take().unwrap_or_default()
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        if let Some(published) = self.0.take() {
            published.store(false, Ordering::SeqCst);
        }
    }
}

#[async_trait]
impl EngineRoom for Room {
    async fn disconnect(&self) -> Result<(), EngineError> {
        let emptying = self.emptied.get_or_init(|| self.empty());
        // Whoever leaves twice waits for the same.
        self.ended.run_until_cancelled(emptying).await;
        self.membership.leave().await
    }

    fn request(&self, request: RoomRequest) -> Pending<RoomAnswer> {
        self.ask_for(request)
            .unwrap_or_else(|error| async move { Err(error) }.boxed())
    }
}
