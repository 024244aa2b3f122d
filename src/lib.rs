//! roomhook's native core: LiveKit agents launched by a signed webhook.
//!
//! The floors, lowest first; a module imports only from lower floors (`tests/floors.rs` enforces it):
//! 0 words · 1 rules and codecs · 2 machines · 3 effects · 4 LiveKit objects · 5 drivers · 6 the Node binding.

pub mod contain;
pub mod error;
pub mod id;
pub mod json;
pub mod time;
pub mod words;

pub mod address;
pub mod audio;
pub mod inference;
pub mod job;
pub mod redact;
pub mod retry;
pub mod secret;
pub mod token;
pub mod webhook;

pub mod clock;
pub mod engine;
pub mod logs;
pub mod net;

pub mod room;
pub mod worker;

pub mod agent;
pub mod dispatcher;

#[cfg(feature = "node")]
mod node;
