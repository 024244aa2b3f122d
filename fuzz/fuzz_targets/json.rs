//! No text makes the strict JSON reader panic, and what it takes is JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomhook::json::read_object;

fuzz_target!(|text: &str| {
    if read_object(text).is_ok() {
        serde_json::from_str::<serde_json::Value>(text).expect("what is taken is JSON");
    }
});
