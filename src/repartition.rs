//! The number of partitions: how it is told, and how it is changed while the queue is at work.

use serde::Serialize;

use crate::error::{Error, Result};
use crate::op::counts::Count;
use crate::op::limit::Limits;
use crate::op::pause::Pause;
use crate::op::resume::Resume;
use crate::routing::{Routing, validate};
use crate::shared::Shared;
use crate::spread::caps;
use crate::together::{self, together};

/// Each try is refused only because somebody else has changed the number meanwhile.
const TRIES: u32 = 8;

/// The partitions of a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Partitions {
    /// So many take pushes: those from 0 on.
    pub count: u32,
    /// Those beyond that still hold messages, or do not answer. They are served until they are empty.
    pub draining: Vec<u32>,
}

impl Shared {
    pub(crate) async fn partitions(&self) -> Result<Partitions> {
        let served = self.served().await;
        let count = self.news.known().routing.count;
        Ok(Partitions { count, draining: served.into_iter().filter(|it| *it >= count).collect() })
    }

    /// The first partition decides: what it has taken on is the queue's routing. All else spreads it,
    /// and so does every push that comes by it.
    pub(crate) async fn set_partitions(&self, count: u32) -> Result<Partitions> {
        validate(count)?;
        for _ in 0..TRIES {
            let before = self.latest().await?;
            let next = if before.count == count { before } else { before.changed_to(count) };
            if next.epoch == 0 {
                return self.partitions().await;
            }
            self.prepare(before, next).await?;
            if self.tell(0, next, &[]).await?.routing != next {
                continue;
            }
            self.news.adopt(next);
            self.server.enter(&self.name, next).await.ok();
            let told = together((1..next.ever()).map(|number| self.tell(number, next, &[]))).await;
            // Who knew only the partitions of before may have paused or capped those meanwhile.
            let caps = self.prepare(before, next).await?;
            self.limit(caps).await?;
            told.into_iter().collect::<Result<Vec<_>>>()?;
            return self.partitions().await;
        }
        let reason = "others keep changing the number of partitions".into();
        Err(Error::Unavailable { reason })
    }

    /// What any partition knows; the first one may have lost what it wrote last.
    async fn latest(&self) -> Result<Routing> {
        Box::pin(self.look()).await.ok();
        let known = self.news.known().routing;
        let told = (0..known.ever()).map(|number| self.tell(number, Routing::default(), &[]));
        let told = together(told).await;
        told.into_iter().next().transpose()?;
        Ok(self.news.known().routing)
    }

    /// New partitions begin as the others are, whatever they were before: paused or not, capped or not.
    /// Says the caps of all, which the first one keeps as a whole until all are told their shares.
    async fn prepare(&self, before: Routing, next: Routing) -> Result<Limits> {
        let counted = (0..before.count)
            .map(async |number| Ok(self.partition(number).store.run(&Count).await?.reply));
        let counts = together::all(counted).await?;
        let is_paused = counts.iter().any(|counts| counts.paused);
        let caps = caps(&counts);
        self.limit_one(0, caps).await?;
        let begun = (before.count..next.count).map(async |number| {
            self.limit_one(number, caps.share(number, next.count)).await?;
            let store = &self.partition(number).store;
            if is_paused {
                store.run(&Pause).await.map(|_| ())
            } else {
                store.run(&Resume).await.map(|_| ())
            }
        });
        together::all(begun).await?;
        Ok(caps)
    }
}
