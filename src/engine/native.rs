//! The real engine: the media library, loaded at the first use and shared by the whole process.
//!
//! Decides when the library is loaded and how a join proceeds. Refuses to load it twice or to start it a second time.
#![allow(unsafe_code)]

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::engine::answer::{Answer, Joined};
use crate::engine::library::Library;
use crate::engine::proto::ffi_request::Message as Ask;
use crate::engine::room::Room;
use crate::engine::router::{lock, Router, Terms};
use crate::engine::source::AudioSource;
use crate::engine::track::misunderstood;
use crate::engine::{
    check, library, proto, AudioSourceOptions, ConnectOptions, Connected, EngineAudioSource,
    EngineError, EnginePublication, RoomEngine, RtcConfig,
};

/// What the library adds to a connection attempt: it waits this long for the peer connection.
const PEER_DEADLINE: Duration = Duration::from_secs(15);
const THREADS_VARIABLE: &str = "TOKIO_WORKER_THREADS";
const MOST_THREADS: usize = 4;

static ROUTER: OnceLock<Arc<Router>> = OnceLock::new();
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
        router().map(drop)
    }

    /// Loads the library on a thread of its own, so that the first join finds it loaded. A failure shows at that join.
    pub fn preload() {
        if ROUTER.get().is_none() {
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
        ROUTER.get().map_or(0, |router| router.open_handles())
    }
}

/// The loaded library's router, loading it if need be.
fn router() -> Result<&'static Arc<Router>, EngineError> {
    if let Some(router) = ROUTER.get() {
        return Ok(router);
    }
    let _loading = lock(&LOADING);
    if let Some(router) = ROUTER.get() {
        return Ok(router);
    }
    let path = library::locate()?;
    library::verify(&path)?;
    let threads = BoundedThreads::set();
    let library = Arc::new(Library::load(&path)?);
    let router = ROUTER.get_or_init(|| Router::new(library.clone()));
    library.initialize(receive, true);
    drop(threads);
    Ok(router)
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
    let Some(router) = ROUTER.get().filter(|_| !data.is_null()) else {
        return;
    };
    // SAFETY: the library passes a buffer that is valid during this call.
    let data = unsafe { std::slice::from_raw_parts(data, length) };
    // A panic that left this function would abort the process.
    if std::panic::catch_unwind(AssertUnwindSafe(|| router.receive(data))).is_err() {
        tracing::error!("an event of the media library caused a panic and is lost");
    }
}

/// As `router`, without blocking the runtime while the library is loaded.
async fn loaded() -> Result<&'static Arc<Router>, EngineError> {
    if let Some(router) = ROUTER.get() {
        return Ok(router);
    }
    tokio::task::spawn_blocking(router)
        .await
        .unwrap_or_else(|_| Err(EngineError::Closed("the runtime is shutting down".into())))
}

fn rtc_config(config: RtcConfig) -> proto::RtcConfig {
    proto::RtcConfig {
        ice_transport_type: config.ice_transport_type,
        continual_gathering_policy: config.continual_gathering_policy,
        ice_servers: config
            .ice_servers
            .into_iter()
            .map(|server| proto::IceServer {
                urls: server.urls,
                username: Some(server.username).filter(|name| !name.is_empty()),
                password: Some(server.password).filter(|password| !password.is_empty()),
            })
            .collect(),
    }
}

fn room_options(options: ConnectOptions) -> proto::RoomOptions {
    proto::RoomOptions {
        auto_subscribe: Some(options.auto_subscribe),
        adaptive_stream: Some(options.adaptive_stream),
        dynacast: Some(options.dynacast),
        join_retries: Some(options.join_retries),
        connect_timeout_ms: Some(options.connect_timeout_ms),
        single_peer_connection: Some(options.single_peer_connection),
        rtc_config: options.rtc_config.map(rtc_config),
        other_sdks: Some(concat!("roomhook:", env!("CARGO_PKG_VERSION")).into()),
        ..Default::default()
    }
}

/// Installs the room's route, tells the library to let its events flow, and hands everything over.
fn take_over(router: &Arc<Router>, joined: Joined) -> Result<Connected, EngineError> {
    let room = joined.membership.room();
    let events = router.rooms.open(room, &joined.local);
    let ready = Ask::ReadyForRoomEvent(proto::ReadyForRoomEventRequest { room_handle: room });
    router.call("let the room's events flow", ready)?;
    let participants = joined.participants.into_iter().map(|(info, publications)| {
        let publications = publications
            .into_iter()
            .map(|publication| Arc::new(publication) as Arc<dyn EnginePublication>)
            .collect();
        (info, publications)
    });
    Ok(Connected {
        events,
        info: joined.info,
        participants: participants.collect(),
        room: Arc::new(Room::new(router, joined.membership, &joined.local.identity)),
        local: joined.local,
    })
}

/// Joins, with the arguments checked and the library loaded.
pub(super) async fn join(
    router: &Arc<Router>,
    url: &str,
    token: &str,
    options: ConnectOptions,
) -> Result<Connected, EngineError> {
    let attempt = Duration::from_millis(options.connect_timeout_ms) + PEER_DEADLINE;
    let deadline = attempt * (options.join_retries + 1);
    let ask = |id| {
        Ask::Connect(proto::ConnectRequest {
            url: url.to_owned(),
            token: token.to_owned(),
            options: room_options(options),
            request_async_id: Some(id),
        })
    };
    let answer = router.ask("join the room", deadline, Terms::default(), ask);
    match answer.await {
        Ok(Answer::Joined(joined)) => take_over(router, *joined),
        Ok(_) => Err(misunderstood()),
        Err(error) => Err(error),
    }
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
        Ok(Arc::new(AudioSource::new(router()?, options)?))
    }
}
