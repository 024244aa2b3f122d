//! The two calls the rest of the engine makes, as a trait: the tests of the router script the library's side of them.
//!
//! Decides who owns a handle: whoever holds the `Handle`, once. Refuses handle 0, which the library uses for "none".

use std::sync::Arc;

use crate::engine::router::Router;

/// The media library's request path.
pub(super) trait Abi: Send + Sync {
    /// Sends an encoded `FfiRequest`; the encoded `FfiResponse`, or nothing if the library refused (it tells no reason).
    fn request(&self, message: &[u8]) -> Option<Vec<u8>>;
    /// Gives a handle back.
    fn drop_handle(&self, handle: u64) -> bool;
}

/// One of the library's objects, given back when dropped.
pub(super) struct Handle {
    router: Arc<Router>,
    id: u64,
}

impl Handle {
    /// Takes ownership of a handle that the library handed over.
    pub(super) fn own(router: &Arc<Router>, id: u64) -> Handle {
        router.handle_taken();
        Handle {
            router: router.clone(),
            id,
        }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn router(&self) -> &Arc<Router> {
        &self.router
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.router.handle_dropped(self.id);
    }
}

impl<T: Abi> Abi for Arc<T> {
    fn request(&self, message: &[u8]) -> Option<Vec<u8>> {
        T::request(self, message)
    }

    fn drop_handle(&self, handle: u64) -> bool {
        T::drop_handle(self, handle)
    }
}
