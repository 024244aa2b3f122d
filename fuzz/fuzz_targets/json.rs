//! No text makes the strict JSON reader panic, and what it reads it can decode.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomhook::json::{read_object, Value};

fuzz_target!(|text: &str| {
    let _ = read_object(text, |key, reader| {
        let _ = key.decode();
        if let Value::Text(value) = reader.value()? {
            let _ = value.decode();
        }
        Ok(())
    });
});
