//! No text makes reading the dispatcher's configuration panic, neither as YAML nor as a program's options, and every refusal
//! is a sentence.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomhook::dispatcher::config::Config;

fuzz_target!(|input: (&str, Option<&str>)| {
    let (text, variable) = input;
    let env = |_: &str| variable.map(str::to_owned);
    for read in [Config::from_yaml(text, &env), Config::from_options(text)] {
        match read {
            Ok(config) => assert!(!config.agents.is_empty()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
});
