//! Inference requests: which headers they carry, where they go, with which token, and when they are tried again.
//!
//! Everything here is a pure function of its arguments: the environment, the time and random bytes are passed in. The
//! rules that run once a request have a twin in `ts/inference/`, because crossing costs more than the work itself
//! (docs/inference.md has the figures); `tests/vectors/headers.json` holds both to the same answers.

pub mod attempt;
pub mod encode;
pub mod fault;
pub mod gateway;
pub mod hook;
pub mod merge;
pub mod metadata;
pub mod name;
pub mod quota;
pub mod token;

#[cfg(test)]
mod vectors;
