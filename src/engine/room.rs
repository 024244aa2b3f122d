//! A joined room: what the local participant does there.
//!
//! Decides how long each wait may take. Refuses inputs the library would abort on, and every call after the room ended.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::engine::answer::Answer;
use crate::engine::check;
use crate::engine::membership::Membership;
use crate::engine::proto;
use crate::engine::proto::ffi_request::Message as Ask;
use crate::engine::publication::Publication;
use crate::engine::router::Router;
use crate::engine::router::Terms;
use crate::engine::track::misunderstood;
use crate::engine::track::Track;
use crate::engine::DataPacket;
use crate::engine::EngineError;
use crate::engine::EnginePublication;
use crate::engine::EngineRoom;
use crate::engine::EngineTrack;
use crate::engine::PublishOptions;

/// A little longer than the library's own deadline of 10 s, so that its reason is the one that is reported.
const PUBLISH_DEADLINE: Duration = Duration::from_secs(11);
/// Longer than the 15 s the library waits for a peer connection before it gives up on sending.
const DATA_DEADLINE: Duration = Duration::from_secs(20);
const UPDATE_DEADLINE: Duration = Duration::from_secs(10);

pub(super) struct Room {
    router: Arc<Router>,
    membership: Membership,
}

impl Room {
    pub(super) fn new(router: &Arc<Router>, membership: Membership) -> Room {
        Room {
            router: router.clone(),
            membership,
        }
    }

    async fn ask(
        &self,
        what: &str,
        deadline: Duration,
        ask: impl FnOnce(u64) -> Ask,
    ) -> Result<Answer, EngineError> {
        self.router.ask(what, deadline, Terms::default(), ask).await
    }

    async fn publish(
        &self,
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
        match self.ask("publish the track", PUBLISH_DEADLINE, ask).await? {
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
        let publication = self.publish(track, options).await?;
        let (room, sid) = (self.membership.room(), &publication.info().sid);
        mark.keep();
        self.router.rooms.published(room, sid, &track.published);
        Ok(Arc::new(publication))
    }

    async fn unpublish_track(&self, track_sid: &str, stop: bool) -> Result<(), EngineError> {
        check::track_sid(track_sid)?;
        let local_participant_handle = self.membership.local()?;
        let ask = |id| {
            Ask::UnpublishTrack(proto::UnpublishTrackRequest {
                local_participant_handle,
                track_sid: track_sid.to_owned(),
                stop_on_unpublish: stop,
                request_async_id: Some(id),
            })
        };
        self.ask("unpublish the track", PUBLISH_DEADLINE, ask)
            .await?;
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
