//! Whether another participant's publication is received.
//!
//! **The server is told wishes in their order, and last what was wanted last.** The library tells it of each in a task of
//! its own, so two wishes in one moment may arrive in the wrong order, and the first would stand. So they are kept apart
//! here. Refuses to keep a line of them: a wish that takes back the one before it removes it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::engine::core::Core;
use crate::engine::proto::ffi_request::Message as Ask;
use crate::engine::wire::Handle;
use crate::engine::{proto, EngineError};

/// How far apart two wishes are told. Their tasks start within microseconds where the library is not starved.
pub(super) const APART: Duration = Duration::from_millis(100);

/// Wishes that wait: to end what there is and to begin anew, at most.
const MOST_WAITING: usize = 2;

#[derive(Default)]
struct Wishes {
    /// What the library was told last, and when.
    told: Option<(bool, Instant)>,
    waiting: VecDeque<bool>,
}

impl Wishes {
    /// Adds a wish to those that wait.
    fn wait(&mut self, subscribed: bool) {
        if self.waiting.back() == Some(&subscribed) {
            return;
        }
        if self.waiting.len() < MOST_WAITING {
            self.waiting.push_back(subscribed);
        } else {
            self.waiting.pop_back();
        }
    }
}

/// Whether one publication is received. It holds the publication's handle.
pub(super) struct Subscription {
    core: Arc<Core>,
    handle: Handle,
    room: u64,
    wishes: Mutex<Wishes>,
}

impl Subscription {
    pub(super) fn new(core: &Arc<Core>, handle: Handle, room: u64) -> Arc<Subscription> {
        Arc::new(Subscription {
            core: core.clone(),
            handle,
            room,
            wishes: Mutex::default(),
        })
    }

    /// Subscribes or unsubscribes: now, or as soon as it may be told.
    pub(super) fn set(self: &Arc<Self>, subscribed: bool) -> Result<(), EngineError> {
        let mut wishes = self.wishes.lock();
        if !wishes.waiting.is_empty() {
            wishes.wait(subscribed);
            return Ok(());
        }
        match wishes.told {
            Some((told, at)) if at + APART > Instant::now() => {
                if told == subscribed {
                    return Ok(());
                }
                self.start_teller(at + APART)?;
                wishes.wait(subscribed);
                Ok(())
            }
            _ => self.tell(&mut wishes, subscribed),
        }
    }

    /// Starts what tells the wishes that wait, one at a time, until there are none.
    fn start_teller(self: &Arc<Self>, mut due: Instant) -> Result<(), EngineError> {
        let Some(runtime) = self.core.rooms.runtime(self.room) else {
            let message = "the room is no longer connected: join it again to go on";
            return Err(EngineError::Closed(message.into()));
        };
        let kept = Arc::downgrade(self);
        runtime.spawn(async move {
            loop {
                tokio::time::sleep_until(due).await;
                due += APART;
                if !kept.upgrade().is_some_and(|this| this.tell_next()) {
                    return;
                }
            }
        });
        Ok(())
    }

    /// Tells the wish that has waited longest; `false` if none is left.
    fn tell_next(&self) -> bool {
        let mut wishes = self.wishes.lock();
        if let Some(&wish) = wishes.waiting.front() {
            if let Err(error) = self.tell(&mut wishes, wish) {
                tracing::debug!("{error}");
            }
            wishes.waiting.pop_front();
        }
        !wishes.waiting.is_empty()
    }

    fn tell(&self, wishes: &mut Wishes, subscribed: bool) -> Result<(), EngineError> {
        let ask = Ask::SetSubscribed(proto::SetSubscribedRequest {
            subscribe: subscribed,
            publication_handle: self.handle.id(),
        });
        self.core.wire.call("change the subscription", ask)?;
        wishes.told = Some((subscribed, Instant::now()));
        Ok(())
    }
}
