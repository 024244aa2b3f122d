//! No bytes from a server make reading a worker message panic, and what is read can be shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomhook::worker::protocol::decode;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = decode(bytes) {
        let _ = format!("{message:?}");
    }
});
