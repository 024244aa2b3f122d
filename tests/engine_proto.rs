//! The committed protobuf types are those of the pinned wheel, byte for byte.
//! `ROOMHOOK_UPDATE_PROTO=1 cargo test --test engine_proto` rewrites them after the pin was moved on purpose.

use std::fs;
use std::path::Path;

use prost::Message;

const COMMITTED: &str = "src/engine/proto/livekit.proto.rs";
const DESCRIPTORS: &str = ".cache/engine/livekit_ffi.fds";

fn generate(descriptors: &[u8]) -> String {
    let set = prost_types::FileDescriptorSet::decode(descriptors)
        .expect("the descriptor file is a FileDescriptorSet");
    let out = tempfile::tempdir().expect("a temporary directory");
    prost_build::Config::new()
        .out_dir(out.path())
        .compile_fds(set)
        .expect("prost-build accepts the descriptors");
    fs::read_to_string(out.path().join("livekit.proto.rs")).expect("one file for the one package")
}

#[test]
fn the_committed_types_are_those_of_the_pinned_wheel() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Ok(descriptors) = fs::read(root.join(DESCRIPTORS)) else {
        panic!(
            "{DESCRIPTORS} is missing: run the set-up step that fetches the engine's wheel \
             (it calls scripts/engine-proto.py), then run this test again"
        );
    };
    let generated = generate(&descriptors);
    let committed = root.join(COMMITTED);
    if std::env::var_os("ROOMHOOK_UPDATE_PROTO").is_some() {
        fs::write(&committed, &generated).expect("the sources are writable");
        return;
    }
    let same = fs::read_to_string(&committed).is_ok_and(|text| text == generated);
    assert!(
        same,
        "{COMMITTED} differs from what the pinned wheel yields; if the pin was moved on purpose, \
         run this test with ROOMHOOK_UPDATE_PROTO=1 and commit the result"
    );
}
