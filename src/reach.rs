//! The partitions that a redrive goes through, one after the other, and what is left in them.

use std::num::NonZeroU32;

use crate::error::Result;
use crate::name::MessageId;
use crate::op::redrive::Redrive;
use crate::store::Store;
use crate::task::{RedriveTask, left};

#[derive(Debug)]
pub(crate) struct Reach {
    pub(crate) stores: Vec<Store>,
    /// Dead letters where the task is, and everywhere else; unknown until somebody has looked.
    left: Option<(u64, u64)>,
}

impl Reach {
    pub(crate) fn new(stores: Vec<Store>, task: &RedriveTask) -> Self {
        // One partition has told of itself with the task.
        let left = (stores.len() == 1).then_some((task.left, 0));
        Self { stores, left }
    }

    /// The partition that keeps the task.
    pub(crate) fn keeper(&self) -> &Store {
        &self.stores[0]
    }

    /// The partition that the task is at.
    pub(crate) fn place(&self, task: &RedriveTask) -> &Store {
        self.stores.get(task.partition as usize).unwrap_or(self.keeper())
    }

    pub(crate) fn is_exhausted(&self) -> bool {
        self.left.is_none_or(|(here, _)| here == 0)
    }

    /// Goes on to the next partition, if there is one.
    pub(crate) fn advance(&mut self, task: &mut RedriveTask) -> bool {
        let more = task.partition as usize + 1 < self.stores.len();
        if more {
            task.partition += 1;
            self.left = None;
        }
        more
    }

    /// Counts what is left, unless that is known.
    pub(crate) async fn survey(&mut self, task: &mut RedriveTask) -> Result<()> {
        if self.left.is_none() {
            let all = left(&self.stores, task.before_ms).await?;
            let here = all.get(task.partition as usize).copied().unwrap_or(0);
            task.left = all.iter().sum();
            self.left = Some((here, task.left - here));
        }
        Ok(())
    }

    /// Notes what is left where the task is, and says how much that is in all, if that is known.
    pub(crate) fn note(&mut self, here: u64) -> Option<u64> {
        let left = self.left.as_mut()?;
        left.0 = here;
        Some(left.0 + left.1)
    }

    /// Redrives in another partition than the one that keeps the task, and says what is left there.
    /// Whoever pauses the task meanwhile lets this one step pass.
    pub(crate) async fn bring_back(
        &self,
        task: &mut RedriveTask,
        limit: u32,
        ids: &[MessageId],
    ) -> Result<u64> {
        let Some(limit) = NonZeroU32::new(limit.max(u32::from(!ids.is_empty()))) else {
            return Ok(self.left.map_or(0, |(here, _)| here));
        };
        let call = Redrive { limit, before_ms: task.before_ms, ids, goes_on: true };
        let done = self.place(task).run(&call).await?.reply;
        task.moved += done.redriven;
        Ok(done.left)
    }
}
