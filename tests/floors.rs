//! The architecture as a fact: imports point down the floors, no file imports itself by way of others, and every effect
//! has one home. The tables below are the architecture; they must match ARCHITECTURE.md.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Path prefix under `src/` → floor. The longest matching prefix wins; a file with no floor fails.
const FLOORS: &[(&str, u8)] = &[
    ("contain", 0),
    ("error", 0),
    ("id", 0),
    ("json", 0),
    ("time", 0),
    ("words", 0),
    ("address", 1),
    ("audio", 1),
    ("inference", 1),
    ("job", 1),
    ("redact", 1),
    ("retry", 1),
    ("secret", 1),
    ("token", 1),
    ("worker/protocol", 1),
    ("dispatcher/config", 2),
    ("worker/machine", 2),
    ("dispatcher/machine", 2),
    ("webhook", 2),
    ("clock", 3),
    ("engine", 3),
    ("logs", 3),
    ("net", 3),
    ("room", 4),
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
    ("rusqlite", "dispatcher/store"),
    ("reqwest", "net"),
    ("tokio_tungstenite", "net"),
];

/// The modules that may be unsafe.
const UNSAFE: &[&str] = &["engine"];

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

type Sources = BTreeMap<String, String>;

fn files_below(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("src is readable") {
        let path = entry.expect("entries are readable").path();
        if path.is_dir() {
            files_below(&path, found);
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

/// The shipped code of every module. Files that only tests include use whatever they test with.
fn sources() -> Sources {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    files_below(&root, &mut files);
    let all: Sources = files
        .iter()
        .map(|file| {
            let module = module_of(file.strip_prefix(&root).expect("the file is below src"));
            (module, fs::read_to_string(file).expect("sources are text"))
        })
        .filter(|(module, _)| module != "lib")
        .collect();
    let tests: Vec<String> = all
        .iter()
        .flat_map(|(module, text)| test_modules(module, text))
        .collect();
    all.into_iter()
        .filter(|(module, _)| !tests.iter().any(|test| within(module, test)))
        .map(|(module, text)| (module, shipped(&text)))
        .collect()
}

fn within(module: &str, home: &str) -> bool {
    module == home || module.starts_with(&format!("{home}/"))
}

/// The files that a module declares for tests alone.
fn test_modules(module: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines
        .windows(2)
        .filter(|pair| pair[0].starts_with("#[cfg(test)]") || pair[0].starts_with("#[cfg(any(test"))
        .filter_map(|pair| pair[1].rsplit_once("mod "))
        .filter_map(|(_, rest)| rest.strip_suffix(';'))
        .map(|name| format!("{module}/{name}"))
        .collect()
}

/// A file without its comments and without the items that only tests compile, wherever in the file they stand.
fn shipped(text: &str) -> String {
    let mut kept = Vec::new();
    let mut lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            kept.push(line);
            continue;
        }
        // rustfmt ends an item at its own indentation: with a bracket, or on the line it began with a semicolon.
        let indent = line.len() - line.trim_start().len();
        let ends_here = |line: &str| {
            let at = line.len() - line.trim_start().len();
            let last = line.trim_end().chars().last();
            at == indent
                && (line.trim_start().starts_with(['}', ')'])
                    || last == Some(';')
                    || last == Some(','))
        };
        for skipped in lines.by_ref() {
            if !skipped.trim_start().starts_with("#[") && ends_here(skipped) {
                break;
            }
        }
    }
    kept.join("\n")
}

fn floor_of(module: &str) -> Option<(&'static str, u8)> {
    FLOORS
        .iter()
        .filter(|(prefix, _)| within(module, prefix))
        .max_by_key(|(prefix, _)| prefix.len())
        .copied()
}

/// Every path into the crate that a text names, `use` lists spelt out: `error/Code` and `error/Error` for
/// `crate::error::{Code, Error}`.
fn paths(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, word) in text.match_indices("crate::") {
        let rest = &text[at + word.len()..];
        let end = rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
            .unwrap_or(rest.len());
        let path = rest[..end].replace("::", "/");
        match rest[end..].strip_prefix('{') {
            Some(list) => {
                let list = &list[..list.find('}').unwrap_or(list.len())];
                for name in list
                    .split(',')
                    .map(str::trim)
                    .filter(|name| !name.is_empty())
                {
                    let name = name.split_whitespace().next().unwrap_or_default();
                    found.insert(format!("{path}{}", name.replace("::", "/")));
                }
            }
            None => {
                found.insert(path);
            }
        }
    }
    found
}

/// What a module hands on under its own name: `dispatcher/Event` → `dispatcher/events/Event`.
fn reexports(sources: &Sources) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (module, text) in sources {
        for (at, _) in text.match_indices("\npub") {
            let item = text[at..].split(';').next().unwrap_or_default();
            let Some((head, path)) = item.split_once("use ") else {
                continue;
            };
            if head.contains('{') {
                continue;
            }
            for target in paths(path) {
                if let Some((_, name)) = target.rsplit_once('/') {
                    found.insert(format!("{module}/{name}"), target.clone());
                }
            }
        }
    }
    found
}

/// Which file each file needs, re-exports followed to where a name is written.
fn graph(sources: &Sources) -> BTreeMap<String, BTreeSet<String>> {
    let handed_on = reexports(sources);
    let file_of = |path: &str| {
        let mut path = path.to_owned();
        for _ in 0..8 {
            let known = handed_on.iter().find(|(name, _)| within(&path, name));
            let Some((_, target)) = known else { break };
            path = target.clone();
        }
        loop {
            if sources.contains_key(&path) {
                return Some(path);
            }
            path = path.rsplit_once('/')?.0.to_owned();
        }
    };
    sources
        .iter()
        .map(|(module, text)| {
            let own = without_reexports(text);
            let targets = paths(&own).into_iter().filter_map(|path| file_of(&path));
            (
                module.clone(),
                targets.filter(|target| target != module).collect(),
            )
        })
        .collect()
}

/// Handing a name on is not needing it.
fn without_reexports(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("\npub use ") {
        kept.push_str(&rest[..at]);
        rest = rest[at + 1..]
            .split_once(';')
            .map_or("", |(_, after)| after);
    }
    kept + rest
}

/// One circle in a graph, as its names in order.
fn circle(graph: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn walk<'a>(
        name: &'a str,
        graph: &'a BTreeMap<String, BTreeSet<String>>,
        path: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
    ) -> Option<Vec<String>> {
        if let Some(at) = path.iter().position(|on| *on == name) {
            let names = path[at..].iter().chain([&name]);
            return Some(names.map(|name| (*name).to_owned()).collect());
        }
        if done.contains(name) {
            return None;
        }
        path.push(name);
        for next in graph.get(name).into_iter().flatten() {
            if let Some(found) = walk(next, graph, path, done) {
                return Some(found);
            }
        }
        path.pop();
        done.insert(name);
        None
    }
    let mut done = BTreeSet::new();
    graph
        .keys()
        .find_map(|name| walk(name, graph, &mut Vec::new(), &mut done))
}

/// Everything one file does that its floor forbids.
fn violations(module: &str, text: &str) -> Vec<String> {
    let Some((home, floor)) = floor_of(module) else {
        return vec![format!("{module}: no floor in tests/floors.rs")];
    };
    let mut found = Vec::new();
    for target in paths(text) {
        let Some((other, to)) = floor_of(&target) else {
            continue;
        };
        if to > floor || (to == floor && other != home) {
            found.push(format!(
                "{module} (floor {floor}) says `{target}`: {other} is on floor {to}"
            ));
        }
    }
    for line in text.lines().map(str::trim) {
        if line.contains("crate::{") {
            found.push(format!(
                "{module}: `{line}` groups homes; one `use crate::home::…` for each"
            ));
        }
        for (word, only) in HOMES {
            if line.contains(word) && !within(module, only) {
                found.push(format!(
                    "{module} says `{word}`, whose home is {only}: `{line}`"
                ));
            }
        }
        if line.contains("unsafe ") && !UNSAFE.iter().any(|home| within(module, home)) {
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
    let sources = sources();
    assert!(sources.len() > 100, "the sources were not found");
    let found: Vec<String> = sources
        .iter()
        .flat_map(|(module, text)| violations(module, text))
        .collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn no_file_imports_itself_by_way_of_others() {
    assert_eq!(circle(&graph(&sources())), None);
}

#[test]
fn every_kind_of_violation_is_named() {
    for (module, line) in [
        ("job", "use crate::room::Room;"),
        ("job", "use crate::room::{Room, RoomError};"),
        ("agent", "use crate::dispatcher::Dispatcher;"),
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
        let found = violations(module, line);
        assert!(
            !found.is_empty() && found.len() <= 2,
            "{module}: {line}: {found:?}"
        );
    }
    for (module, line) in [
        ("agent", "use crate::room::Room;"),
        ("worker", "use crate::worker::machine::Machine;"),
    ] {
        assert_eq!(violations(module, line), Vec::<String>::new());
    }
}

#[test]
fn what_follows_a_test_module_is_read_and_the_test_module_is_not() {
    let text = "use a;\n#[cfg(test)]\nmod tests {\n    use napi::Env;\n}\n\n#[cfg(test)]\nmod more;\nuse napi::Env;\n";
    assert_eq!(shipped(text), "use a;\n\nuse napi::Env;");
    assert_eq!(test_modules("job", text), ["job/more"]);
}

#[test]
fn a_circle_is_found_through_lists_and_names_that_are_handed_on() {
    let planted = |c: &str| -> Sources {
        [
            ("job", "\npub use crate::job::b::B;\n"),
            ("job/a", "use crate::job::B;"),
            ("job/b", "use crate::job::{\n    c::C,\n    x,\n};"),
            ("job/c", c),
        ]
        .map(|(module, text)| (module.to_owned(), text.to_owned()))
        .into()
    };
    let names = ["job/a", "job/b", "job/c", "job/a"].map(str::to_owned);
    assert_eq!(
        circle(&graph(&planted("let a = crate::job::a::A;"))),
        Some(names.to_vec())
    );
    assert_eq!(circle(&graph(&planted(""))), None);
}
