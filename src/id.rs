//! Words with a type of their own: the ids that must never be mixed up, secrets and personal data that never print.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(value: &str) -> Self {
                $name(value.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(value: String) -> Self {
                $name(value)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// A job, `AJ_…`. One dispatch can yield several.
    JobId
);
id!(
    /// An agent dispatch, `AD_…`.
    DispatchId
);
id!(
    /// A room, `RM_…`.
    RoomSid
);
id!(
    /// A participant, `PA_…`.
    ParticipantSid
);
id!(
    /// A registered worker, `AW_…`.
    WorkerId
);
id!(
    /// One delivery: the same for every attempt of it.
    DeliveryId
);

/// A value that never prints: webhook secrets, API secrets, tokens, bearers.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value so that it no longer prints.
    pub fn new(value: T) -> Self {
        Secret(value)
    }

    /// The value itself. Every call is a place to review.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

/// Personal data: identities, names, metadata, room names. Prints as `[PII]`, so that it never reaches a log line.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pii<T>(pub T);

impl<T> fmt::Debug for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[PII]")
    }
}
