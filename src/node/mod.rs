//! The only module that knows napi: it parses what crosses, calls the core, and returns. A business decision found here
//! belongs further down.
#![cfg_attr(test, allow(dead_code))]

mod agent;
mod audio;
mod convert;
mod dispatcher;
mod error;
mod inference;
mod inference_fault;
mod inference_headers;
mod inference_opened;
mod inference_socket;
mod logs;
mod room;
mod room_options;
mod runtime;
mod webhook;

use napi_derive::napi;

/// The version of the native core, as in package.json.
#[napi(catch_unwind)]
pub fn native_version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
