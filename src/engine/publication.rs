//! A publication held by this process: what it is, and whether it is subscribed.
//!
//! Decides that only other participants' publications can be subscribed; refuses the local ones.

use std::sync::Arc;

use crate::engine::abi::Handle;
use crate::engine::convert;
use crate::engine::proto;
use crate::engine::proto::ffi_request::Message as Ask;
use crate::engine::router::Router;
use crate::engine::EngineError;
use crate::engine::EnginePublication;
use crate::engine::PublicationInfo;

pub(super) struct Publication {
    handle: Handle,
    info: PublicationInfo,
    remote: bool,
}

impl Publication {
    /// Somebody else's publication, as an event hands it over.
    pub(super) fn new(router: &Arc<Router>, owned: proto::OwnedTrackPublication) -> Publication {
        Publication {
            handle: Handle::own(router, owned.handle.id),
            info: convert::publication(owned.info),
            remote: true,
        }
    }

    /// Our own.
    pub(super) fn local(handle: Handle, info: PublicationInfo) -> Publication {
        Publication {
            handle,
            info,
            remote: false,
        }
    }
}

impl EnginePublication for Publication {
    fn info(&self) -> &PublicationInfo {
        &self.info
    }

    fn set_subscribed(&self, subscribed: bool) -> Result<(), EngineError> {
        if !self.remote {
            return Err(EngineError::Invalid(
                "subscribing: expected another participant's publication, got a local one".into(),
            ));
        }
        let ask = Ask::SetSubscribed(proto::SetSubscribedRequest {
            subscribe: subscribed,
            publication_handle: self.handle.id(),
        });
        self.handle
            .router()
            .call("change the subscription", ask)
            .map(drop)
    }
}
