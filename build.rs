//! Sets up linking for the Node addon, and nothing else.

fn main() {
    #[cfg(feature = "node")]
    napi_build::setup();
}
