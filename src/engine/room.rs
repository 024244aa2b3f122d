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
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::engine::answer::Answer;
use crate::engine::changes::Changes;
use crate::engine::membership::Membership;
use crate::engine::proto::ffi_request::Message as Ask;
use crate::engine::publication::Publication;
use crate::engine::router::{Router, Terms};
use crate::engine::track::{misunderstood, Track};
use crate::engine::{
    changes, check, proto, DataPacket, EngineError, EngineRoom, EngineTrack, Pending,
    PublishOptions, RoomAnswer, RoomRequest,
};

/// A little longer than the library's own deadline of 10 s, so that its reason is the one that is reported.
const PUBLISH_DEADLINE: Duration = Duration::from_secs(11);
/// Longer than the 15 s the library waits for a peer connection before it gives up on sending.
const DATA_DEADLINE: Duration = Duration::from_secs(20);
const UPDATE_DEADLINE: Duration = Duration::from_secs(10);

pub(super) struct Room {
    router: Arc<Router>,
    membership: Membership,
    /// Our identity, which every packet of data carries.
    identity: String,
    changes: Changes,
    /// Set once the tracks were taken back to leave the room.
    emptied: OnceCell<()>,
    ended: CancellationToken,
}

impl Room {
    pub(super) fn new(router: &Arc<Router>, membership: Membership, identity: &str) -> Room {
        Room {
            router: router.clone(),
            identity: identity.to_owned(),
            changes: Changes::new(),
            emptied: OnceCell::new(),
            ended: router.rooms.ended(membership.room()),
            membership,
        }
    }

    /// Asks at once. The answer is waited for as long as the room lasts: the library waits for its own deadlines after that.
    fn ask(
        &self,
        what: &'static str,
        deadline: Duration,
        terms: Terms,
        ask: impl FnOnce(u64) -> Ask,
    ) -> impl Future<Output = Result<Answer, EngineError>> + Send + 'static {
        let answer = self.router.ask(what, deadline, terms, ask);
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
        let answer = self.ask(what, deadline, Terms::default(), ask);
        async move { answer.await.map(|_| RoomAnswer::Done) }.boxed()
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
        let settled = self.changes.end().await;
        let room = self.membership.room();
        let taking_back = self.router.rooms.published_in(room).into_iter();
        let taking_back = taking_back.map(|sid| async move {
            let ask = self.taking_back(&sid, true)?;
            let terms = Terms::default();
            self.ask("unpublish the track", changes::PATIENCE, terms, ask)
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
        let mut change = self.changes.begin()?;
        let terms = Terms {
            permit: change.until_answered(),
            leaves: None,
        };
        let ask = |id| {
            Ask::PublishTrack(proto::PublishTrackRequest {
                local_participant_handle,
                track_handle: track.id(),
                options: publish_options(options),
                request_async_id: Some(id),
            })
        };
        let answer = self.ask("publish the track", PUBLISH_DEADLINE, terms, ask);
        let (router, room) = (self.router.clone(), self.membership.room());
        Ok(async move {
            let _change = change;
            match answer.await? {
                Answer::Published(handle, info) => {
                    router.rooms.published(room, &info.sid, mark.keep());
                    let publication = Publication::local(handle, info);
                    Ok(RoomAnswer::Published(Arc::new(publication)))
                }
                _ => Err(misunderstood()),
            }
        }
        .boxed())
    }

    fn unpublish_track(&self, sid: String, stop: bool) -> Result<Pending<RoomAnswer>, EngineError> {
        check::track_sid(&sid)?;
        let ask = self.taking_back(&sid, stop)?;
        let Ok(mut change) = self.changes.begin() else {
            // The room is being left, which takes every track back.
            return Ok(async { Ok(RoomAnswer::Done) }.boxed());
        };
        let terms = Terms {
            permit: change.until_answered(),
            leaves: None,
        };
        let answer = self.ask("unpublish the track", PUBLISH_DEADLINE, terms, ask);
        let (router, room) = (self.router.clone(), self.membership.room());
        Ok(async move {
            let _change = change;
            answer.await?;
            router.rooms.unpublished(room, &sid);
            Ok(RoomAnswer::Done)
        }
        .boxed())
    }

    fn publish_data(&self, packet: DataPacket) -> Result<Pending<RoomAnswer>, EngineError> {
        check::data(&packet, &self.identity)?;
        let local_participant_handle = self.membership.local()?;
        if !self.router.rooms.may_publish_data(self.membership.room()) {
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
