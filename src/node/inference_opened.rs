//! How an attempt to open a gateway socket ended, as JavaScript is told: a value, not an error, because the status and
//! what else the gateway said has to cross too. Of a refusal's headers only those about waiting, quota and support do.

use napi_derive::napi;

use crate::clock::{Clock, SystemClock};
use crate::inference::attempt::is_retryable_status;
use crate::net::ws::{Refusal, WsError};
use crate::retry::parse_retry_after;

/// Says when to come again.
const RETRY_AFTER: &str = "retry-after";

/// What the gateway's people ask for.
const REQUEST_ID: &str = "x-request-id";

/// How an attempt to open ended: `open`, `refused` (with `status`), `timeout`, `cancelled`, or `failed`.
#[napi(object)]
pub struct InferenceSocketOpened {
    pub kind: String,
    pub status: Option<u32>,
    /// Whether the same attempt can succeed later; of a refusal its body decides, which `readInferenceFault` reads.
    pub retryable: bool,
    /// Of a refusal: `retry-after` in milliseconds from now.
    pub retry_after_ms: Option<f64>,
    /// Of a refusal: `retry-after`, `x-request-id` and the quota, as pairs of name and value.
    pub headers: Vec<Vec<String>>,
    /// Of a refusal: its body. Not for logs.
    pub body: String,
    /// For a person, unless it is open.
    pub message: String,
}

pub(super) fn opened(kind: &str, status: Option<u16>, message: &str) -> InferenceSocketOpened {
    InferenceSocketOpened {
        kind: kind.to_owned(),
        status: status.map(u32::from),
        retryable: status.map_or(kind != "cancelled", is_retryable_status),
        retry_after_ms: None,
        headers: Vec::new(),
        body: String::new(),
        message: message.to_owned(),
    }
}

fn refused(refusal: &Refusal, message: &str) -> InferenceSocketOpened {
    let now = SystemClock.now_ms();
    let told: Vec<Vec<String>> = (refusal.headers.iter())
        .filter(|(name, _)| {
            [RETRY_AFTER, REQUEST_ID].contains(&name.as_str())
                || name.starts_with("x-livekit-inference-")
        })
        .map(|(name, value)| vec![name.clone(), value.clone()])
        .collect();
    let retry_after = (refusal.headers.iter()).find(|(name, _)| name == RETRY_AFTER);
    InferenceSocketOpened {
        retry_after_ms: retry_after
            .and_then(|(_, value)| parse_retry_after(value, now))
            .map(|wait_ms| wait_ms as f64),
        headers: told,
        body: String::from_utf8_lossy(&refusal.body).into_owned(),
        ..opened("refused", Some(refusal.status), message)
    }
}

pub(super) fn failed(error: &WsError) -> InferenceSocketOpened {
    let message = error.to_string();
    match error {
        WsError::Refused(refusal) => refused(refusal, &message),
        WsError::Timeout(_) => opened("timeout", None, &message),
        WsError::Address(_) | WsError::Header => InferenceSocketOpened {
            retryable: false,
            ..opened("failed", None, &message)
        },
        _ => opened("failed", None, &message),
    }
}
