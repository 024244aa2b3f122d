//! The grammar of signature headers, decoded into digests without a heap allocation, and their comparison in constant
//! time. Whatever is not exactly of the documented form is refused before any comparison.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

use crate::secret::MAX_SECRETS;

const DIGEST: usize = 32;
/// No longer header is looked at; three Standard Webhooks signatures have 146 bytes, three hex ones 196.
const MAX_HEADER: usize = 512;

/// The digests one header carries: as many as there can be secrets.
#[derive(Default)]
pub(super) struct Digests {
    values: [[u8; DIGEST]; MAX_SECRETS],
    count: usize,
}

impl Digests {
    /// `X-LiveKit-Signature`: 64 hex digits each, either case, separated by a comma and at most one space.
    pub(super) fn from_hex(header: &str) -> Option<Digests> {
        let mut digests = Digests::default();
        for (index, value) in header.split(',').enumerate() {
            let value = match index {
                0 => value,
                _ => value.strip_prefix(' ').unwrap_or(value),
            };
            hex::decode_to_slice(value, digests.next()?).ok()?;
        }
        Some(digests)
    }

    /// `webhook-signature`: `v1,<base64>` values separated by spaces. Other versions are passed over; at least one
    /// value must be of this one.
    pub(super) fn from_standard(header: &str) -> Option<Digests> {
        if header.len() > MAX_HEADER {
            return None;
        }
        let mut digests = Digests::default();
        for value in header
            .split(' ')
            .filter_map(|value| value.strip_prefix("v1,"))
        {
            let mut decoded = [0; DIGEST + 4];
            if STANDARD.decode_slice(value, &mut decoded) != Ok(DIGEST) {
                return None;
            }
            digests.next()?.copy_from_slice(&decoded[..DIGEST]);
        }
        (digests.count > 0).then_some(digests)
    }

    fn next(&mut self) -> Option<&mut [u8; DIGEST]> {
        self.count += 1;
        self.values.get_mut(self.count - 1)
    }

    /// Whether any of the MACs over `parts` is one of the digests. Every pair is compared, whichever matches.
    pub(super) fn match_any(
        &self,
        macs: impl Iterator<Item = Hmac<Sha256>>,
        parts: &[&[u8]],
    ) -> bool {
        let mut found = Choice::from(0);
        for mut mac in macs {
            for part in parts {
                mac.update(part);
            }
            let digest = mac.finalize().into_bytes();
            for value in &self.values[..self.count] {
                found |= digest.as_slice().ct_eq(value);
            }
        }
        found.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "de6a76ddb112030bf8d4ec5ae332d67393b1b0c858fe4dec5da17920fa811507";
    const BASE64: &str = "3mp23bESAwv41Oxa4zLWc5OxsMhY/k3sXaF5IPqBFQc=";

    fn hex_count(header: &str) -> Option<usize> {
        Digests::from_hex(header).map(|digests| digests.count)
    }

    fn standard_count(header: &str) -> Option<usize> {
        Digests::from_standard(header).map(|digests| digests.count)
    }

    #[test]
    fn s1_03_only_the_documented_hex_grammar_is_taken() {
        assert_eq!(hex_count(HEX), Some(1));
        assert_eq!(hex_count(&HEX.to_uppercase()), Some(1));
        assert_eq!(hex_count(&format!("{HEX},{HEX}")), Some(2));
        assert_eq!(hex_count(&format!("{HEX}, {HEX}, {HEX}")), Some(3));
        for header in [
            String::new(),
            HEX[1..].to_owned(),
            format!("{HEX}0"),
            format!("0x{}", &HEX[2..]),
            format!("g{}", &HEX[1..]),
            format!("é{}", &HEX[2..]),
            format!(" {HEX}"),
            format!("{HEX} "),
            format!("{HEX},"),
            format!(",{HEX}"),
            format!("{HEX},  {HEX}"),
            format!("{HEX} ,{HEX}"),
            format!("{HEX};{HEX}"),
            format!("{HEX} {HEX}"),
            format!("sha256={HEX}"),
            [HEX; 4].join(","),
            "ab,".repeat(100_000),
        ] {
            assert_eq!(hex_count(&header), None, "{header:.80}");
        }
    }

    #[test]
    fn s1_03_standard_signatures_need_one_of_version_one_and_tolerate_others() {
        let good = format!("v1,{BASE64}");
        assert_eq!(standard_count(&good), Some(1));
        assert_eq!(standard_count(&format!("v1a,xyz {good} {good}")), Some(2));
        for header in [
            String::new(),
            BASE64.to_owned(),
            "v1a,xyz".to_owned(),
            "v1,".to_owned(),
            format!("v1,{}", &BASE64[1..]),
            format!("v1,{}", &BASE64[4..]),
            format!("v1,A{BASE64}"),
            format!("v1,AAAA{BASE64}"),
            [&*good; 4].join(" "),
            format!("{good} {}", "v2,x ".repeat(1_000)),
        ] {
            assert_eq!(standard_count(&header), None, "{header:.80}");
        }
    }
}
