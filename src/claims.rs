//! Claims that cannot get lost between the server and whoever asked for them.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::backoff::millis;
use crate::batch::cut;
use crate::delivery::Delivery;
use crate::error::{Error, Result};
use crate::message::Payload;
use crate::op::claim::{Claim, Left};
use crate::op::release::Release;
use crate::partition::Partition;
use crate::shared::Shared;
use crate::snapshot::REPLY_BYTES;

/// A partition that takes longer to answer is passed over while there are others.
const PATIENCE: Duration = Duration::from_secs(1);
/// The same for all that come behind a first message, together.
const PATIENCE_IN_HAND: Duration = Duration::from_millis(500);

/// Shorter than any failover. A claim that took longer may have been answered by a master that was
/// replaced meanwhile and does not know it yet: to the new one its receipts may be those of others.
const NO_FAILOVER: Duration = Duration::from_secs(1);

/// What a claim brought. Dropped, it releases what was not taken out of it.
#[derive(Debug)]
pub(crate) struct Claimed<T: Payload> {
    pub(crate) left: Left,
    /// When the call that brought it was sent, which an earlier try of it was not.
    pub(crate) sent: Instant,
    partition: Arc<Partition>,
    deliveries: Vec<Delivery<T>>,
    /// What is not wanted is left to the end of its lease.
    doubtful: bool,
}

impl<T: Payload> Claimed<T> {
    pub(crate) fn len(&self) -> usize {
        self.deliveries.len()
    }

    /// The first ones.
    pub(crate) fn take(mut self, most: usize) -> Vec<Delivery<T>> {
        let most = most.min(self.deliveries.len());
        self.deliveries.drain(..most).collect()
    }

    /// Puts everything back at the head of the queue, in its order.
    pub(crate) async fn release(mut self) {
        let deliveries = self.unwanted();
        release(Arc::clone(&self.partition), deliveries).await;
    }

    fn unwanted(&mut self) -> Vec<Delivery<T>> {
        let unwanted = std::mem::take(&mut self.deliveries);
        if self.doubtful && !unwanted.is_empty() {
            let (queue, count) = (&self.partition.name, unwanted.len());
            tracing::warn!(%queue, count, "claimed too late: they come back when their leases end");
            return Vec::new();
        }
        unwanted
    }
}

impl<T: Payload> Drop for Claimed<T> {
    fn drop(&mut self) {
        let unwanted = self.unwanted();
        if !unwanted.is_empty()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(release(Arc::clone(&self.partition), unwanted));
        }
    }
}

/// Claims in a task of its own: a caller that goes away, at whatever moment, does not keep the
/// messages from their next holder.
pub(crate) async fn claim<T: Payload>(
    partition: &Arc<Partition>,
    limit: u32,
    lease: Duration,
) -> Result<Claimed<T>> {
    let claim = Claim { limit, bytes: REPLY_BYTES, lease };
    let (sender, receiver) = oneshot::channel();
    let partition = Arc::clone(partition);
    tokio::spawn(async move { sender.send(claim_now(&partition, claim).await).ok() });
    let stopped = |_| Error::Ambiguous { reason: "the runtime has ended".into() };
    receiver.await.map_err(stopped)?
}

/// Claims from one partition after the other, each time beginning with another one. It fails when
/// it found nothing, and one of them failed. Leases run from the first message on: with one in hand
/// nobody waits for a partition that is slow to answer.
pub(crate) async fn gather<T: Payload>(
    shared: &Shared,
    limit: u32,
    lease: Duration,
) -> Result<Vec<Delivery<T>>> {
    let partitions = shared.all().await;
    if let [only] = partitions[..] {
        let claimed = claim(only, limit, lease).await?;
        return Ok(claimed.take(limit as usize));
    }
    let (mut gathered, mut failed) = (Vec::new(), None);
    let mut left = limit as usize;
    let from = fastrand::usize(..partitions.len());
    let mut given_up = None;
    for partition in partitions.iter().cycle().skip(from).take(partitions.len()) {
        let wanted = u32::try_from(left).unwrap_or(u32::MAX);
        let late = |_| Error::Unavailable { reason: "a partition does not answer".into() };
        let patience = given_up.map_or(PATIENCE, |it: Instant| it - Instant::now());
        let claimed = timeout(patience, claim::<T>(partition, wanted, lease)).await;
        match claimed.map_err(late).and_then(|claimed| claimed) {
            Ok(claimed) => {
                left = left.saturating_sub(claimed.len());
                if claimed.len() > 0 {
                    given_up.get_or_insert_with(|| Instant::now() + PATIENCE_IN_HAND);
                }
                gathered.push(claimed);
            }
            Err(error) => {
                let (queue, partition) = (&shared.name, partition.number);
                tracing::warn!(%queue, partition, %error, "claim failed");
                failed = Some(error);
            }
        }
        if left == 0 || given_up.is_some_and(|given_up| given_up <= Instant::now()) {
            break;
        }
    }
    match failed {
        Some(error) if left == limit as usize => Err(error),
        _ => Ok(gathered.into_iter().flat_map(|claimed| claimed.take(limit as usize)).collect()),
    }
}

async fn claim_now<T: Payload>(partition: &Arc<Partition>, claim: Claim) -> Result<Claimed<T>> {
    let begun = Instant::now();
    let (claimed, sent) = partition.store.run_timed(&claim).await?;
    // A try that went before it may have been answered too late by one who was replaced since.
    let doubtful = is_doubtful(begun.elapsed(), partition.store.route().may_change());
    let claimed_ms = claimed.deadline_ms.saturating_sub(millis(claim.lease));
    let deliver = |message| Delivery::new(partition, message, claimed_ms);
    let deliveries = claimed.messages.into_iter().map(deliver).collect();
    Ok(Claimed { left: claimed.left, sent, partition: Arc::clone(partition), deliveries, doubtful })
}

fn is_doubtful(took: Duration, may_change: bool) -> bool {
    may_change && took >= NO_FAILOVER
}

/// A delivery that cannot be released comes back when its lease ends.
async fn release<T: Payload>(partition: Arc<Partition>, deliveries: Vec<Delivery<T>>) {
    let items = deliveries.iter().map(|delivery| delivery.release_item(Duration::ZERO)).collect();
    // Each call puts its messages before those of the call before it.
    for items in cut::<Release>(items).into_iter().rev() {
        if let Err(error) = partition.store.run(&Release(items)).await {
            tracing::warn!(%error, "deliveries could not be released");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_claim_is_doubtful_where_another_server_may_have_taken_over() {
        let in_time = NO_FAILOVER.mul_f32(0.999);
        assert!(is_doubtful(NO_FAILOVER, true) && !is_doubtful(in_time, true));
        assert!(!is_doubtful(10 * NO_FAILOVER, false));
    }
}
