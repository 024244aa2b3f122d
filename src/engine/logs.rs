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

/// Hands records on: errors, warnings and information as DEBUG, the rest as TRACE. Whoever shows them cuts credentials
/// out (`crate::logs` does): the library writes its requests and the server's answers down whole.
pub(super) fn forward(batch: proto::LogBatch) {
    for record in batch.records {
        let severity = record.level().as_str_name();
        let (module, message) = (record.target.as_str(), record.message.as_str());
        match record.level() {
            proto::LogLevel::LogError | proto::LogLevel::LogWarn | proto::LogLevel::LogInfo => {
                tracing::debug!(target: TARGET, severity, module, "{message}");
            }
            _ => tracing::trace!(target: TARGET, severity, module, "{message}"),
        }
    }
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
}
