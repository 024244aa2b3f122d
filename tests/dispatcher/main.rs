//! The dispatcher between a real livekit-server and agents that answer as they are told.

mod bench;
mod delivery;
mod receiver;
mod rest;
mod start;
#[path = "../support/mod.rs"]
mod support;
