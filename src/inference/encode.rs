//! Percent-encoding of a text (a display name, say) so that it fits a header value.

#![forbid(unsafe_code)]

/// UTF-8, everything escaped but `A-Z a-z 0-9 - _ . ! ~ * ' ( )`: what JavaScript's `decodeURIComponent` gives back.
pub fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            encoded.push('%');
            encoded.push(char::from(HEX[usize::from(byte >> 4)]));
            encoded.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::name::check_value;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_encoded_text_is_a_header_value(text in ".{0,200}") {
            prop_assert!(check_value(&percent_encode(&text)).is_ok());
        }
    }
}
