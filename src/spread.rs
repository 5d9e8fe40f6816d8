//! What is asked of all partitions at once, and how their answers become one.

use std::num::NonZeroU32;

use crate::error::Result;
use crate::op::counts::{Count, Counts};
use crate::op::destroy::Destroy;
use crate::op::limit::{Limit, Limits};
use crate::op::pause::Pause;
use crate::op::redeliver::{Redeliver, Redelivered};
use crate::op::resume::Resume;
use crate::script::Call;
use crate::shared::Shared;
use crate::together::{self, together};

impl Shared {
    /// Each partition's own answer. When one fails, the others have been asked all the same.
    async fn ask<C: Call>(&self, call: &C) -> Result<Vec<C::Reply>> {
        let partitions = self.all().await;
        let asked = partitions.iter().map(async |it| Ok(it.store.run(call).await?.reply));
        together::all(asked).await
    }

    pub(crate) async fn counts(&self) -> Result<Counts> {
        let counts = self.ask(&Count).await?;
        let partitions = self.news.known().routing.count;
        let pushed_to = &counts[..counts.len().min(partitions as usize)];
        let Limits { max_ready, max_bytes } = caps(pushed_to);
        let [max_ready, max_bytes] = [max_ready, max_bytes].map(|cap| cap.filter(|cap| *cap > 0));
        Ok(Counts { partitions, max_ready, max_bytes, ..Counts::sum(counts) })
    }

    pub(crate) async fn counts_by_partition(&self) -> Vec<Result<Counts>> {
        let partitions = self.all().await;
        together(partitions.iter().map(async |it| Ok(it.store.run(&Count).await?.reply))).await
    }

    pub(crate) async fn redeliver(&self, limit: NonZeroU32) -> Result<Redelivered> {
        let done = self.ask(&Redeliver { limit, poller: "" }).await?.into_iter();
        done.reduce(Redelivered::and).ok_or_else(nobody)
    }

    pub(crate) async fn pause(&self) -> Result<()> {
        self.order(&Pause).await
    }

    pub(crate) async fn resume(&self) -> Result<()> {
        self.order(&Resume).await
    }

    /// What has to reach all partitions, those of the last few seconds too.
    async fn order<C: Call>(&self, call: &C) -> Result<()> {
        Box::pin(self.look()).await.ok();
        self.ask(call).await.map(|_| ())
    }

    /// Each partition that takes pushes gets its share. The first one has the whole of the caps until
    /// all others have theirs: so they are known wherever this breaks off.
    pub(crate) async fn limit(&self, limits: Limits) -> Result<Limits> {
        Box::pin(self.look()).await.ok();
        let count = self.news.known().routing.count;
        let share = |number| self.limit_one(number, limits.share(number, count));
        if count > 1 {
            self.limit_one(0, limits).await?;
        }
        let others = together::all((1..count).map(share)).await?;
        let mut held = vec![share(0).await?];
        held.extend(others);
        Ok(Limits::whole(&held))
    }

    pub(crate) async fn limit_one(&self, number: u32, limits: Limits) -> Result<Limits> {
        Ok(self.partition(number).store.run(&Limit(limits)).await?.reply)
    }

    /// The first partition goes last: it is the one that knows of the others.
    pub(crate) async fn destroy(&self) -> Result<u64> {
        Box::pin(self.look()).await.ok();
        let mut destroyed = 0;
        for number in (0..self.news.known().routing.ever()).rev() {
            destroyed += self.partition(number).store.run(&Destroy).await?.reply;
        }
        self.news.forget().await;
        self.server.unregister(&self.name).await;
        Ok(destroyed)
    }
}

/// The caps of which these partitions have the shares.
pub(crate) fn caps(counts: &[Counts]) -> Limits {
    let shares =
        counts.iter().map(|it| Limits { max_ready: it.max_ready, max_bytes: it.max_bytes });
    Limits::whole(&shares.collect::<Vec<_>>())
}

fn nobody() -> crate::error::Error {
    crate::error::Error::reply("a call of all partitions", "nothing")
}
