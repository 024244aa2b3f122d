//! The dispatcher as JavaScript holds it: built from options or from YAML, started once, events in batches as JSON.
//! It completes nothing and judges nothing: the configuration does.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, Weak};

use napi::bindgen_prelude::PromiseRaw;
use napi::Env;
use napi_derive::napi;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::convert;
use super::error::{spawn, throw};
use crate::dispatcher::config::{Config, ConfigError};
use crate::dispatcher::Dispatcher;
use crate::error::{Code, Error};

/// Where a started dispatcher is.
#[napi(object)]
pub struct NativeDispatcherAddress {
    /// The address that it listens on.
    pub host: String,
    /// The port.
    pub port: f64,
    /// How agents reach it, without a trailing slash.
    pub url: String,
}

struct State {
    warnings: Vec<String>,
    config: Mutex<Option<Config>>,
    running: OnceLock<Arc<Dispatcher>>,
    cancel: CancellationToken,
}

impl State {
    fn running(&self) -> Result<Arc<Dispatcher>, Error> {
        let running = self.running.get().cloned();
        running.ok_or_else(|| Error::new(Code::Closed, "the dispatcher is not started"))
    }

    async fn start(&self) -> Result<(SocketAddr, String), Error> {
        let config = self.config.lock().take();
        let config =
            config.ok_or_else(|| Error::new(Code::Closed, "a dispatcher is started once"))?;
        let aborted = || Error::new(Code::Aborted, "the dispatcher was closed while it started");
        let dispatcher = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Err(aborted()),
            started = Dispatcher::start(config) => Arc::new(started?),
        };
        let place = (dispatcher.address(), dispatcher.status_url().to_owned());
        let taken = self.running.set(dispatcher.clone()).is_ok();
        if !taken || self.cancel.is_cancelled() {
            dispatcher.close().await;
            return Err(aborted());
        }
        Ok(place)
    }
}

/// One dispatcher.
#[napi]
pub struct NativeDispatcher {
    state: Arc<State>,
}

fn config_error(error: ConfigError) -> Error {
    Error::new(Code::ConfigInvalid, error.to_string())
}

#[napi]
impl NativeDispatcher {
    /// From program options as JSON. Checks all of them; nothing is opened.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: Env, options: String) -> napi::Result<Self> {
        let config = Config::from_options(&options);
        Self::build(&env, config.map_err(config_error).map_err(throw)?)
    }

    /// From a YAML text; `variables` answers for `${NAME}`.
    #[napi(factory, catch_unwind)]
    pub fn from_yaml(
        env: Env,
        text: String,
        variables: HashMap<String, String>,
    ) -> napi::Result<Self> {
        let config = Config::from_yaml(&text, &|name| variables.get(name).cloned());
        Self::build(&env, config.map_err(config_error).map_err(throw)?)
    }

    fn build(env: &Env, config: Config) -> napi::Result<Self> {
        let state = Arc::new(State {
            warnings: config.warnings.clone(),
            config: Mutex::new(Some(config)),
            running: OnceLock::new(),
            cancel: CancellationToken::new(),
        });
        let weak: Weak<State> = Arc::downgrade(&state);
        env.add_env_cleanup_hook(weak, |weak| {
            if let Some(state) = weak.upgrade() {
                state.cancel.cancel();
                if let Some(dispatcher) = state.running.get() {
                    dispatcher.abandon();
                }
            }
        })?;
        Ok(NativeDispatcher { state })
    }

    /// What is allowed but not wise.
    #[napi(catch_unwind)]
    pub fn warnings(&self) -> Vec<String> {
        self.state.warnings.clone()
    }

    /// Starts; once per object. Resolves when every worker socket is registered.
    #[napi(catch_unwind)]
    pub fn start<'env>(
        &self,
        env: &'env Env,
    ) -> napi::Result<PromiseRaw<'env, NativeDispatcherAddress>> {
        let state = self.state.clone();
        spawn(
            env,
            async move { state.start().await },
            |_, (address, url)| {
                Ok(NativeDispatcherAddress {
                    host: address.ip().to_string(),
                    port: f64::from(address.port()),
                    url,
                })
            },
        )
    }

    /// Waits for events and takes up to `max` as a JSON array; `null` after the end.
    #[napi(catch_unwind)]
    pub fn next_events<'env>(
        &self,
        env: &'env Env,
        max: f64,
    ) -> napi::Result<PromiseRaw<'env, Option<String>>> {
        let max = convert::integer::<usize>(max, "max", 1..=10_000).map_err(throw)?;
        let dispatcher = self.state.running().map_err(throw)?;
        let next = async move {
            let Some(events) = dispatcher.next_events(max).await else {
                return Ok(None);
            };
            let text = serde_json::to_string(&events);
            text.map(Some).map_err(|error| {
                Error::new(Code::TransportFailed, "an event cannot be encoded").with_source(error)
            })
        };
        spawn(env, next, |_, text| Ok(text))
    }

    /// How many jobs are open.
    #[napi(catch_unwind)]
    pub fn active_jobs(&self) -> f64 {
        self.state
            .running
            .get()
            .map_or(0.0, |dispatcher| dispatcher.active_jobs() as f64)
    }

    /// Takes no new jobs; resolves when deliveries are done or the time is up, to the number of those still open.
    #[napi(catch_unwind)]
    pub fn drain<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, f64>> {
        let dispatcher = self.state.running().map_err(throw)?;
        spawn(
            env,
            async move { Ok(dispatcher.drain().await) },
            |_, left| Ok(left as f64),
        )
    }

    /// Ends everything, a start under way too.
    #[napi(catch_unwind)]
    pub fn close<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, ()>> {
        self.state.cancel.cancel();
        let dispatcher = self.state.running.get().cloned();
        let closing = async move {
            if let Some(dispatcher) = dispatcher {
                dispatcher.close().await;
            }
            Ok(())
        };
        spawn(env, closing, |_, ()| Ok(()))
    }
}
