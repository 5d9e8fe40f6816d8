//! The dead letters of a queue: look at them, bring them back, or let them go.

use std::num::NonZeroU32;

use crate::error::Result;
use crate::name::{MessageId, State};
use crate::op::purge::Purge;
use crate::op::redrive::Redrive;
use crate::op::steer::Steer;
use crate::op::trim::Trim;
use crate::partition::Partition;
use crate::policy::Policy;
use crate::script::{MAX_ITEMS, within};
use crate::shared::Shared;
use crate::snapshot::{self, Page};
use crate::store::Store;
use crate::together;

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
        snapshot::page_of(self.shared, State::Dead, start, limit).await
    }

    /// Brings these back to ready with their failures set to 0; those that are not dead letters are
    /// left alone. Says how many it brought back.
    pub async fn redrive(&self, ids: &[MessageId]) -> Result<u64> {
        self.of_all(ids, async |store, ids| {
            let call = Redrive { limit: ANY, before_ms: ALWAYS_MS, ids, goes_on: false };
            Ok(store.run(&call).await?.reply.redriven)
        })
        .await
    }

    /// Brings back the oldest, at most `limit` (1 to 1,000), that died up to `before_ms` by the
    /// server's clock, from one partition after the other. With [`Counts::now_ms`](crate::Counts) from
    /// before the first call, a loop of calls ends even while redriven messages die again.
    ///
    /// Where the answer is lost the call fails with [`Error::Ambiguous`](crate::Error) and is not repeated:
    /// that could bring back as many again.
    pub async fn redrive_oldest(&self, limit: u32, before_ms: u64) -> Result<Swept> {
        self.oldest(limit, before_ms, async |store, limit, before_ms| {
            let call = Redrive { limit, before_ms, ids: &[], goes_on: false };
            let reply = store.run(&call).await?.reply;
            Ok(Swept { done: reply.redriven, left: reply.left })
        })
        .await
    }

    /// Removes these for good; those that are not dead letters are left alone.
    pub async fn purge(&self, ids: &[MessageId]) -> Result<u64> {
        self.of_all(ids, async |store, ids| {
            let call = Purge { limit: ANY, before_ms: ALWAYS_MS, ids };
            Ok(store.run(&call).await?.reply.purged)
        })
        .await
    }

    /// Removes the oldest, at most `limit` (1 to 1,000), that died up to `before_ms`. Where the answer is
    /// lost it fails with [`Error::Ambiguous`](crate::Error), as [`redrive_oldest`](Self::redrive_oldest) does.
    pub async fn purge_oldest(&self, limit: u32, before_ms: u64) -> Result<Swept> {
        self.oldest(limit, before_ms, async |store, limit, before_ms| {
            let call = Purge { limit, before_ms, ids: &[] };
            let reply = store.run(&call).await?.reply;
            Ok(Swept { done: reply.purged, left: reply.left })
        })
        .await
    }

    /// Removes what is beyond the policy's retention, one bounded step; pollers call it. Says how
    /// many went and whether there are more to go. Each partition keeps its share of the number.
    pub async fn trim(&self) -> Result<(u64, bool)> {
        let partitions = self.shared.all().await;
        let trimmed = partitions.iter().map(async |partition| trim(self.shared, partition).await);
        let trimmed = together::all(trimmed).await?;
        Ok(trimmed.into_iter().fold((0, false), |all, one| (all.0 + one.0, all.1 || one.1)))
    }

    /// Asks all partitions for these ids: each knows its own.
    async fn of_all(
        &self,
        ids: &[MessageId],
        call: impl AsyncFn(&Store, &[MessageId]) -> Result<u64>,
    ) -> Result<u64> {
        let mut done = 0;
        for partition in self.shared.all().await {
            for ids in ids.chunks(MAX_ITEMS) {
                done += call(&partition.store, ids).await?;
            }
        }
        Ok(done)
    }

    /// Takes the oldest of one partition after the other, and says what is left in all.
    async fn oldest(
        &self,
        limit: u32,
        before_ms: u64,
        call: impl AsyncFn(&Store, NonZeroU32, u64) -> Result<Swept>,
    ) -> Result<Swept> {
        let mut more = u64::from(within("step of", limit)?.get());
        let before_ms = before_ms.min(ALWAYS_MS);
        let mut swept = Swept { done: 0, left: 0 };
        for partition in self.shared.all().await {
            let store = &partition.store;
            if let Some(limit) = u32::try_from(more).ok().and_then(NonZeroU32::new) {
                let Swept { done, left } = call(store, limit, before_ms).await?;
                swept = Swept { done: swept.done + done, left: swept.left + left };
                more = more.saturating_sub(done);
            } else {
                let count = Steer { before_ms, ..Steer::default() };
                swept.left += store.run(&count).await?.reply.left;
            }
        }
        Ok(swept)
    }
}

/// One bounded step of retention in one partition.
pub(crate) async fn trim(shared: &Shared, partition: &Partition) -> Result<(u64, bool)> {
    let Policy { dead_age: age, dead_entries, .. } = shared.policy;
    let entries = dead_entries.div_ceil(shared.news.known().routing.count.into());
    let reply = partition.store.run(&Trim { age, entries }).await?.reply;
    Ok((reply.trimmed, reply.more))
}

/// Not looked at when ids are given.
const ANY: NonZeroU32 = NonZeroU32::MIN;
/// The year 2255: beyond every time of death, within what a Lua number holds exactly.
const ALWAYS_MS: u64 = 9_000_000_000_000;
