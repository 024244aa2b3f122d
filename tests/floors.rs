//! The architecture as a fact: imports point down the floors and every effect has one home.
//! The two tables below are the architecture; they must match ARCHITECTURE.md.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// Path prefix under `src/` → floor. The longest matching prefix wins; a file with no floor fails.
const FLOORS: &[(&str, u8)] = &[
    ("contain", 0),
    ("error", 0),
    ("id", 0),
    ("json", 0),
    ("audio", 1),
    ("inference", 1),
    ("job", 1),
    ("redact", 1),
    ("retry", 1),
    ("token", 1),
    ("worker/protocol", 1),
    ("dispatcher/config", 1),
    ("worker/machine", 2),
    ("dispatcher/machine", 2),
    ("webhook", 2),
    ("clock", 3),
    ("engine", 3),
    ("logs", 3),
    ("net", 3),
    ("store", 3),
    ("room", 4),
    ("status", 4),
    ("worker", 4),
    ("agent", 5),
    ("dispatcher", 5),
    ("node", 6),
];

/// A word → the only module that may say it.
const HOMES: &[(&str, &str)] = &[
    ("napi", "node"),
    ("livekit_ffi_", "engine"),
    ("libloading", "engine"),
    ("rusqlite", "store"),
    ("reqwest", "net"),
    ("tokio_tungstenite", "net"),
];

/// The modules that may be unsafe.
const UNSAFE: &[&str] = &["engine", "node/memory"];

/// Words that floors 0 to 2 never say.
const IMPURE: &[&str] = &[
    "async ",
    ".await",
    "tokio",
    "::now()",
    "getrandom",
    "SystemTime",
    "std::net",
    "std::fs",
];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("src is readable") {
        let path = entry.expect("entries are readable").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// `worker/machine` for `src/worker/machine.rs` as well as `src/worker/machine/mod.rs`.
fn module_of(path: &Path) -> String {
    let text = path.with_extension("").to_string_lossy().replace('\\', "/");
    text.strip_suffix("/mod").unwrap_or(&text).to_owned()
}

fn floor_of(module: &str) -> Option<(&'static str, u8)> {
    FLOORS
        .iter()
        .filter(|(prefix, _)| module == *prefix || module.starts_with(&format!("{prefix}/")))
        .max_by_key(|(prefix, _)| prefix.len())
        .copied()
}

fn imports(line: &str) -> Vec<String> {
    line.match_indices("crate::")
        .map(|(at, word)| {
            line[at + word.len()..]
                .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
                .next()
                .unwrap_or_default()
                .replace("::", "/")
        })
        .collect()
}

/// Everything one file does that its floor forbids.
fn violations(module: &str, text: &str) -> Vec<String> {
    let Some((home, floor)) = floor_of(module) else {
        return vec![format!("{module}: no floor in tests/floors.rs")];
    };
    let mut found = Vec::new();
    let code = text
        .lines()
        .map(str::trim)
        .take_while(|line| *line != "#[cfg(test)]")
        .filter(|line| !line.starts_with("//"));
    for line in code {
        if line.contains("crate::{") {
            found.push(format!(
                "{module}: grouped import `{line}`; one `use crate::…` a line"
            ));
        }
        for target in imports(line) {
            let Some((other, to)) = floor_of(&target) else {
                continue;
            };
            if to > floor || (to == floor && other != home) {
                found.push(format!(
                    "{module} (floor {floor}) says `{line}`: {other} is on floor {to}"
                ));
            }
        }
        for (word, only) in HOMES {
            if line.contains(word) && home.split('/').next() != Some(only) {
                found.push(format!(
                    "{module} says `{word}`, whose home is {only}: `{line}`"
                ));
            }
        }
        let careful = UNSAFE
            .iter()
            .any(|home| module == *home || module.starts_with(&format!("{home}/")));
        if line.contains("unsafe ") && !careful {
            found.push(format!("{module} is unsafe: `{line}`"));
        }
        if floor <= 2 {
            for word in IMPURE.iter().filter(|word| line.contains(**word)) {
                found.push(format!(
                    "{module} (floor {floor}) says `{}`: `{line}`",
                    word.trim()
                ));
            }
        }
    }
    found
}

#[test]
fn imports_point_down_and_every_effect_is_at_home() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 10, "the sources were not found");
    let mut found = Vec::new();
    for file in files {
        let module = module_of(file.strip_prefix(&root).expect("the file is below src"));
        // Test files use whatever they test with, as the test modules inside other files do.
        let is_test = module.split('/').any(|part| part == "tests");
        if module != "lib" && !is_test {
            let text = fs::read_to_string(&file).expect("sources are text");
            found.extend(violations(&module, &text));
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn every_kind_of_violation_is_named() {
    for (module, line) in [
        ("job", "use crate::room::Room;"),
        ("status", "use crate::worker::Worker;"),
        ("job", "use crate::{error, id};"),
        ("job", "use napi::Env;"),
        ("room", "livekit_ffi_request(data)"),
        ("dispatcher", "rusqlite::Connection::open(path)"),
        ("agent", "reqwest::Client::new()"),
        ("worker/machine", "let at = Instant::now();"),
        ("dispatcher/machine", "async fn run() {}"),
        ("node/audio", "let text = unsafe { read(address) };"),
        ("attic", "fn main() {}"),
    ] {
        assert_eq!(violations(module, line).len(), 1, "{module}: {line}");
    }
    assert_eq!(
        violations("agent", "use crate::room::Room;"),
        Vec::<String>::new()
    );
    assert_eq!(
        violations("worker", "use crate::worker::machine::Machine;"),
        Vec::<String>::new()
    );
}
