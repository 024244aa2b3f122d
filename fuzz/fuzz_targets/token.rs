//! No text makes reading a token's claims or an HTTP date panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomhook::retry::parse_retry_after;
use roomhook::token::Claims;

fuzz_target!(|input: (&str, i64)| {
    let (text, now) = input;
    let _ = parse_retry_after(text, now);
    if let Ok(claims) = Claims::decode(text) {
        let _ = claims.check("room", Some("identity"), now);
    }
});
