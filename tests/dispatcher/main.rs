//! The dispatcher between a real livekit-server and agents that answer as they are told.

#![allow(clippy::unwrap_used, clippy::panic)] // a helper that got the wrong thing is a failed test

mod bench;
mod delivery;
mod receiver;
mod rest;
mod start;
#[path = "../support/mod.rs"]
mod support;
