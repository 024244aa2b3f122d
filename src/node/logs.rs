//! The core's log records as JavaScript takes them. They are the whole process's, and go to one environment: the first
//! that asked for them, after its end to the next. It formats nothing and keeps no process alive.

use std::str::FromStr;
use std::sync::Arc;

use napi::bindgen_prelude::Function;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Status};
use napi_derive::napi;
use parking_lot::{Mutex, MutexGuard};
use tracing_subscriber::filter::LevelFilter;

use super::error::throw;
use crate::error::{Code, Error};
use crate::logs;
use crate::logs::Bell;

/// How many records one call hands over at most.
const BATCH: usize = 256;

type Doorbell = ThreadsafeFunction<(), (), (), Status, false, true, 1>;

struct Listener {
    environment: usize,
    level: LevelFilter,
    bell: Bell,
}

/// The first one listens; the others wait for its end.
static LISTENERS: Mutex<Vec<Listener>> = Mutex::new(Vec::new());

fn listeners() -> MutexGuard<'static, Vec<Listener>> {
    LISTENERS.lock()
}

fn apply(listeners: &[Listener]) {
    let first = listeners.first();
    logs::set_level(first.map_or(LevelFilter::OFF, |first| first.level));
    logs::logs().listen(first.map(|first| Arc::clone(&first.bell)));
}

fn parse(level: &str) -> Result<LevelFilter, Error> {
    LevelFilter::from_str(level)
        .map_err(|_| Error::new(Code::ConfigInvalid, "level must be the name of a log level"))
}

/// Rings `bell` when log records of the core wait for `takeLogs`, if this environment is the one that gets them. Repeating
/// it replaces the bell. It does not keep the process alive.
#[napi(
    catch_unwind,
    ts_args_type = "level: 'error' | 'warn' | 'info' | 'debug' | 'trace', bell: () => void"
)]
pub fn listen_to_logs(env: Env, level: String, bell: Function<'_, (), ()>) -> napi::Result<()> {
    let level = parse(&level).map_err(throw)?;
    let doorbell: Doorbell = bell
        .build_threadsafe_function::<()>()
        .max_queue_size::<1>()
        .callee_handled::<false>()
        .weak::<true>()
        .build_callback(|_| Ok(()))?;
    let bell: Bell = Arc::new(move || {
        // Refused only while one is under way or when the environment ends; neither loses anything.
        doorbell.call((), ThreadsafeFunctionCallMode::NonBlocking);
    });
    let environment = env.raw() as usize;
    let mut all = listeners();
    if let Some(known) = all.iter_mut().find(|one| one.environment == environment) {
        (known.level, known.bell) = (level, bell);
    } else {
        env.add_env_cleanup_hook(environment, |environment| {
            let mut all = listeners();
            all.retain(|one| one.environment != environment);
            apply(&all);
        })?;
        all.push(Listener {
            environment,
            level,
            bell,
        });
    }
    apply(&all);
    Ok(())
}

/// From which level on this environment wants records, while it is the one that gets them.
#[napi(
    catch_unwind,
    ts_args_type = "level: 'error' | 'warn' | 'info' | 'debug' | 'trace'"
)]
pub fn set_log_level(env: Env, level: String) -> napi::Result<()> {
    let level = parse(&level).map_err(throw)?;
    let mut all = listeners();
    let environment = env.raw() as usize;
    if let Some(known) = all.iter_mut().find(|one| one.environment == environment) {
        known.level = level;
    }
    apply(&all);
    Ok(())
}

/// The oldest records that wait, as a JSON array of `{ level, message, fields }`; empty when nothing waits or they are
/// another environment's. If there are more, the bell rings again.
#[napi(catch_unwind)]
pub fn take_logs(env: Env) -> String {
    let environment = env.raw() as usize;
    let ours = listeners().first().map(|first| first.environment) == Some(environment);
    let records = if ours {
        logs::logs().take(BATCH)
    } else {
        Vec::new()
    };
    serde_json::to_string(&records).expect("texts, numbers and booleans always serialise")
}
