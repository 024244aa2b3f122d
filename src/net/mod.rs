//! The one way out: every HTTP request and every WebSocket that roomhook opens goes through here.
//!
//! Refuses redirects, proxies from the environment, user names in URLs, and answers without an end.

pub mod duplex;
pub mod http;
pub mod tls;
pub mod ws;

mod outbox;
