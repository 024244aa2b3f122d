//! The media library's messages, generated from the descriptors inside the pinned wheel.
//!
//! Decides nothing. `tests/engine_proto.rs` generates the included file and refuses any hand-made change of it.
#![allow(missing_docs, dead_code, clippy::all)]

include!("livekit.proto.rs");
