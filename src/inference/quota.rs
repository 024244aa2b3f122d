//! What the gateway says about quotas in the headers of a response. A missing or unreadable one is unknown, never zero.

#![forbid(unsafe_code)]

/// Limits and usage, each known or not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Quota {
    pub rpm_limit: Option<f64>,
    pub rpm_used: Option<f64>,
    pub tpm_limit: Option<f64>,
    pub tpm_used: Option<f64>,
    pub credits_limit: Option<f64>,
    pub credits_used: Option<f64>,
}

/// Reads the quota headers; names are compared without regard to case. `None` when there is none at all.
pub fn parse(headers: &[(&str, &str)]) -> Option<Quota> {
    let read = |what: &str| {
        let name = format!("x-livekit-inference-{what}");
        headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(&name))
            .and_then(|(_, value)| number(value))
    };
    let quota = Quota {
        rpm_limit: read("rpm-limit"),
        rpm_used: read("rpm-used"),
        tpm_limit: read("tpm-limit"),
        tpm_used: read("tpm-used"),
        credits_limit: read("credits-limit"),
        credits_used: read("credits-used"),
    };
    (quota != Quota::default()).then_some(quota)
}

/// Plain decimal notation only: no sign, exponent or unit.
fn number(text: &str) -> Option<f64> {
    let text = text.trim_matches([' ', '\t']);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| {
        (1..=15).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    (digits(whole) && digits(fraction))
        .then(|| text.parse().ok())
        .flatten()
}
