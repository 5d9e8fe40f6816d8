//! Messages in other hands, and what may be done to them by the receipt of their current attempt.

use std::sync::Arc;
use std::time::Duration;

use crate::attempt::{AttemptLine, Receipt};
use crate::backoff::MAX_DELAY;
use crate::delivery::{Settled, lost};
use crate::error::{Error, Result};
use crate::message::Payload;
use crate::name::State;
use crate::op::bury::{Buried, Bury, BuryItem};
use crate::op::counts::Count;
use crate::op::release::{Release, ReleaseItem, Released};
use crate::partition::Partition;
use crate::queue::Queue;
use crate::routing::validate;
use crate::snapshot::Snapshot;
use crate::store::Ran;

impl<T: Payload> Queue<T> {
    /// Gives back what somebody else holds, without spending a failure: the attempt that the
    /// snapshot saw, and no later one. [`Settled::Lost`] says that this attempt has ended by itself.
    ///
    /// The holder's answer is lost from then on, but nothing stops its work, and somebody else may be
    /// given the message meanwhile: it is meant for holders that are known to be gone.
    pub async fn release_held(&self, held: &Snapshot, delay: Duration) -> Result<Settled> {
        if delay > MAX_DELAY {
            return Err(Error::invalid("delay", &format!("{delay:?}"), "at most ten years"));
        }
        let Some((receipt, line)) = receipt(held) else { return Ok(Settled::Lost) };
        let item = ReleaseItem { receipt, line: line.released(held.max_attempts), delay };
        let store = &self.holder(held)?.store;
        let Ran { reply, repeated } = store.run(&Release(vec![item])).await?;
        Ok(match reply.first() {
            Some(Released::Ready | Released::Scheduled) => Settled::Done,
            _ => lost(repeated),
        })
    }

    /// Makes a dead letter of what somebody else holds: the attempt that the snapshot saw, and no
    /// later one. The holder's answer is lost from then on, but nothing stops its work.
    pub async fn bury_held(&self, held: &Snapshot, reason: &str) -> Result<Settled> {
        let Some((receipt, line)) = receipt(held) else { return Ok(Settled::Lost) };
        let store = &self.holder(held)?.store;
        let now_ms = store.run(&Count).await?.reply.now_ms;
        let item = BuryItem { receipt, line: line.failed(held.max_attempts, now_ms, reason) };
        let Ran { reply, repeated } = store.run(&Bury(vec![item])).await?;
        Ok(match reply.first() {
            Some(Buried::Dead) => Settled::Done,
            _ => lost(repeated),
        })
    }

    /// The partition that the snapshot was taken in.
    fn holder(&self, held: &Snapshot) -> Result<&Arc<Partition>> {
        validate(held.partition.saturating_add(1))?;
        Ok(self.shared().partition(held.partition))
    }
}

/// What settles the attempt that was seen. Whoever was not pending then has no holder, and an
/// attempt that began since is somebody's own.
fn receipt(held: &Snapshot) -> Option<(Receipt, AttemptLine)> {
    let receipt = Receipt { id: held.id, attempt: held.attempt };
    let line = AttemptLine {
        deliveries: held.attempt.saturating_sub(1),
        failures: held.failures,
        history: held.history.clone(),
    };
    (held.state == State::Pending).then_some((receipt, line))
}
