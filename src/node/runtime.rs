//! State per JavaScript environment: what ends with it, and its audio hub. Several worker threads load the addon at once, so
//! nothing here is shared between them except the engine; an environment that dies leaves its rooms.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};

use napi::Env;
use napi_derive::napi;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::audio::FrameHub;
use crate::engine::{set_library_dir, NativeEngine, RoomEngine};

thread_local! {
    // Keyed by the environment's address: one thread may host several (vm contexts), each with its own end.
    static ENVIRONMENTS: RefCell<HashMap<usize, Arc<Environment>>> = RefCell::default();
}

/// Something that must not outlive its environment.
pub(super) trait Abandon: Send + Sync {
    /// Ends it in the background: JavaScript is not there any more to wait.
    fn abandon(&self);
}

/// What one JavaScript environment holds.
#[derive(Default)]
pub(super) struct Environment {
    members: Mutex<Vec<Weak<dyn Abandon>>>,
    /// The audio of all its streams; set by the first.
    pub(super) audio: OnceLock<Arc<FrameHub>>,
    /// Cancelled at the end of the environment: what hangs on it is cut.
    pub(super) over: CancellationToken,
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

    /// Remembers what is to be abandoned when the environment ends.
    pub(super) fn remember(&self, member: Weak<dyn Abandon>) {
        let mut members = self.members.lock();
        members.retain(|member| member.strong_count() > 0);
        members.push(member);
    }

    fn end(&self) {
        let members = std::mem::take(&mut *self.members.lock());
        for member in members.iter().filter_map(Weak::upgrade) {
            member.abandon();
        }
        if let Some(hub) = self.audio.get() {
            hub.close();
        }
        self.over.cancel();
    }
}

/// The engine; the media library is loaded when it is first needed.
pub(super) fn engine() -> Arc<dyn RoomEngine> {
    NativeEngine::new()
}

/// Tells where the addon was loaded from; the media library lies beside it. `ROOMHOOK_ENGINE_PATH` wins over it.
#[napi(catch_unwind)]
pub fn set_engine_directory(directory: String) {
    set_library_dir(PathBuf::from(directory));
}

/// Loads the media library now, on another thread, so that the first join or source does not pay for it.
/// A failure shows at the first join.
#[napi(catch_unwind)]
pub fn preload_engine() {
    NativeEngine::preload();
}

/// How many objects of the media library this process holds now: what tests of leaks look at.
#[napi(catch_unwind)]
pub fn open_engine_handles() -> f64 {
    NativeEngine::open_handles() as f64
}
