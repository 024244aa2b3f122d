//! The job webhook of docs/webhook-protocol.md: signing it, verifying it, reading it. Bytes are verified before they are
//! parsed, and parsed before they are believed. Pure: the time is an argument. It answers no request and keeps no state,
//! so duplicates are the receiver's matter.

mod error;
mod fields;
mod headers;
mod notification;
mod sign;
mod signature;
#[cfg(test)]
mod tests;
mod verify;

pub use self::error::WebhookError;
pub use self::fields::FieldProblem;
pub use self::headers::{
    Headers, Line, HEADER_ID, HEADER_SIGNATURE, HEADER_STANDARD_SIGNATURE,
    HEADER_STANDARD_TIMESTAMP, HEADER_TIMESTAMP,
};
pub use self::notification::{Event, IdempotencyKey, Notification, Participant, Room};
pub use self::sign::{sign, SignedHeaders};
pub use self::verify::{
    Scheme, Verifier, VerifierOptions, DEFAULT_MAX_BODY_BYTES, DEFAULT_TOLERANCE_S,
};
