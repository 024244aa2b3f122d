//! Why a webhook is refused or cannot be signed: one variant per reason, for logs and metrics, each under one code.
//! No message quotes the request. All the 401 reasons look alike to the sender; that is the handler's work.

use crate::error::{Code, Error};
use crate::json::Flaw;
use crate::secret::SecretError;
use crate::token::TokenFlaw;
use crate::webhook::fields::FieldProblem;

/// Why a webhook is refused, or a verifier or signature cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// A secret is wrong.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// An option is wrong.
    #[error("{path}: expected {expected}, got {found}")]
    Config {
        /// The option, such as `id`.
        path: String,
        /// What it should be.
        expected: &'static str,
        /// What it is, without its content.
        found: String,
    },
    /// Every secret's `notAfter` has passed.
    #[error("every configured secret has passed its notAfter; configure a current one")]
    NoCurrentSecret,
    /// The body is larger than the limit.
    #[error("expected a body of at most {limit} bytes, got {found}")]
    BodyTooLarge {
        /// The limit in bytes.
        limit: usize,
        /// The body's size in bytes.
        found: usize,
    },
    /// A header that carries the signature is absent.
    #[error(
        "expected a `{0}` header, got none; is the sender configured to sign with the same scheme?"
    )]
    SignatureMissing(&'static str),
    /// A header that may come once came several times.
    #[error("expected one `{0}` header line, got several")]
    SignatureRepeated(&'static str),
    /// The signature header is not of the scheme's form.
    #[error("the `{0}` header is not of the documented form")]
    SignatureMalformed(&'static str),
    /// No secret yields the signature.
    #[error("the signature does not match the received bytes under any configured secret; check that both sides have the same secret and that nothing re-encodes the body")]
    SignatureMismatch,
    /// The body is not UTF-8.
    #[error("expected the body to be UTF-8")]
    NotUtf8,
    /// The body is not strict JSON.
    #[error("expected the body to be strict JSON: {0}")]
    Json(#[from] Flaw),
    /// The body is JSON of another form.
    #[error(transparent)]
    Field(#[from] FieldProblem),
    /// The body has no `timestamp`.
    #[error("timestamp: expected Unix seconds, got nothing")]
    TimestampMissing,
    /// The body's `timestamp` is no whole number.
    #[error("timestamp: expected Unix seconds as a whole number")]
    TimestampNotInteger,
    /// The body's `timestamp` is too old.
    #[error(
        "the signed timestamp is {age_s} s old and the limit is {tolerance_s} s; check both clocks"
    )]
    TimestampStale {
        /// How old it is, in seconds.
        age_s: i64,
        /// The limit in seconds.
        tolerance_s: i64,
    },
    /// The body's `timestamp` lies too far ahead.
    #[error("the signed timestamp lies {ahead_s} s ahead and the limit is {tolerance_s} s; check both clocks")]
    TimestampAhead {
        /// How far ahead it is, in seconds.
        ahead_s: i64,
        /// The limit in seconds.
        tolerance_s: i64,
    },
    /// The timestamp header is not the body's `timestamp`.
    #[error("the `{0}` header differs from the body's timestamp")]
    TimestampDiffers(&'static str),
    /// `agent_name` is another agent's.
    #[error("agent_name: expected this agent's name, got another; check which endpoint has which agent name")]
    WrongAgent,
    /// The join token contradicts the body.
    #[error("access_token: {0}")]
    Token(#[from] TokenFlaw),
}

impl WebhookError {
    pub const fn code(&self) -> Code {
        match self {
            WebhookError::Secret(_)
            | WebhookError::Config { .. }
            | WebhookError::NoCurrentSecret => Code::ConfigInvalid,
            WebhookError::BodyTooLarge { .. } => Code::BodyTooLarge,
            WebhookError::SignatureMissing(_) | WebhookError::SignatureRepeated(_) => {
                Code::SignatureMissing
            }
            WebhookError::SignatureMalformed(_) | WebhookError::SignatureMismatch => {
                Code::SignatureInvalid
            }
            WebhookError::NotUtf8 | WebhookError::Json(_) | WebhookError::Field(_) => {
                Code::BodyInvalid
            }
            WebhookError::TimestampMissing
            | WebhookError::TimestampNotInteger
            | WebhookError::TimestampStale { .. }
            | WebhookError::TimestampAhead { .. }
            | WebhookError::TimestampDiffers(_) => Code::TimestampOutOfTolerance,
            WebhookError::WrongAgent => Code::WrongAgent,
            WebhookError::Token(_) => Code::TokenMismatch,
        }
    }
}

impl From<WebhookError> for Error {
    fn from(error: WebhookError) -> Self {
        Error::new(error.code(), error.to_string())
    }
}
