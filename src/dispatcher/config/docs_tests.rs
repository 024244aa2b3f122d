//! docs/operations.md says what the configuration is: its example works, and no key is left out.

use serde::de::DeserializeOwned;

use super::file::{AgentFile, EndpointFile, File, RetryFile};
use super::types::DURATIONS;
use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

const OPERATIONS: &str = include_str!("../../../docs/operations.md");

#[test]
fn the_example_in_the_documentation_works() {
    let (_, rest) = OPERATIONS.split_once("```yaml\n").expect("an example");
    let (example, _) = rest.split_once("```").expect("its end");
    let config = Config::from_yaml(example, &|_| Some(SECRET.to_owned())).unwrap();
    assert_eq!(config.agents[0].endpoints.len(), 2);
}

/// The keys that a shape knows, as it says itself when it meets another one.
fn keys<T: DeserializeOwned>() -> Vec<&'static str> {
    match serde_saphyr::from_str::<T>("not_a_key: 1").err() {
        Some(error) => match error.without_snippet() {
            serde_saphyr::Error::SerdeUnknownField { expected, .. } => expected.clone(),
            other => panic!("{other}"),
        },
        None => panic!("an unknown key was taken"),
    }
}

#[test]
fn every_key_is_documented() {
    let shapes = [
        keys::<File>(),
        keys::<LiveKitFile>(),
        keys::<RetryFile>(),
        keys::<AgentFile>(),
        keys::<EndpointFile>(),
    ];
    for key in shapes.concat() {
        let documented = OPERATIONS
            .lines()
            .filter(|line| line.starts_with('|'))
            .any(|line| {
                line.contains(&format!("{key}`"))
                    || line.contains(&format!("{key}[]"))
                    || line.contains(&format!("{key}."))
            });
        assert!(documented, "docs/operations.md has no row for {key}");
    }
    assert!(shapes.concat().len() > 30);
}

#[test]
fn every_duration_is_told_from_a_plain_number_in_program_options() {
    let all = [keys::<File>(), keys::<RetryFile>(), keys::<EndpointFile>()].concat();
    for key in DURATIONS {
        assert!(all.contains(key), "{key} is no key");
    }
}
