//! No names and values put anything on a wire but valid header lines, each name once.
#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use roomhook::inference::encode::percent_encode;
use roomhook::inference::gateway::socket_url;
use roomhook::inference::hook::Turn;
use roomhook::inference::merge::{Caller, Merge};
use roomhook::inference::name::printable_name;
use roomhook::inference::quota;

fuzz_target!(|input: (Vec<(&str, &str)>, &str)| {
    let (entries, text) = input;
    let mut turn = Turn::default();
    let mut merge = Merge::new(Caller::Request);
    for (name, value) in &entries {
        assert!(printable_name(name).chars().all(|c| c.is_ascii_graphic() || c == '…'));
        let _ = turn.add(name, value, true, &[]);
        merge.call(name, value);
    }
    turn.put_all(&mut merge);
    let mut seen = HashSet::new();
    for (name, value) in merge.headers() {
        assert!(seen.insert(name.to_ascii_lowercase()));
        assert!(name.bytes().all(|b| b.is_ascii_graphic() && b != b':'));
        assert!(value.bytes().all(|b| matches!(b, b'\t' | 0x20..=0x7e)));
    }
    let _ = quota::parse(&entries);
    assert!(percent_encode(text).is_ascii());
    let query = [("model".to_owned(), text.to_owned())];
    if let Some(url) = socket_url("https://gateway.example/v1", "stt", &query) {
        assert_eq!(url.host_str(), Some("gateway.example"));
    }
});
