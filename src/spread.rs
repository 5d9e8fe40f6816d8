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
        Ok(Counts::sum(counts, self.news.known().routing.count))
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
        self.ask(&Pause).await.map(|_| ())
    }

    pub(crate) async fn resume(&self) -> Result<()> {
        self.ask(&Resume).await.map(|_| ())
    }

    /// Each partition that takes pushes gets its share.
    pub(crate) async fn limit(&self, limits: Limits) -> Result<Limits> {
        self.fresh().await;
        let count = self.news.known().routing.count;
        let limited = (0..count).map(async |number| {
            let call = Limit(limits.share(number, count));
            Ok(self.partition(number).store.run(&call).await?.reply)
        });
        together::all(limited).await?.into_iter().reduce(Limits::and).ok_or_else(nobody)
    }

    /// The first partition goes last: it is the one that knows of the others.
    pub(crate) async fn destroy(&self) -> Result<u64> {
        Box::pin(self.look()).await;
        let mut destroyed = 0;
        for number in (0..self.news.known().routing.ever()).rev() {
            destroyed += self.partition(number).store.run(&Destroy).await?.reply;
        }
        self.news.forget().await;
        self.server.unregister(&self.name).await;
        Ok(destroyed)
    }
}

fn nobody() -> crate::error::Error {
    crate::error::Error::reply("a call of all partitions", "nothing")
}
