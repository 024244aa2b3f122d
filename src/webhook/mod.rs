//! The job webhook of docs/webhook-protocol.md: signing it, verifying it, reading it. Bytes are verified before they are
//! parsed, and parsed before they are believed. Pure: the time is an argument. It answers no request and keeps no state,
//! so duplicates are the receiver's matter.

mod body;
mod error;
mod headers;
mod notification;
mod places;
mod secret;
mod sign;
mod signature;
#[cfg(test)]
mod tests;
mod verify;

pub use self::error::FieldProblem;
pub use self::error::WebhookError;
pub use self::headers::Headers;
pub use self::headers::Line;
pub use self::headers::HEADER_ID;
pub use self::headers::HEADER_SIGNATURE;
pub use self::headers::HEADER_STANDARD_SIGNATURE;
pub use self::headers::HEADER_STANDARD_TIMESTAMP;
pub use self::headers::HEADER_TIMESTAMP;
pub use self::notification::Event;
pub use self::notification::IdempotencyKey;
pub use self::notification::Notification;
pub use self::notification::Participant;
pub use self::notification::Room;
pub use self::notification::TerminationReason;
pub use self::places::Place;
pub use self::places::PLACES;
pub use self::secret::SecretOptions;
pub use self::secret::Secrets;
pub use self::secret::MAX_SECRETS;
pub use self::secret::MIN_SECRET_BYTES;
pub use self::secret::STRONG_SECRET_BYTES;
pub use self::sign::sign;
pub use self::sign::SignedHeaders;
pub use self::verify::Checked;
pub use self::verify::Scheme;
pub use self::verify::Verifier;
pub use self::verify::VerifierOptions;
pub use self::verify::DEFAULT_MAX_BODY_BYTES;
pub use self::verify::DEFAULT_TOLERANCE_S;
