//! The real engine: the media library, loaded at the first use and shared by the whole process.
//!
//! Decides when the library is loaded and how many threads it gets. Refuses to load it twice or to start it a second time.
#![allow(unsafe_code)]

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::engine::core::Core;
use crate::engine::join::join;
use crate::engine::library::Library;
use crate::engine::source::AudioSource;
use crate::engine::{
    check, dispatch, library, AudioSourceOptions, ConnectOptions, Connected, EngineAudioSource,
    EngineError, RoomEngine,
};

const THREADS_VARIABLE: &str = "TOKIO_WORKER_THREADS";
const MOST_THREADS: usize = 4;

static CORE: OnceLock<Arc<Core>> = OnceLock::new();
static LOADING: Mutex<()> = Mutex::new(());

/// The engine over the media library.
pub struct NativeEngine;

impl NativeEngine {
    /// An engine; the library is loaded when it is first needed.
    pub fn new() -> Arc<NativeEngine> {
        Arc::new(NativeEngine)
    }

    /// Loads the library now if it is not loaded; takes tens of milliseconds the first time.
    pub fn load() -> Result<(), EngineError> {
        core().map(drop)
    }

    /// Loads the library on a thread of its own, so that the first join finds it loaded. A failure shows at that join.
    pub fn preload() {
        if CORE.get().is_none() {
            let load = || {
                if let Err(error) = NativeEngine::load() {
                    tracing::debug!("{error}");
                }
            };
            // Without a thread the first join loads it.
            let _ = std::thread::Builder::new()
                .name("roomhook-preload".into())
                .spawn(load);
        }
    }

    /// How many objects of the library are held now: a number that must return to where it was.
    pub fn open_handles() -> i64 {
        CORE.get().map_or(0, |core| core.wire.open_handles())
    }
}

/// The loaded library, loading it if need be.
fn core() -> Result<&'static Arc<Core>, EngineError> {
    if let Some(core) = CORE.get() {
        return Ok(core);
    }
    let _loading = LOADING.lock();
    if let Some(core) = CORE.get() {
        return Ok(core);
    }
    let path = library::locate()?;
    library::verify(&path)?;
    let threads = BoundedThreads::set();
    let library = Arc::new(Library::load(&path)?);
    let core = CORE.get_or_init(|| Core::new(library.clone()));
    library.initialize(receive, true);
    drop(threads);
    Ok(core)
}

/// Bounds the library's runtime while it starts: it would take one thread per processor. The user's own choice stands.
/// The environment is the only way to tell it, and is put back so that child processes do not inherit the bound.
struct BoundedThreads(bool);

impl BoundedThreads {
    fn set() -> BoundedThreads {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        // Changing the environment is never quite safe beside other threads, so it stays as it is where it is fine.
        let needed = processors > MOST_THREADS && std::env::var_os(THREADS_VARIABLE).is_none();
        if needed {
            std::env::set_var(THREADS_VARIABLE, MOST_THREADS.to_string());
        }
        BoundedThreads(needed)
    }
}

impl Drop for BoundedThreads {
    fn drop(&mut self) {
        if self.0 {
            std::env::remove_var(THREADS_VARIABLE);
        }
    }
}

extern "C" fn receive(data: *const u8, length: usize) {
    let Some(core) = CORE.get().filter(|_| !data.is_null()) else {
        return;
    };
    // SAFETY: the library passes a buffer that is valid during this call.
    let data = unsafe { std::slice::from_raw_parts(data, length) };
    // A panic that left this function would abort the process.
    if std::panic::catch_unwind(AssertUnwindSafe(|| dispatch::receive(core, data))).is_err() {
        tracing::error!("an event of the media library caused a panic and is lost");
    }
}

/// As `core`, without blocking the runtime while the library is loaded.
async fn loaded() -> Result<&'static Arc<Core>, EngineError> {
    if let Some(core) = CORE.get() {
        return Ok(core);
    }
    tokio::task::spawn_blocking(core)
        .await
        .unwrap_or_else(|_| Err(EngineError::Closed("the runtime is shutting down".into())))
}

#[async_trait]
impl RoomEngine for NativeEngine {
    async fn connect(
        &self,
        url: &str,
        token: &str,
        options: ConnectOptions,
    ) -> Result<Connected, EngineError> {
        check::connect(url, token, &options)?;
        join(loaded().await?, url, token, options).await
    }

    fn audio_source(
        &self,
        options: AudioSourceOptions,
    ) -> Result<Arc<dyn EngineAudioSource>, EngineError> {
        check::audio_source(options)?;
        Ok(Arc::new(AudioSource::new(core()?, options)?))
    }
}
