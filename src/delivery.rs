//! A message in somebody's hands, under a lease, until it is settled.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::attempt::{AttemptLine, Failure, Receipt};
use crate::backoff::Backoff;
use crate::error::{Error, Result};
use crate::message::{Header, Payload};
use crate::metrics::Meter;
use crate::name::MessageId;
use crate::op::ack::Acked;
use crate::op::bury::{Buried, BuryItem};
use crate::op::claim::ClaimedMessage;
use crate::op::extend::{ExtendItem, Extended};
use crate::op::release::{ReleaseItem, Released};
use crate::op::retry::{Failed, RetryItem};
use crate::partition::Partition;
use crate::policy;
use crate::record::Record;

use crate::spans;
use crate::store::Ran;

/// What became of the attempt to settle a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a lost lease means that somebody else may be at work on the message"]
pub enum Settled {
    /// Settled, by this call.
    Done,
    /// Nothing changed: the lease has ended and the message went back, or it was settled before.
    Lost,
    /// The answer to a first try was lost, and the repeated call found the receipt used up:
    /// most likely by that first try.
    Unknown,
}

/// What became of a failed delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a lost lease means that somebody else may be at work on the message"]
pub enum Retried {
    /// It comes back after this delay.
    After(Duration),
    /// Its failures are spent: it is a dead letter now.
    Dead,
    /// Nothing changed, see [`Settled::Lost`].
    Lost,
    /// See [`Settled::Unknown`].
    Unknown,
}

impl Retried {
    /// The same, without where the message went.
    pub fn settled(self) -> Settled {
        match self {
            Self::After(_) | Self::Dead => Settled::Done,
            Self::Lost => Settled::Lost,
            Self::Unknown => Settled::Unknown,
        }
    }
}

pub(crate) fn lost(repeated: bool) -> Settled {
    if repeated { Settled::Unknown } else { Settled::Lost }
}

/// A message under a lease. Settle it with [`ack`](Self::ack), [`retry`](Self::retry),
/// [`bury`](Self::bury) or [`release`](Self::release); dropped, it comes back when its lease ends,
/// and that spends one failure.
#[must_use = "a delivery that is not settled comes back when its lease ends"]
pub struct Delivery<T> {
    partition: Arc<Partition>,
    receipt: Receipt,
    record: Record,
    line: AttemptLine,
    claimed_ms: u64,
    claimed: Instant,
    payload: PhantomData<fn() -> T>,
}

impl<T> std::fmt::Debug for Delivery<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery").field("receipt", &self.receipt).finish_non_exhaustive()
    }
}

impl<T: Payload> Delivery<T> {
    pub(crate) fn new(
        partition: &Arc<Partition>,
        message: ClaimedMessage,
        claimed_ms: u64,
    ) -> Self {
        let ClaimedMessage { id, record, line } = message;
        let receipt = Receipt { id, attempt: line.deliveries + 1 };
        let (partition, claimed) = (Arc::clone(partition), Instant::now());
        Self { partition, receipt, record, line, claimed_ms, claimed, payload: PhantomData }
    }

    /// The message's id.
    pub fn id(&self) -> MessageId {
        self.receipt.id
    }

    /// Which delivery this is, counted from 1.
    pub fn attempt(&self) -> u64 {
        self.receipt.attempt
    }

    /// When it was claimed: ms since 1970 by the server's clock.
    pub fn claimed_ms(&self) -> u64 {
        self.claimed_ms
    }

    /// How many failures the message has behind it since its push or its last redrive.
    pub fn failures(&self) -> u64 {
        self.line.failures
    }

    /// Failures after which the message dies; 0 = never.
    pub fn max_attempts(&self) -> u32 {
        self.record.max
    }

    /// The last failures, newest first.
    pub fn history(&self) -> &[Failure] {
        &self.line.history
    }

    /// Kind, content type and the user's headers.
    pub fn header(&self) -> &Header {
        &self.record.header
    }

    /// Decodes the payload. An error means that no handler of `T` can work on this message:
    /// [`bury`](Self::bury) it, as a [`Worker`](crate::Worker) does, and its bytes are kept.
    pub fn payload(&self) -> Result<T> {
        self.record.decode()
    }

    /// The payload's bytes; all bytes of a record that cannot be read.
    pub fn bytes(&self) -> &[u8] {
        self.record.payload()
    }

    /// The message is done; it is removed.
    pub async fn ack(&self) -> Result<Settled> {
        let Ran { reply, repeated } = self.partition.ack.submit(self.receipt).await?;
        Ok(match reply {
            Acked::Acked => Settled::Done,
            Acked::Lost => lost(repeated),
        })
    }

    /// The attempt failed: the message comes back after the delay that its backoff gives, or dies.
    pub async fn retry(&self, error: &str) -> Result<Retried> {
        self.settle_retry(None, error).await
    }

    /// The attempt failed: the message comes back after the given delay, or dies.
    pub async fn retry_after(&self, delay: Duration, error: &str) -> Result<Retried> {
        self.settle_retry(Some(delay), error).await
    }

    /// No attempt can succeed: the message goes to the dead letters at once.
    pub async fn bury(&self, reason: &str) -> Result<Settled> {
        let item = BuryItem { receipt: self.receipt, line: self.failed_line(reason) };
        let Ran { reply, repeated } = self.partition.bury.submit(item).await?;
        Ok(match reply {
            Buried::Dead => Settled::Done,
            Buried::Lost => lost(repeated),
        })
    }

    /// Gives the message back without spending a failure; zero puts it at the head of the queue.
    pub async fn release(&self, delay: Duration) -> Result<Settled> {
        if delay > crate::backoff::MAX_DELAY {
            return Err(Error::invalid("delay", &format!("{delay:?}"), "at most ten years"));
        }
        let item = self.release_item(delay);
        let Ran { reply, repeated } = self.partition.release.submit(item).await?;
        Ok(match reply {
            Released::Ready | Released::Scheduled => Settled::Done,
            Released::Lost => lost(repeated),
        })
    }

    /// Makes the lease end this long from now, if that is later than it would.
    pub async fn extend(&self, lease: Duration) -> Result<Settled> {
        let item = ExtendItem { receipt: self.receipt, lease: policy::lease(lease)? };
        let Ran { reply, repeated } = self.partition.extend.submit(item).await?;
        Ok(match reply {
            Extended::Extended => Settled::Done,
            Extended::Lost => lost(repeated),
        })
    }

    /// The span in which it is handled.
    pub(crate) fn span(&self) -> tracing::Span {
        spans::process(&self.partition.name, (self.id(), self.attempt()), self.header())
    }

    pub(crate) fn meter(&self) -> &Meter {
        self.partition.store.meter()
    }

    /// The number of the partition that it came from.
    pub(crate) fn partition(&self) -> u32 {
        self.partition.number
    }

    pub(crate) fn receipt(&self) -> Receipt {
        self.receipt
    }

    pub(crate) async fn settle_retry(
        &self,
        delay: Option<Duration>,
        error: &str,
    ) -> Result<Retried> {
        let delay = match delay {
            Some(delay) if delay > crate::backoff::MAX_DELAY => {
                return Err(Error::invalid("delay", &format!("{delay:?}"), "at most ten years"));
            }
            Some(delay) => delay,
            None => self.backoff(),
        };
        let item = RetryItem { receipt: self.receipt, line: self.failed_line(error), delay };
        let Ran { reply, repeated } = self.partition.retry.submit(item).await?;
        Ok(match reply {
            Failed::Scheduled => Retried::After(delay),
            Failed::Ready => Retried::After(Duration::ZERO),
            Failed::Dead => Retried::Dead,
            Failed::Lost if repeated => Retried::Unknown,
            Failed::Lost => Retried::Lost,
        })
    }

    pub(crate) fn release_item(&self, delay: Duration) -> ReleaseItem {
        let line = self.line.clone().released(self.record.max);
        ReleaseItem { receipt: self.receipt, line, delay }
    }

    fn backoff(&self) -> Duration {
        let backoff: &Backoff =
            self.record.header.backoff.as_ref().unwrap_or(&self.partition.policy.backoff);
        let failure = u32::try_from(self.line.failures + 1).unwrap_or(u32::MAX);
        backoff.delay(failure, self.receipt.id.seed())
    }

    /// The server's time at the claim plus what has passed here: no clock of this host is told.
    fn failed_line(&self, error: &str) -> String {
        let passed = u64::try_from(self.claimed.elapsed().as_millis()).unwrap_or(u64::MAX);
        let at_ms = self.claimed_ms.saturating_add(passed);
        self.line.clone().failed(self.record.max, at_ms, error)
    }
}
