//! The dead letters of a queue: look at them, bring them back, or let them go.

use crate::error::Result;
use crate::name::{MessageId, State};
use crate::op::purge::Purge;
use crate::op::redrive::Redrive;
use crate::op::trim::Trim;
use std::num::NonZeroU32;

use crate::script::{MAX_ITEMS, within};
use crate::shared::Shared;
use crate::snapshot::{self, Page};

/// What [`Queue::dead`](crate::Queue::dead) gives: the operations on messages that were given up.
#[derive(Debug)]
pub struct DeadLetters<'a> {
    pub(crate) shared: &'a Shared,
}

/// What one bounded call of redrive or purge did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// Messages moved or removed by this call.
    pub done: u64,
    /// Dead letters that are left within the bound of the call.
    pub left: u64,
}

impl<'a> DeadLetters<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Self {
        Self { shared }
    }

    /// A page of dead letters, oldest first, from the given index on.
    pub async fn peek(&self, start: u64, limit: u32) -> Result<Page> {
        snapshot::page(&self.shared.store, State::Dead, start, limit).await
    }

    /// Brings these back to ready with their failures set to 0; those that are not dead letters are
    /// left alone. Says how many it brought back.
    pub async fn redrive(&self, ids: &[MessageId]) -> Result<u64> {
        let mut done = 0;
        for ids in ids.chunks(MAX_ITEMS) {
            let call = Redrive { limit: ANY, before_ms: ALWAYS_MS, ids };
            done += self.shared.store.run(&call).await?.reply.redriven;
        }
        Ok(done)
    }

    /// Brings back the oldest, at most `limit` (1 to 1,000), that died up to `before_ms` by the
    /// server's clock. With [`Counts::now_ms`](crate::Counts) from before the first call, a loop of
    /// calls ends even while redriven messages die again.
    pub async fn redrive_oldest(&self, limit: u32, before_ms: u64) -> Result<Swept> {
        let limit = within("step of", limit)?;
        let call = Redrive { limit, before_ms: before_ms.min(ALWAYS_MS), ids: &[] };
        let reply = self.shared.store.run(&call).await?.reply;
        Ok(Swept { done: reply.redriven, left: reply.left })
    }

    /// Removes these for good; those that are not dead letters are left alone.
    pub async fn purge(&self, ids: &[MessageId]) -> Result<u64> {
        let mut done = 0;
        for ids in ids.chunks(MAX_ITEMS) {
            let call = Purge { limit: ANY, before_ms: ALWAYS_MS, ids };
            done += self.shared.store.run(&call).await?.reply.purged;
        }
        Ok(done)
    }

    /// Removes the oldest, at most `limit` (1 to 1,000), that died up to `before_ms`.
    pub async fn purge_oldest(&self, limit: u32, before_ms: u64) -> Result<Swept> {
        let limit = within("step of", limit)?;
        let call = Purge { limit, before_ms: before_ms.min(ALWAYS_MS), ids: &[] };
        let reply = self.shared.store.run(&call).await?.reply;
        Ok(Swept { done: reply.purged, left: reply.left })
    }

    /// Removes what is beyond the policy's retention, one bounded step; pollers call it. Says how
    /// many went and whether there are more to go.
    pub async fn trim(&self) -> Result<(u64, bool)> {
        let policy = &self.shared.policy;
        let call = Trim { age: policy.dead_age, entries: policy.dead_entries };
        let reply = self.shared.store.run(&call).await?.reply;
        Ok((reply.trimmed, reply.more))
    }
}

/// Not looked at when ids are given.
const ANY: NonZeroU32 = NonZeroU32::MIN;
/// The year 2255: beyond every time of death, within what a Lua number holds exactly.
const ALWAYS_MS: u64 = 9_000_000_000_000;
