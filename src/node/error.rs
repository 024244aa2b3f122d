//! How a core error becomes a JavaScript `Error`: `name`, `code`, `retryable`, `cause`, for a throw and for a rejection.
//! It chooses no class and no stack (`ts/base/native.ts` does), and lets no panic of a future reach the process.

use std::cell::RefCell;
use std::error::Error as StdError;
use std::future::Future;

use napi::bindgen_prelude::{JsObjectValue, Object, PromiseRaw, ToNapiValue};
use napi::{Env, JsValue, Status};
use napi_derive::napi;

use crate::contain;
use crate::contain::Panicked;
use crate::error::Error;

/// Sources further down than this are not shown: a chain this long explains nothing.
const MAX_CAUSES: usize = 8;

thread_local! {
    // A throw happens on the JavaScript thread of the environment that called. Embedders, and loaders that load the addon
    // anew for each test file, have several on one thread; any that has not ended can make the error.
    static ENVIRONMENTS: RefCell<Vec<Env>> = const { RefCell::new(Vec::new()) };
}

/// Remembers the environment that loads the addon until it ends, so that `throw` needs no argument for it.
#[napi(module_exports)]
pub fn remember_environment(_exports: Object, env: Env) -> napi::Result<()> {
    env.add_env_cleanup_hook(env.raw() as usize, |ended| {
        ENVIRONMENTS.with_borrow_mut(|all| all.retain(|env| env.raw() as usize != ended));
    })?;
    ENVIRONMENTS.with_borrow_mut(|all| all.push(env));
    Ok(())
}

/// The error a synchronous export throws: `.map_err(throw)?`. Only for the JavaScript thread.
pub fn throw(error: Error) -> napi::Error {
    let message = error.message.to_string();
    match ENVIRONMENTS.with_borrow(|all| all.last().copied()) {
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
    let contained = contain::future(future);
    let contained = async move { contained.await.map_err(panicked) };
    env.spawn_future_with_callback(contained, |env, outcome| {
        let value = match outcome {
            Ok(value) => value,
            Err(error) => return Err(build(env, &error)?),
        };
        // A panic here would unwind into Node's own frames and abort.
        contain::call(|| convert(env, value)).unwrap_or_else(|panic| Err(panicked(panic)))
    })
}

fn panicked(panic: Panicked) -> napi::Error {
    napi::Error::new(Status::GenericFailure, panic.to_string())
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
