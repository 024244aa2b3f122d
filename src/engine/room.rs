//! A joined room: what the local participant does there.
//!
//! Decides how long each wait may take. Refuses inputs the library would abort on, and every call after the room ended.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::engine::answer::Answer;
use crate::engine::changes::{Change, Changes};
use crate::engine::membership::Membership;
use crate::engine::proto::ffi_request::Message as Ask;
use crate::engine::publication::Publication;
use crate::engine::router::{Router, Terms};
use crate::engine::track::{misunderstood, Track};
use crate::engine::{
    changes, check, proto, DataPacket, EngineError, EnginePublication, EngineRoom, EngineTrack,
    PublishOptions,
};

/// A little longer than the library's own deadline of 10 s, so that its reason is the one that is reported.
const PUBLISH_DEADLINE: Duration = Duration::from_secs(11);
/// Longer than the 15 s the library waits for a peer connection before it gives up on sending.
const DATA_DEADLINE: Duration = Duration::from_secs(20);
const UPDATE_DEADLINE: Duration = Duration::from_secs(10);

pub(super) struct Room {
    router: Arc<Router>,
    membership: Membership,
    changes: Changes,
    /// Set once the tracks were taken back to leave the room.
    emptied: OnceCell<()>,
    ended: CancellationToken,
}

impl Room {
    pub(super) fn new(router: &Arc<Router>, membership: Membership) -> Room {
        Room {
            router: router.clone(),
            changes: Changes::new(),
            emptied: OnceCell::new(),
            ended: router.rooms.ended(membership.room()),
            membership,
        }
    }

    async fn ask(
        &self,
        what: &str,
        deadline: Duration,
        ask: impl FnOnce(u64) -> Ask,
    ) -> Result<Answer, EngineError> {
        self.ask_on(Terms::default(), what, deadline, ask).await
    }

    /// Asks, and waits for the answer as long as the room lasts: the library waits for its own deadlines after that.
    async fn ask_on(
        &self,
        terms: Terms,
        what: &str,
        deadline: Duration,
        ask: impl FnOnce(u64) -> Ask,
    ) -> Result<Answer, EngineError> {
        let answer = self.router.ask(what, deadline, terms, ask);
        let answer = self.ended.run_until_cancelled(answer).await;
        answer.unwrap_or_else(|| {
            Err(EngineError::Closed(format!(
                "the room ended before it could {what}"
            )))
        })
    }

    /// Asks for a change of what is published here.
    async fn change(
        &self,
        change: &mut Change,
        what: &str,
        ask: impl FnOnce(u64) -> Ask,
    ) -> Result<Answer, EngineError> {
        let terms = Terms {
            permit: change.until_answered(),
            leaves: None,
        };
        self.ask_on(terms, what, PUBLISH_DEADLINE, ask).await
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
            self.ask("unpublish the track", changes::PATIENCE, ask)
                .await
        });
        let failed = join_all(taking_back).await.iter().any(Result::is_err);
        if failed || !settled {
            tracing::debug!("a room is left before its tracks were taken back");
        }
    }

    async fn publish(
        &self,
        change: &mut Change,
        track: &Track,
        options: PublishOptions,
    ) -> Result<Publication, EngineError> {
        let local_participant_handle = self.membership.local()?;
        let options = proto::TrackPublishOptions {
            audio_encoding: options
                .audio_max_bitrate
                .map(|max_bitrate| proto::AudioEncoding { max_bitrate }),
            dtx: options.dtx,
            red: options.red,
            source: options.source,
            stream: options.stream,
            preconnect_buffer: options.preconnect_buffer,
            ..Default::default()
        };
        let ask = |id| {
            Ask::PublishTrack(proto::PublishTrackRequest {
                local_participant_handle,
                track_handle: track.id(),
                options,
                request_async_id: Some(id),
            })
        };
        match self.change(change, "publish the track", ask).await? {
            Answer::Published(handle, info) => Ok(Publication::local(handle, info)),
            _ => Err(misunderstood()),
        }
    }
}

/// A track's mark that it is published; taken back unless it is kept.
struct Mark<'a>(Option<&'a AtomicBool>);

impl<'a> Mark<'a> {
    fn set(published: &'a AtomicBool) -> Result<Mark<'a>, EngineError> {
        if published.swap(true, Ordering::SeqCst) {
            return Err(EngineError::Invalid(
                "publishing: the track is published already; unpublish it first".into(),
            ));
        }
        Ok(Mark(Some(published)))
    }

    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Mark<'_> {
    fn drop(&mut self) {
        if let Some(published) = self.0 {
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

    async fn publish_track(
        &self,
        track: &dyn EngineTrack,
        options: PublishOptions,
    ) -> Result<Arc<dyn EnginePublication>, EngineError> {
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
        self.membership.local()?;
        let mark = Mark::set(&track.published)?;
        let mut change = self.changes.begin().await?;
        let publication = self.publish(&mut change, track, options).await?;
        let (room, sid) = (self.membership.room(), &publication.info().sid);
        mark.keep();
        self.router.rooms.published(room, sid, &track.published);
        Ok(Arc::new(publication))
    }

    async fn unpublish_track(&self, track_sid: &str, stop: bool) -> Result<(), EngineError> {
        check::track_sid(track_sid)?;
        let ask = self.taking_back(track_sid, stop)?;
        let Ok(mut change) = self.changes.begin().await else {
            // The room is being left, which takes every track back.
            return Ok(());
        };
        self.change(&mut change, "unpublish the track", ask).await?;
        self.router
            .rooms
            .unpublished(self.membership.room(), track_sid);
        Ok(())
    }

    async fn publish_data(&self, packet: DataPacket) -> Result<(), EngineError> {
        let local_participant_handle = self.membership.local()?;
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
        self.ask("send the data", DATA_DEADLINE, ask)
            .await
            .map(drop)
    }

    async fn set_metadata(&self, metadata: &str) -> Result<(), EngineError> {
        let local_participant_handle = self.membership.local()?;
        let ask = |id| {
            Ask::SetLocalMetadata(proto::SetLocalMetadataRequest {
                local_participant_handle,
                metadata: metadata.to_owned(),
                request_async_id: Some(id),
            })
        };
        self.ask("change the metadata", UPDATE_DEADLINE, ask)
            .await
            .map(drop)
    }

    async fn set_name(&self, name: &str) -> Result<(), EngineError> {
        let local_participant_handle = self.membership.local()?;
        let ask = |id| {
            Ask::SetLocalName(proto::SetLocalNameRequest {
                local_participant_handle,
                name: name.to_owned(),
                request_async_id: Some(id),
            })
        };
        self.ask("change the name", UPDATE_DEADLINE, ask)
            .await
            .map(drop)
    }

    async fn set_attributes(&self, attributes: HashMap<String, String>) -> Result<(), EngineError> {
        let local_participant_handle = self.membership.local()?;
        let ask = |id| {
            Ask::SetLocalAttributes(proto::SetLocalAttributesRequest {
                local_participant_handle,
                attributes: attributes
                    .into_iter()
                    .map(|(key, value)| proto::AttributesEntry { key, value })
                    .collect(),
                request_async_id: Some(id),
            })
        };
        self.ask("change the attributes", UPDATE_DEADLINE, ask)
            .await
            .map(drop)
    }

    async fn simulate_scenario(&self, scenario: i32) -> Result<(), EngineError> {
        check::scenario(scenario)?;
        self.membership.local()?;
        let ask = |id| {
            Ask::SimulateScenario(proto::SimulateScenarioRequest {
                room_handle: self.membership.room(),
                scenario,
                request_async_id: Some(id),
            })
        };
        self.ask("simulate the scenario", UPDATE_DEADLINE, ask)
            .await
            .map(drop)
    }
}
