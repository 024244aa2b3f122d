//! The verifier on input that nobody wrote: it never panics, and only what was signed verifies.

use proptest::prelude::*;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn s1_01_a_changed_body_is_refused(
        at: prop::sample::Index, byte: u8, cut: prop::sample::Index, insert: Option<u8>,
    ) {
        let (verifier, body, signature, now_ms) = complete_job();
        let mut changed = body.clone();
        *at.get_mut(&mut changed) = byte;
        if let Some(byte) = insert {
            changed.insert(cut.index(body.len()), byte);
        }
        if changed != body {
            prop_assert_eq!(refuses(&verifier, &signature, &changed, now_ms), Some(WebhookError::SignatureMismatch));
        }
        let cut = &body[..cut.index(body.len())];
        prop_assert_eq!(refuses(&verifier, &signature, cut, now_ms), Some(WebhookError::SignatureMismatch));
    }

    #[test]
    fn s1_03_no_header_text_verifies_or_panics(header in "\\PC{0,200}|[0-9a-fA-F, ]{0,200}|[v1,=+/A-Za-z0-9 ]{0,200}") {
        let (verifier, body, signature, now_ms) = complete_job();
        prop_assume!(!header.eq_ignore_ascii_case(&signature));
        prop_assert!(refuses(&verifier, &header, &body, now_ms).is_some());
        let standard = Verifier::new(VerifierOptions {
            scheme: Scheme::Standard,
            ..VerifierOptions::new(secrets(&["your-webhook-secret"]))
        }).unwrap();
        let line = Line::One(header.as_str());
        let headers = Headers { id: line, standard_timestamp: line, standard_signature: line, ..Headers::default() };
        prop_assert!(standard.verify(&headers, &body, now_ms).is_err());
    }

    #[test]
    fn what_is_signed_verifies_whatever_its_bytes_and_is_judged_without_a_panic(
        body in prop::collection::vec(any::<u8>(), 0..300), now_ms: i64,
    ) {
        let options = VerifierOptions::new(secrets(&["your-webhook-secret", "the-secret-before-this-one"]));
        let signed = sign(&Secrets::new(&options.secrets).unwrap(), &body, "D_1", 1).unwrap();
        for scheme in [Scheme::LiveKit, Scheme::Standard] {
            let verifier = Verifier::new(VerifierOptions { scheme, ..options.clone() }).unwrap();
            let error = verifier.verify(&Headers::from_lines(signed.iter()), &body, now_ms).unwrap_err();
            prop_assert!(matches!(error, WebhookError::NotUtf8 | WebhookError::Json(_)), "{}", error);
        }
    }

    #[test]
    fn a_signed_body_with_one_damaged_byte_is_judged_without_a_panic(at: prop::sample::Index, byte: u8) {
        let (verifier, mut body, _, now_ms) = complete_job();
        *at.get_mut(&mut body) = byte;
        let signed = sign(&Secrets::new(&secrets(&["your-webhook-secret"])).unwrap(), &body, "D_1", 1).unwrap();
        let headers = Headers { timestamp: Line::Absent, ..Headers::from_lines(signed.iter()) };
        let result = verifier.verify(&headers, &body, now_ms);
        let signature_failed = matches!(result, Err(WebhookError::SignatureMismatch));
        prop_assert!(!signature_failed);
    }
}
