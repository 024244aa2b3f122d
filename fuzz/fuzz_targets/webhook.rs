//! No signed bytes make the verifier panic, under either scheme, and no header text verifies bytes that it does not sign.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomhook::secret::{SecretOptions, Secrets};
use roomhook::webhook::{sign, Headers, Line, Scheme, Verifier, VerifierOptions};

fuzz_target!(|input: (&[u8], &str, i64)| {
    let (body, header, now_ms) = input;
    let options = VerifierOptions::new(vec![SecretOptions::new("a webhook secret for fuzzing")]);
    let secrets = Secrets::new(&options.secrets).expect("the secret is long enough");
    let signed = sign(&secrets, body, "D_1", 1).expect("the id is of the documented form");
    for scheme in [Scheme::LiveKit, Scheme::Standard] {
        let options = VerifierOptions { scheme, ..options.clone() };
        let verifier = Verifier::new(options).expect("the options are the defaults");
        let _ = verifier.verify(&Headers::from_lines(signed.iter()), body, now_ms);
        let line = Line::joined(header);
        let forged = Headers {
            signature: line,
            timestamp: line,
            id: line,
            standard_timestamp: line,
            standard_signature: line,
        };
        assert!(verifier.verify(&forged, body, now_ms).is_err());
    }
});
