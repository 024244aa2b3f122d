//! No names and values put anything on a wire but valid header lines, each name once.
#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use roomhook::inference::encode::percent_encode;
use roomhook::inference::gateway::socket_url;
use roomhook::inference::hook::{add, check_entry};
use roomhook::inference::name::printable_name;
use roomhook::inference::quota;

fuzz_target!(|input: (Vec<(&str, &str)>, &str)| {
    let (entries, text) = input;
    let mut captured = Vec::new();
    for (name, value) in &entries {
        assert!(printable_name(name).chars().all(|c| c.is_ascii_graphic() || c == '…'));
        if let Ok(entry) = check_entry(name, value, true) {
            let _ = add(&mut captured, entry);
        }
    }
    let mut seen = HashSet::new();
    for (name, value) in &captured {
        assert!(seen.insert(name.lower().to_owned()));
        assert!(name.as_str().bytes().all(|b| b.is_ascii_graphic() && b != b':'));
        assert!(value.expose().bytes().all(|b| matches!(b, b'\t' | 0x20..=0x7e)));
    }
    let _ = quota::parse(&entries);
    assert!(percent_encode(text).is_ascii());
    let query = [("model".to_owned(), text.to_owned())];
    if let Some(url) = socket_url("https://gateway.example/v1", "stt", &query) {
        assert_eq!(url.host_str(), Some("gateway.example"));
    }
});
