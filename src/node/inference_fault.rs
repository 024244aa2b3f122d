//! What the gateway said when it failed, as JavaScript reads it: from every transport through the one reader of the core.

use napi_derive::napi;

use crate::inference::fault;
use crate::node::convert;
use crate::node::error::throw;
use crate::redact::scrub;

/// The longest body and the longest sentence that are kept, in characters.
const MAX_BODY: usize = 16_384;
const MAX_SENTENCE: usize = 1_024;

/// A failure that the gateway told of. A field that it did not send is absent.
#[napi(object)]
pub struct InferenceFault {
    /// The HTTP status; of a message, its code if that is one.
    pub status_code: Option<u32>,
    /// Such as `inference_quota_exceeded`.
    #[napi(js_name = "type")]
    pub kind: Option<String>,
    pub code: Option<String>,
    /// The quota that was passed, such as `MaxGatewayCredits`.
    pub category: Option<String>,
    /// What it is a quota of, such as `llm`.
    pub quota_type: Option<String>,
    pub remaining_limit: Option<String>,
    /// What to do, in the gateway's words.
    pub hint: Option<String>,
    /// What happened, in the gateway's words. Not for logs.
    pub message: Option<String>,
    /// Whether the same request can succeed later.
    pub retryable: bool,
    /// What was read, cut to a length and without credentials. Not for logs.
    pub body: String,
}

/// Reads a body, an event or a message in which the gateway says that it failed, and judges it. `status` is that of the
/// answer, absent for what came inside a good one. Any text is read.
#[napi(catch_unwind)]
pub fn read_inference_fault(status: Option<f64>, body: String) -> napi::Result<InferenceFault> {
    let status = status
        .map(|status| convert::integer(status, "status", 0..=999))
        .transpose()
        .map_err(throw)?;
    let fault = fault::read(status, &body);
    Ok(InferenceFault {
        status_code: fault.status.map(u32::from),
        kind: fault.kind,
        code: fault.code,
        category: fault.category,
        quota_type: fault.quota_type,
        remaining_limit: fault.remaining_limit,
        hint: fault.hint.map(|hint| kept(&hint, MAX_SENTENCE)),
        message: fault.message.map(|message| kept(&message, MAX_SENTENCE)),
        retryable: fault.retryable,
        body: kept(&body, MAX_BODY),
    })
}

fn kept(text: &str, limit: usize) -> String {
    scrub(text).chars().take(limit).collect()
}
