//! The library's own log records.
//!
//! Decides that they are for whoever debugs the library: they can carry identities and URLs, so none of them is ever
//! above DEBUG here. Refuses them before decoding when nobody listens: the library sends every record of every level.

use crate::engine::proto;

const TARGET: &str = "roomhook::engine::library";

/// The tag of `FfiEvent.logs` (field 18, length-delimited), which such an event starts with.
const TAG: [u8; 2] = [0x92, 0x01];

/// Whether these are log records that nobody wants.
pub(super) fn unwanted(event: &[u8]) -> bool {
    event.starts_with(&TAG) && !tracing::enabled!(target: TARGET, tracing::Level::DEBUG)
}

/// Hands records on: errors, warnings and information as DEBUG, the rest as TRACE.
pub(super) fn forward(batch: proto::LogBatch) {
    for record in batch.records {
        let level = record.level().as_str_name();
        let (module, message) = (record.target.as_str(), scrub(&record.message));
        match record.level() {
            proto::LogLevel::LogError | proto::LogLevel::LogWarn | proto::LogLevel::LogInfo => {
                tracing::debug!(target: TARGET, level, module, "{message}");
            }
            _ => tracing::trace!(target: TARGET, level, module, "{message}"),
        }
    }
}

/// The text without the values of `access_token=…` and without anything that looks like a signed token.
pub(super) fn scrub(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("eyJ") {
        let (before, token) = rest.split_at(at);
        out.push_str(before);
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.=".contains(c);
        let end = token.find(|c| !plain(c)).unwrap_or(token.len());
        out.push_str("[token]");
        rest = &token[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;

    #[test]
    fn a_batch_of_records_is_known_by_its_first_bytes() {
        let event = proto::FfiEvent {
            message: Some(proto::ffi_event::Message::Logs(proto::LogBatch {
                records: vec![proto::LogRecord::default()],
            })),
        };
        assert!(unwanted(&event.encode_to_vec()));
        let other = proto::FfiEvent {
            message: Some(proto::ffi_event::Message::Disconnect(
                proto::DisconnectCallback { async_id: 1 },
            )),
        };
        assert!(!unwanted(&other.encode_to_vec()));
    }

    #[test]
    fn tokens_are_cut_out_of_the_text() {
        assert_eq!(
            scrub("GET /rtc?access_token=eyJhbGci.eyJpc3Mi.c2ln&sdk=node failed"),
            "GET /rtc?access_token=[token]&sdk=node failed"
        );
        assert_eq!(scrub("nothing here"), "nothing here");
    }
}
