//! A room as JavaScript holds it: join with cancel, a snapshot, batches of events as JSON with their bytes beside them,
//! and the calls of a joined room. Options arrive complete and checked by `ts/room`; ranges are checked again here.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use napi::bindgen_prelude::{Buffer, PromiseRaw};
use napi::Env;
use napi_derive::napi;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::audio::NativeTrack;
use super::convert;
use super::error::{spawn, throw};
use super::room_options::{
    connect_options, publish_options, NativeConnectOptions, NativePublishOptions,
};
use super::runtime::{engine, Abandon, Environment};
use crate::engine::{ConnectOptions, DataPacket, RoomAnswer, RoomRequest};
use crate::error::{Code, Error};
use crate::room::{Room, RoomError, RoomEvent};

/// Events of a room: a JSON array, and the payloads of its `dataReceived` events one after the other.
#[napi(object)]
pub struct NativeEvents {
    pub events: String,
    pub payloads: Option<Buffer>,
}

/// How many events were not delivered one by one.
#[napi(object)]
pub struct NativeEventCounters {
    pub coalesced: f64,
    pub dropped: f64,
}

/// A room that is being joined or was, shared between JavaScript's object and the environment that must end it.
pub(super) struct Membership {
    cancel: CancellationToken,
    joined: OnceLock<(Arc<Room>, Handle)>,
}

impl Membership {
    async fn join(&self, url: &str, token: &str, options: ConnectOptions) -> Result<String, Error> {
        let joining = async {
            let joined = Room::connect(&*engine(), url, token, options).await;
            joined.map_err(Error::from)
        };
        let room = tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Error::from(RoomError::Cancelled)),
            joined = joining => joined,
        };
        let room = room?;
        let snapshot = json(room.snapshot())?;
        if self
            .joined
            .set((Arc::new(room), Handle::current()))
            .is_err()
        {
            return Err(RoomError::Cancelled.into());
        }
        if self.cancel.is_cancelled() {
            self.abandon();
            return Err(RoomError::Cancelled.into());
        }
        Ok(snapshot)
    }

    fn room(&self) -> Result<Arc<Room>, Error> {
        match self.joined.get() {
            Some((room, _)) => Ok(room.clone()),
            None => Err(RoomError::Disconnected { what: "the call" }.into()),
        }
    }
}

impl Abandon for Membership {
    /// Leaves in the background, or gives the join up.
    fn abandon(&self) {
        self.cancel.cancel();
        if let Some((room, runtime)) = self.joined.get() {
            let room = room.clone();
            runtime.spawn(async move {
                if let Err(error) = room.disconnect().await {
                    tracing::debug!(error = %error, "an abandoned room was not left cleanly");
                }
            });
        }
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| {
        Error::new(
            Code::TransportFailed,
            "what the engine told cannot be encoded",
        )
        .with_source(error)
    })
}

fn encode(events: Vec<RoomEvent>) -> Result<(String, Vec<u8>), Error> {
    let mut payloads = Vec::new();
    for event in &events {
        if let RoomEvent::DataReceived { payload, .. } = event {
            payloads.extend_from_slice(payload);
        }
    }
    Ok((json(&events)?, payloads))
}

/// One join of a room.
#[napi]
pub struct NativeRoom {
    member: Arc<Membership>,
}

#[napi]
impl NativeRoom {
    /// A room that is not joined yet.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: Env) -> napi::Result<Self> {
        let member = Arc::new(Membership {
            cancel: CancellationToken::new(),
            joined: OnceLock::new(),
        });
        let weak = Arc::downgrade(&member);
        Environment::of(&env)?.remember(weak);
        Ok(NativeRoom { member })
    }

    /// Joins; resolves to the snapshot as JSON. Once per object.
    #[napi(catch_unwind)]
    pub fn connect<'env>(
        &self,
        env: &'env Env,
        url: String,
        token: String,
        options: NativeConnectOptions,
    ) -> napi::Result<PromiseRaw<'env, String>> {
        let member = self.member.clone();
        let options = connect_options(options).map_err(throw)?;
        let joining = async move { member.join(&url, &token, options).await };
        spawn(env, joining, |_, snapshot| Ok(snapshot))
    }

    /// Gives the join up: `connect` rejects with `ABORTED`, and a room that was reached meanwhile is left.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.member.abandon();
    }

    /// Waits for events and takes up to `max`; `null` after `disconnected` was taken.
    #[napi(catch_unwind)]
    pub fn next_events<'env>(
        &self,
        env: &'env Env,
        max: f64,
    ) -> napi::Result<PromiseRaw<'env, Option<NativeEvents>>> {
        let max = convert::integer::<usize>(max, "max", 1..=10_000).map_err(throw)?;
        let room = self.member.room().map_err(throw)?;
        let next = async move { room.next_events(max).await.map(encode).transpose() };
        spawn(env, next, |_, encoded| {
            Ok(encoded.map(|(events, payloads)| NativeEvents {
                events,
                payloads: (!payloads.is_empty()).then(|| Buffer::from(payloads)),
            }))
        })
    }

    /// How many events were not delivered one by one.
    #[napi(catch_unwind)]
    pub fn counters(&self) -> NativeEventCounters {
        let counters = self
            .member
            .joined
            .get()
            .map(|(room, _)| room.counters())
            .unwrap_or_default();
        NativeEventCounters {
            coalesced: counters.coalesced as f64,
            dropped: counters.dropped as f64,
        }
    }

    /// Leaves. Repeating is harmless.
    #[napi(catch_unwind)]
    pub fn disconnect<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, ()>> {
        let room = self.member.room().map_err(throw)?;
        let leaving = async move { Ok(room.disconnect().await?) };
        spawn(env, leaving, |_, ()| Ok(()))
    }

    /// The track that a `trackSubscribed` event announced by this handle. Once per handle.
    #[napi(catch_unwind)]
    pub fn take_track(&self, handle: f64) -> napi::Result<NativeTrack> {
        let handle = convert::integer(handle, "handle", 0..=i64::from(u32::MAX)).map_err(throw)?;
        let room = self.member.room().map_err(throw)?;
        let track = room
            .take_track(handle)
            .map_err(Error::from)
            .map_err(throw)?;
        Ok(NativeTrack::new(track))
    }

    /// Publishes a local track; resolves to the publication as JSON.
    #[napi(catch_unwind)]
    pub fn publish_track<'env>(
        &self,
        env: &'env Env,
        track: &NativeTrack,
        options: NativePublishOptions,
    ) -> napi::Result<PromiseRaw<'env, String>> {
        let request = RoomRequest::PublishTrack {
            options: publish_options(options).map_err(throw)?,
            track: track.engine()?,
        };
        let publishing = self.member.room().map_err(throw)?.request(request);
        let published = async move {
            match publishing.await? {
                RoomAnswer::Published(publication) => json(publication.info()),
                _ => json(&()),
            }
        };
        spawn(env, published, |_, publication| Ok(publication))
    }

    /// Takes a local track back.
    #[napi(catch_unwind)]
    pub fn unpublish_track<'env>(
        &self,
        env: &'env Env,
        sid: String,
        stop: bool,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        self.ask(env, RoomRequest::UnpublishTrack { sid, stop })
    }

    /// Subscribes to a remote publication, or no longer.
    #[napi(catch_unwind)]
    pub fn set_subscribed(&self, sid: String, subscribed: bool) -> napi::Result<()> {
        let room = self.member.room().map_err(throw)?;
        room.set_subscribed(&sid, subscribed)
            .map_err(Error::from)
            .map_err(throw)
    }

    /// Sends a data packet.
    #[napi(catch_unwind)]
    pub fn publish_data<'env>(
        &self,
        env: &'env Env,
        payload: &[u8],
        reliable: bool,
        topic: Option<String>,
        destination_identities: Vec<String>,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let packet = DataPacket {
            payload: Bytes::copy_from_slice(payload),
            reliable,
            topic,
            destination_identities,
        };
        self.ask(env, RoomRequest::PublishData(packet))
    }

    /// Changes the local participant's metadata.
    #[napi(catch_unwind)]
    pub fn set_metadata<'env>(
        &self,
        env: &'env Env,
        metadata: String,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        self.ask(env, RoomRequest::SetMetadata(metadata))
    }

    /// Changes the local participant's name.
    #[napi(catch_unwind)]
    pub fn set_name<'env>(
        &self,
        env: &'env Env,
        name: String,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        self.ask(env, RoomRequest::SetName(name))
    }

    /// Changes the local participant's attributes; an empty value removes one.
    #[napi(catch_unwind)]
    pub fn set_attributes<'env>(
        &self,
        env: &'env Env,
        attributes: HashMap<String, String>,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        self.ask(env, RoomRequest::SetAttributes(attributes))
    }

    /// Makes the library act out a fault. For tests.
    #[napi(catch_unwind)]
    pub fn simulate_scenario<'env>(
        &self,
        env: &'env Env,
        scenario: f64,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let scenario = convert::integer(scenario, "scenario", 0..=8).map_err(throw)?;
        self.ask(env, RoomRequest::SimulateScenario(scenario))
    }

    /// The request is made here and now, on JavaScript's thread, so that requests keep the order of the calls.
    fn ask<'env>(
        &self,
        env: &'env Env,
        request: RoomRequest,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let asked = self.member.room().map_err(throw)?.request(request);
        spawn(env, async move { Ok(asked.await.map(drop)?) }, |_, ()| {
            Ok(())
        })
    }
}
