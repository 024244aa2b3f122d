//! Memory that the core writes and JavaScript reads in place. The only `unsafe` outside src/engine: it takes nothing but
//! memory that is written through atomics, and refuses runtimes that would hand JavaScript a copy.

use std::sync::atomic::AtomicU32;
use std::sync::Arc;

use napi::bindgen_prelude::ArrayBuffer;
use napi::Env;

use super::error::throw;
use crate::audio::Piece;
use crate::error::{Code, Error};

/// Numbers in one place that does not move while the owner lives, written through atomics only.
pub(super) trait Atomics: Send + Sync + 'static {
    /// Where they begin, and how many bytes they take.
    fn place(&self) -> (*mut u8, usize);
}

impl Atomics for Piece {
    fn place(&self) -> (*mut u8, usize) {
        (self.address(), self.bytes())
    }
}

impl Atomics for [AtomicU32] {
    fn place(&self) -> (*mut u8, usize) {
        (self.as_ptr().cast_mut().cast(), size_of_val(self))
    }
}

/// The numbers as JavaScript sees them. Share each owner once: two buffers over one memory are an error of V8's.
#[allow(unsafe_code)]
pub(super) fn share<T: Atomics + ?Sized>(
    env: &Env,
    owner: Arc<T>,
) -> napi::Result<ArrayBuffer<'_>> {
    let (address, bytes) = owner.place();
    // SAFETY: the place is inside the owner, which the finalizer holds, so it outlives the buffer; this side reads and writes
    // it through atomics only.
    let buffer =
        unsafe { ArrayBuffer::from_external(env, address, bytes, owner, |_, owner| drop(owner)) }?;
    if buffer.as_ptr() == address.cast_const() {
        return Ok(buffer);
    }
    let message = "audio cannot be received: this JavaScript runtime does not allow memory shared with native code \
                   (external array buffers); use Node.js";
    Err(throw(Error::new(Code::EngineUnavailable, message)))
}
