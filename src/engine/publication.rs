//! A publication held by this process: what it is, and whether it is subscribed.
//!
//! Decides that only other participants' publications can be subscribed; refuses the local ones.

use std::sync::Arc;

use crate::engine::core::Core;
use crate::engine::subscription::Subscription;
use crate::engine::wire::Handle;
use crate::engine::{convert, proto, EngineError, EnginePublication, PublicationInfo};

pub(super) struct Publication {
    info: PublicationInfo,
    held: Held,
}

enum Held {
    Local(#[allow(dead_code)] Handle),
    Remote(Arc<Subscription>),
}

impl Publication {
    /// Somebody else's publication in `room`, as an event hands it over.
    pub(super) fn remote(
        core: &Arc<Core>,
        room: u64,
        owned: proto::OwnedTrackPublication,
    ) -> Publication {
        let handle = Handle::own(&core.wire, owned.handle.id);
        Publication {
            info: convert::publication(owned.info),
            held: Held::Remote(Subscription::new(core, handle, room)),
        }
    }

    pub(super) fn local(handle: Handle, info: PublicationInfo) -> Publication {
        Publication {
            info,
            held: Held::Local(handle),
        }
    }
}

impl EnginePublication for Publication {
    fn info(&self) -> &PublicationInfo {
        &self.info
    }

    fn set_subscribed(&self, subscribed: bool) -> Result<(), EngineError> {
        match &self.held {
            Held::Remote(subscription) => subscription.set(subscribed),
            Held::Local(_) => Err(EngineError::Invalid(
                "subscribing: expected another participant's publication, got a local one".into(),
            )),
        }
    }
}
