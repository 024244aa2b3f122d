//! State per JavaScript environment: its rooms and its audio hub. Several worker threads load the addon at once, so
//! nothing here is shared between them except the engine; an environment that dies disconnects its rooms.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::Weak;

use napi::bindgen_prelude::within_runtime_if_available;
use napi::Env;
use napi_derive::napi;

use super::audio;
use super::room::Membership;
use crate::engine;
use crate::engine::RoomEngine;
use crate::error::Error;
use crate::room::FrameHub;
use crate::room::RoomError;

thread_local! {
    // Keyed by the environment's address: one thread may host several (vm contexts), each with its own end.
    static ENVIRONMENTS: RefCell<HashMap<usize, Arc<Environment>>> = RefCell::default();
}

/// What one JavaScript environment holds.
#[derive(Default)]
pub(super) struct Environment {
    members: Mutex<Vec<Weak<Membership>>>,
    pub(super) audio: audio::Delivery,
}

impl Environment {
    /// The environment of a call.
    pub(super) fn of(env: &Env) -> napi::Result<Arc<Environment>> {
        let key = env.raw() as usize;
        if let Some(known) = ENVIRONMENTS.with_borrow(|all| all.get(&key).cloned()) {
            return Ok(known);
        }
        env.add_env_cleanup_hook(key, |key| {
            if let Some(ended) = ENVIRONMENTS.with_borrow_mut(|all| all.remove(&key)) {
                ended.end();
            }
        })?;
        let environment = Arc::new(Environment::default());
        ENVIRONMENTS.with_borrow_mut(|all| all.insert(key, environment.clone()));
        Ok(environment)
    }

    /// Remembers a room so that it is left when the environment ends.
    pub(super) fn remember(&self, member: &Arc<Membership>) {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.retain(|member| member.strong_count() > 0);
        members.push(Arc::downgrade(member));
    }

    pub(super) fn hub(&self) -> Option<Arc<FrameHub>> {
        self.audio.hub()
    }

    fn end(&self) {
        let members =
            std::mem::take(&mut *self.members.lock().unwrap_or_else(PoisonError::into_inner));
        for member in members.iter().filter_map(Weak::upgrade) {
            member.abandon();
        }
        self.audio.end();
    }
}

static ENGINE: OnceLock<Arc<dyn RoomEngine>> = OnceLock::new();

/// The engine, loaded at the first call. Failures are not remembered: a mended installation works without a restart.
pub(super) fn engine() -> Result<Arc<dyn RoomEngine>, Error> {
    if let Some(engine) = ENGINE.get() {
        return Ok(engine.clone());
    }
    let opened: Arc<dyn RoomEngine> = open().map_err(RoomError::Connect)?;
    Ok(ENGINE.get_or_init(|| opened).clone())
}

/// Tells where the addon was loaded from; the media library lies beside it. `ROOMHOOK_ENGINE_PATH` wins over it.
#[napi(catch_unwind)]
pub fn set_engine_directory(directory: String) {
    let _ = PathBuf::from(directory);
}

/// Loads the media library now, on another thread, so that the first join or source does not pay for it.
/// A failure shows at the first join.
#[napi(catch_unwind)]
pub fn preload_engine() {
    within_runtime_if_available(|| {
        tokio::task::spawn_blocking(|| {
            if let Err(error) = engine() {
                tracing::debug!(code = error.code.as_str(), "the engine was not preloaded");
            }
        });
    });
}

fn open() -> Result<Arc<dyn RoomEngine>, engine::EngineError> {
    let message = "this build carries no media library";
    Err(engine::EngineError::Unavailable(message.into()))
}
