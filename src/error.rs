//! The one error that leaves the core: a stable code, a message for a person, and whether trying again can help.
//!
//! Modules keep small enums of what can go wrong there; a driver turns them into this type at the top.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

/// What went wrong, as a closed list. `docs/errors.md` and `ts/base/errors.ts` carry the same list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// An option, argument or configuration file is wrong.
    ConfigInvalid,
    /// A user function returned something of the wrong shape.
    HookReturnInvalid,
    /// A job was accepted under an identity that its token does not carry.
    IdentityMismatch,
    /// The handler was given a parsed body where the raw bytes are needed.
    RawBodyUnavailable,
    /// The request carries no signature, or more than one signature header.
    SignatureMissing,
    /// No configured secret verifies the signature.
    SignatureInvalid,
    /// The signed timestamp is outside the freshness window.
    TimestampOutOfTolerance,
    /// The body is larger than the limit.
    BodyTooLarge,
    /// The body is not JSON of the documented form.
    BodyInvalid,
    /// The job is for another agent name.
    WrongAgent,
    /// The token in the body contradicts the body.
    TokenMismatch,
    /// The job is in a state that does not allow the call.
    JobStateConflict,
    /// The job's deadline or its token has passed.
    JobExpired,
    /// A user function threw.
    HookFailed,
    /// A user function did not answer in time.
    HookTimeout,
    /// The receiver runs as many jobs as it may.
    AtCapacity,
    /// The endpoint's address is not allowed.
    EndpointBlocked,
    /// The endpoint answered 410.
    EndpointGone,
    /// One attempt of a delivery failed.
    AttemptFailed,
    /// Every attempt of a delivery failed.
    DeliveryExhausted,
    /// The room could not be joined.
    RoomConnectFailed,
    /// The room is not connected, or the connection ended.
    RoomDisconnected,
    /// The other side broke the control protocol.
    ControlProtocol,
    TransportFailed,
    /// A connection or an answer took longer than allowed.
    TimedOut,
    /// The durable store failed.
    StoreUnavailable,
    /// The native media library cannot be used.
    EngineUnavailable,
    /// The object was closed.
    Closed,
    /// The caller cancelled the operation.
    Aborted,
}

impl Code {
    /// Every code, in the order of `docs/errors.md`.
    pub const ALL: [Code; 29] = [
        Code::ConfigInvalid,
        Code::HookReturnInvalid,
        Code::IdentityMismatch,
        Code::RawBodyUnavailable,
        Code::SignatureMissing,
        Code::SignatureInvalid,
        Code::TimestampOutOfTolerance,
        Code::BodyTooLarge,
        Code::BodyInvalid,
        Code::WrongAgent,
        Code::TokenMismatch,
        Code::JobStateConflict,
        Code::JobExpired,
        Code::HookFailed,
        Code::HookTimeout,
        Code::AtCapacity,
        Code::EndpointBlocked,
        Code::EndpointGone,
        Code::AttemptFailed,
        Code::DeliveryExhausted,
        Code::RoomConnectFailed,
        Code::RoomDisconnected,
        Code::ControlProtocol,
        Code::TransportFailed,
        Code::TimedOut,
        Code::StoreUnavailable,
        Code::EngineUnavailable,
        Code::Closed,
        Code::Aborted,
    ];

    /// The code as it crosses to JavaScript.
    pub const fn as_str(self) -> &'static str {
        match self {
            Code::ConfigInvalid => "CONFIG_INVALID",
            Code::HookReturnInvalid => "HOOK_RETURN_INVALID",
            Code::IdentityMismatch => "IDENTITY_MISMATCH",
            Code::RawBodyUnavailable => "RAW_BODY_UNAVAILABLE",
            Code::SignatureMissing => "SIGNATURE_MISSING",
            Code::SignatureInvalid => "SIGNATURE_INVALID",
            Code::TimestampOutOfTolerance => "TIMESTAMP_OUT_OF_TOLERANCE",
            Code::BodyTooLarge => "BODY_TOO_LARGE",
            Code::BodyInvalid => "BODY_INVALID",
            Code::WrongAgent => "WRONG_AGENT",
            Code::TokenMismatch => "TOKEN_MISMATCH",
            Code::JobStateConflict => "JOB_STATE_CONFLICT",
            Code::JobExpired => "JOB_EXPIRED",
            Code::HookFailed => "HOOK_FAILED",
            Code::HookTimeout => "HOOK_TIMEOUT",
            Code::AtCapacity => "AT_CAPACITY",
            Code::EndpointBlocked => "ENDPOINT_BLOCKED",
            Code::EndpointGone => "ENDPOINT_GONE",
            Code::AttemptFailed => "ATTEMPT_FAILED",
            Code::DeliveryExhausted => "DELIVERY_EXHAUSTED",
            Code::RoomConnectFailed => "ROOM_CONNECT_FAILED",
            Code::RoomDisconnected => "ROOM_DISCONNECTED",
            Code::ControlProtocol => "CONTROL_PROTOCOL",
            Code::TransportFailed => "TRANSPORT_FAILED",
            Code::TimedOut => "TIMED_OUT",
            Code::StoreUnavailable => "STORE_UNAVAILABLE",
            Code::EngineUnavailable => "ENGINE_UNAVAILABLE",
            Code::Closed => "CLOSED",
            Code::Aborted => "ABORTED",
        }
    }
}

/// The error every driver ends in. The message says what was expected, what came and what to do;
/// it never holds a secret, a token, a signature or a body.
#[derive(Debug)]
pub struct Error {
    pub code: Code,
    /// For a person to read.
    pub message: Cow<'static, str>,
    /// Whether the same call can succeed later without a change.
    pub retryable: bool,
    /// What caused it, if anything did.
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error that trying again does not mend.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Error {
            code,
            message: message.into(),
            retryable: false,
            source: None,
        }
    }

    /// An error that trying again may mend.
    pub fn retryable(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Error {
            retryable: true,
            ..Error::new(code, message)
        }
    }

    /// Keeps what caused it.
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}
