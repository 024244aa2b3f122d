//! Lets no panic out: of a future that runs on another thread, or of a call from code that cannot unwind.
//!
//! Decides what a panic becomes: one error that says it is our bug. Refuses to swallow it: its place is printed already.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

/// Something panicked, which is a bug of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a bug in roomhook's native core; the panic's place is on the error stream, please report it"
)]
pub struct Panicked;

impl From<Box<dyn Any + Send>> for Panicked {
    fn from(_payload: Box<dyn Any + Send>) -> Panicked {
        Panicked
    }
}

/// The future's output, or that it panicked. What it had borrowed is not looked at again.
pub fn future<F: Future>(future: F) -> impl Future<Output = Result<F::Output, Panicked>> {
    AssertUnwindSafe(future)
        .catch_unwind()
        .map(|outcome| outcome.map_err(Panicked::from))
}

/// The call's value, or that it panicked.
pub fn call<T>(call: impl FnOnce() -> T) -> Result<T, Panicked> {
    std::panic::catch_unwind(AssertUnwindSafe(call)).map_err(Panicked::from)
}
