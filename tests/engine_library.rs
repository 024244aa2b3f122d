//! A library that is missing, damaged or not ours is one clear sentence, and the process goes on.

use std::fs::File;
use std::path::Path;

use roomhook::engine::{EngineError, NativeEngine};

const VARIABLE: &str = "ROOMHOOK_ENGINE_PATH";

fn refusal(path: &Path) -> String {
    std::env::set_var(VARIABLE, path);
    match NativeEngine::load() {
        Err(EngineError::Unavailable(message)) => message,
        Err(error) => format!("another error: {error}"),
        Ok(()) => "loaded".into(),
    }
}

#[allow(unsafe_code)]
fn load_elsewhere(path: &Path) -> libloading::Library {
    // SAFETY: the pinned library's initialisers need nothing from the caller.
    unsafe { libloading::Library::new(path) }.expect("loaded by somebody else")
}

/// How many images of the library are in this process.
fn images() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux");
    let files = maps
        .lines()
        .filter_map(|line| line.split_once('/'))
        .map(|(_, path)| path)
        .filter(|path| path.contains("liblivekit_ffi.so"));
    files.collect::<std::collections::BTreeSet<_>>().len()
}

/// One test, because the environment and the loaded library belong to the whole process.
#[test]
fn only_the_pinned_library_is_loaded_and_a_refusal_can_be_mended() {
    let real = std::env::var_os(VARIABLE).map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/engine/liblivekit_ffi.so"),
        Into::into,
    );
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("liblivekit_ffi.so");
    let shown = path.display().to_string();

    let missing = refusal(&path);
    assert!(
        missing.contains(&shown) && missing.contains("cannot be read"),
        "{missing}"
    );

    std::fs::write(&path, b"not a library").expect("writable");
    let short = refusal(&path);
    assert!(
        short.contains(&shown) && short.contains("got 13"),
        "{short}"
    );

    let size = std::fs::metadata(&real)
        .expect("the library was fetched")
        .len();
    let file = File::create(&path).expect("writable");
    file.set_len(size).expect("a file of zeros");
    let damaged = refusal(&path);
    assert!(damaged.contains("expected SHA-256"), "{damaged}");

    // F-R13: somebody else in this process uses that very file.
    let other = load_elsewhere(&real);
    std::env::set_var(VARIABLE, &real);
    NativeEngine::load().expect("the real one is loaded");
    assert_eq!(images(), 2, "an image of our own");
    drop(other);
    std::env::set_var(VARIABLE, &path);
    NativeEngine::load().expect("and stays loaded");
    assert_eq!(
        std::env::var_os("TOKIO_WORKER_THREADS"),
        None,
        "the bound is not left behind"
    );
}
