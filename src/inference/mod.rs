//! Inference requests: which headers they carry, where they go, with which token, and when they are tried again.
//!
//! Everything here is a pure function of its arguments: the environment, the time and random bytes are passed in.
//! TypeScript keeps what only it can know: the async context, the user's hooks, `Headers` objects. What crosses is in
//! `src/node/inference_headers.rs`; `tests/vectors/headers.json` is run through it.

pub mod attempt;
pub mod encode;
pub mod fault;
pub mod gateway;
pub mod hook;
pub mod identity;
pub mod merge;
pub mod name;
pub mod quota;
pub mod scope;
pub mod token;
