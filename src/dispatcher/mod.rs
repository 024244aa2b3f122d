//! The dispatcher: turns LiveKit jobs into signed webhooks, and statuses back into LiveKit job updates.

pub mod config;
pub mod machine;
