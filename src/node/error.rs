//! How a core error becomes a JavaScript `Error`: `name`, `code`, `retryable`, `cause`, for a throw and for a rejection.
//! It chooses no class and no stack (`ts/native.ts` does), and lets no panic of a future reach the process.

use std::cell::Cell;
use std::error::Error as StdError;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use napi::bindgen_prelude::JsObjectValue;
use napi::bindgen_prelude::Object;
use napi::bindgen_prelude::PromiseRaw;
use napi::bindgen_prelude::ToNapiValue;
use napi::Env;
use napi::JsValue;
use napi::Status;
use napi_derive::napi;

use crate::error::Error;

/// Sources further down than this are not shown: a chain this long explains nothing.
const MAX_CAUSES: usize = 8;

const PANICKED: &str =
    "a bug in roomhook's native core; the panic's place is on the error stream, please report it";

thread_local! {
    // A throw happens on the JavaScript thread of the environment that called; each environment has a thread of its own.
    static ENVIRONMENT: Cell<Option<Env>> = const { Cell::new(None) };
}

/// Remembers the environment that loads the addon, so that `throw` needs no argument for it.
#[napi(module_exports)]
pub fn remember_environment(_exports: Object, env: Env) -> napi::Result<()> {
    ENVIRONMENT.set(Some(env));
    Ok(())
}

/// The error a synchronous export throws: `.map_err(throw)?`. Only for the JavaScript thread.
pub fn throw(error: Error) -> napi::Error {
    let message = error.message.to_string();
    match ENVIRONMENT.get() {
        Some(env) => build(&env, &error)
            .unwrap_or_else(|_| napi::Error::new(Status::GenericFailure, message)),
        None => napi::Error::new(Status::GenericFailure, message),
    }
}

/// Runs a future on the runtime and gives JavaScript a promise of it. `convert` builds the value on the JavaScript
/// thread; a core error rejects as `throw` throws it; a panic in either rejects with a plain `Error`.
pub fn spawn<'env, T, V, F, C>(
    env: &'env Env,
    future: F,
    convert: C,
) -> napi::Result<PromiseRaw<'env, V>>
where
    T: Send + 'static,
    V: ToNapiValue,
    F: Future<Output = Result<T, Error>> + Send + 'static,
    C: FnOnce(&'env Env, T) -> napi::Result<V> + 'static,
{
    let contained = AssertUnwindSafe(future)
        .catch_unwind()
        .map(|outcome| outcome.map_err(|_panic| panicked()));
    env.spawn_future_with_callback(contained, |env, outcome| {
        let value = match outcome {
            Ok(value) => value,
            Err(error) => return Err(build(env, &error)?),
        };
        // A panic here would unwind into Node's own frames and abort.
        std::panic::catch_unwind(AssertUnwindSafe(|| convert(env, value)))
            .unwrap_or_else(|_panic| Err(panicked()))
    })
}

fn panicked() -> napi::Error {
    napi::Error::new(Status::GenericFailure, PANICKED)
}

fn build(env: &Env, error: &Error) -> napi::Result<napi::Error> {
    let mut object = plain(env, &error.message)?;
    object.set_named_property("name", "RoomhookError")?;
    object.set_named_property("code", error.code.as_str())?;
    object.set_named_property("retryable", error.retryable)?;
    if let Some(source) = error.source() {
        object.set_named_property("cause", cause(env, source, MAX_CAUSES)?)?;
    }
    Ok(napi::Error::from(object.to_unknown()))
}

fn cause<'env>(env: &'env Env, source: &dyn StdError, left: usize) -> napi::Result<Object<'env>> {
    let mut object = plain(env, &source.to_string())?;
    if let (Some(next), true) = (source.source(), left > 1) {
        object.set_named_property("cause", cause(env, next, left - 1)?)?;
    }
    Ok(object)
}

fn plain<'env>(env: &'env Env, message: &str) -> napi::Result<Object<'env>> {
    env.create_error(napi::Error::new(Status::GenericFailure, message))
}
