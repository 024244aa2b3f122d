//! docs/operations.md says what the configuration is: its example works, and no key is left out.

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

#[test]
fn every_key_is_documented() {
    let durations = [
        "start_timeout",
        "drain_timeout",
        "join_timeout",
        "max_duration",
        "timeout",
        "initial_wait",
        "max_wait",
        "budget",
    ];
    let keys = KEYS.iter().chain(agents::AGENT_KEYS).chain(&durations);
    for key in keys {
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
}
