//! Range checks for what crosses from JavaScript. Numbers cross as `f64`, because Node-API wraps integers in silence;
//! here they become integers or an error that names the option. It knows no default.

use std::ops::RangeInclusive;

use serde::Serialize;

use crate::error::{Code, Error};

/// The largest whole number a JavaScript number holds exactly.
pub const MAX_SAFE_INTEGER: i64 = 9_007_199_254_740_991;

/// A whole number within `range` (both ends included), as any integer type that holds the range.
/// `path` is the option as the caller wrote it, such as `retry.maxAttempts`.
pub fn integer<T: TryFrom<i64>>(
    value: f64,
    path: &str,
    range: RangeInclusive<i64>,
) -> Result<T, Error> {
    let (min, max) = (*range.start(), *range.end());
    let whole = value.is_finite() && value.fract() == 0.0 && value.abs() <= MAX_SAFE_INTEGER as f64;
    if whole && range.contains(&(value as i64)) {
        if let Ok(converted) = T::try_from(value as i64) {
            return Ok(converted);
        }
    }
    Err(Error::new(
        Code::ConfigInvalid,
        format!("{path} must be a whole number from {min} to {max}, got {value}"),
    ))
}

/// A value as the JSON text it crosses as.
pub fn json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value)
        .map_err(|error| Error::new(Code::ConfigInvalid, "not serialisable").with_source(error))
}

/// A duration or size in whole units, from 0 to what a JavaScript number holds exactly.
pub fn unsigned(value: f64, path: &str) -> Result<u64, Error> {
    integer(value, path, 0..=MAX_SAFE_INTEGER)
}

/// A finite number within `range`, both ends included.
pub fn number(value: f64, path: &str, range: RangeInclusive<f64>) -> Result<f64, Error> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err(Error::new(
        Code::ConfigInvalid,
        format!(
            "{path} must be a number from {} to {}, got {value}",
            range.start(),
            range.end()
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_node_api_would_wrap_are_refused_with_their_path() {
        for value in [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            -1.0,
            1.5,
            65_536.0,
            2f64.powi(40),
            1e300,
        ] {
            let error = integer::<u16>(value, "port", 0..=65_535).unwrap_err();
            assert_eq!(error.code, Code::ConfigInvalid);
            assert!(error.message.starts_with("port must be"), "{error}");
        }
        assert_eq!(
            integer::<u16>(65_535.0, "port", 0..=65_535).unwrap(),
            65_535
        );
        assert_eq!(integer::<i8>(-0.0, "level", -1..=1).unwrap(), 0);
    }

    #[test]
    fn a_range_wider_than_the_type_does_not_wrap() {
        assert!(integer::<u8>(256.0, "byte", 0..=1000).is_err());
    }

    #[test]
    fn whole_numbers_are_exact_up_to_the_largest_safe_integer() {
        assert_eq!(
            unsigned(9_007_199_254_740_991.0, "n").unwrap(),
            9_007_199_254_740_991
        );
        assert!(unsigned(9_007_199_254_740_992.0, "n").is_err());
    }

    #[test]
    fn not_a_number_is_in_no_range() {
        assert!(number(f64::NAN, "jitter", 0.0..=1.0).is_err());
        assert!(number(1.0001, "jitter", 0.0..=1.0).is_err());
        assert_eq!(number(0.5, "jitter", 0.0..=1.0).unwrap(), 0.5);
    }
}
