//! Leases that are kept alive in batches, from a thread that no handler can block.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::attempt::Receipt;
use crate::batch::MAX_BATCH;
use crate::error::Result;
use crate::name::{MessageId, QueueName};
use crate::op::extend::{Extend, ExtendItem, Extended};
use crate::partition::Partition;
use crate::sweep::{Next, Sweep};

/// Extensions a lease gets while it lasts: two may fail before it ends.
const EXTENSIONS_PER_LEASE: u32 = 3;

/// The deliveries of one partition that a worker's handlers have in their hands.
#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<BTreeMap<MessageId, Held>>);

#[derive(Debug)]
struct Held {
    receipt: Receipt,
    since: Instant,
    until: Instant,
    lost: CancellationToken,
    /// Its handler has answered: nobody is left to be told.
    settling: bool,
}

impl Held {
    fn tell_lost(&self) {
        if !self.settling {
            self.lost.cancel();
        }
    }
}

impl Leases {
    fn held(&self) -> MutexGuard<'_, BTreeMap<MessageId, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a delivery into care from the moment its claim was sent. An earlier delivery of the same
    /// message that is still in hand has lost its lease.
    fn hold(&self, receipt: Receipt, since: Instant, lease: Duration) -> CancellationToken {
        let lost = CancellationToken::new();
        let until = since + lease;
        let held = Held { receipt, since, until, lost: lost.clone(), settling: false };
        if let Some(earlier) = self.held().insert(receipt.id, held) {
            earlier.tell_lost();
        }
        lost
    }

    /// Changes a delivery that is still in hand.
    fn change(&self, receipt: Receipt, change: impl FnOnce(&mut Held)) {
        let mut held = self.held();
        if let Some(mine) = held.get_mut(&receipt.id).filter(|held| held.receipt == receipt) {
            change(mine);
        }
    }

    /// Lets go of a delivery; a later holder of the message stays.
    fn let_go(&self, receipt: Receipt) {
        let mut held = self.held();
        if held.get(&receipt.id).is_some_and(|held| held.receipt == receipt) {
            held.remove(&receipt.id);
        }
    }

    /// What is to be extended; whoever's lease ran out meanwhile is told.
    fn due(&self, cap: Duration) -> Vec<Receipt> {
        let now = Instant::now();
        let held = self.held();
        held.values().filter(|held| held.until <= now).for_each(Held::tell_lost);
        let within = held.values().filter(|held| now.duration_since(held.since) < cap);
        within.map(|held| held.receipt).collect()
    }

    fn note(&self, receipt: Receipt, outcome: Extended, until: Instant) {
        let mut held = self.held();
        let Some(mine) = held.get_mut(&receipt.id).filter(|held| held.receipt == receipt) else {
            return;
        };
        match outcome {
            Extended::Extended => mine.until = until,
            Extended::Lost => {
                mine.tell_lost();
                held.remove(&receipt.id);
            }
        }
    }
}

/// Care for one delivery, from its claim until it is settled, or its task is gone: so a handler that
/// blocks its runtime takes no lease from those who wait there for their turn, or for their answer.
#[derive(Debug)]
pub(crate) struct Care {
    leases: Arc<Leases>,
    receipt: Receipt,
    lost: CancellationToken,
}

impl Care {
    /// From the moment its claim was sent.
    pub(crate) fn new(
        leases: &Arc<Leases>,
        receipt: Receipt,
        sent: Instant,
        lease: Duration,
    ) -> Self {
        let lost = leases.hold(receipt, sent, lease);
        Self { leases: Arc::clone(leases), receipt, lost }
    }

    /// Its handler begins, and has all of its time; what it gets ends when the lease is lost.
    pub(crate) fn begin(&self) -> CancellationToken {
        self.leases.change(self.receipt, |held| held.since = Instant::now());
        self.lost.clone()
    }

    /// Its handler has answered. The lease is extended until that is done, and what becomes of it is
    /// no news to the handler any more.
    pub(crate) fn settle(&self) {
        self.leases.change(self.receipt, |held| held.settling = true);
    }
}

impl Drop for Care {
    fn drop(&mut self) {
        self.leases.let_go(self.receipt);
    }
}

/// The sweep that extends the leases of one partition: one that does not answer keeps nobody from
/// the others.
#[derive(Debug)]
pub(crate) struct Extender {
    partition: Arc<Partition>,
    leases: Arc<Leases>,
    lease: Duration,
    cap: Duration,
}

impl Extender {
    /// The partition must have links of its own: shared ones are driven by the runtime of the handlers.
    pub(crate) fn new(
        partition: &Arc<Partition>,
        leases: &Arc<Leases>,
        (lease, cap): (Duration, Duration),
    ) -> Self {
        Self { partition: Arc::clone(partition), leases: Arc::clone(leases), lease, cap }
    }

    fn interval(&self) -> Duration {
        self.lease / EXTENSIONS_PER_LEASE
    }
}

impl Sweep for Extender {
    const NAME: &'static str = "extender";

    fn queue(&self) -> &QueueName {
        &self.partition.name
    }

    async fn pass(&mut self) -> Result<Next> {
        let started = Instant::now();
        for receipts in self.leases.due(self.cap).chunks(MAX_BATCH) {
            let items =
                receipts.iter().map(|receipt| ExtendItem { receipt: *receipt, lease: self.lease });
            let call = Extend(items.collect());
            let sent = Instant::now();
            // A call that hangs must not keep this loop from telling handlers of lost leases.
            let Ok(extended) = timeout(self.interval(), self.partition.store.run(&call)).await
            else {
                tracing::warn!(leases = receipts.len(), "leases could not be extended in time");
                // This wait may be shorter than the link's own, which would then never end it.
                self.partition.store.drop_link().await;
                break;
            };
            for (receipt, outcome) in receipts.iter().zip(extended?.reply) {
                self.leases.note(*receipt, outcome, sent + self.lease);
            }
        }
        let wait = self.interval().saturating_sub(started.elapsed());
        Ok(Next::After(wait.max(Duration::from_millis(1))))
    }

    async fn hint(&mut self) {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn receipt(attempt: u64) -> Receipt {
        Receipt { id: MessageId::generate(), attempt }
    }

    #[test]
    fn a_handler_is_told_when_its_lease_was_lost_or_ran_out() {
        let leases = Leases::default();
        let (mine, other) = (receipt(1), receipt(1));
        let lost = leases.hold(mine, Instant::now(), SECOND);
        let ran_out = leases.hold(other, Instant::now(), Duration::ZERO);
        assert_eq!(leases.due(60 * SECOND).len(), 2);
        assert!(ran_out.is_cancelled() && !lost.is_cancelled());
        leases.note(mine, Extended::Lost, Instant::now());
        assert!(lost.is_cancelled());
        assert_eq!(leases.due(60 * SECOND), [other]);
    }

    #[test]
    fn a_delivery_is_extended_until_it_is_settled_and_its_handler_told_nothing_more() {
        let leases = Arc::new(Leases::default());
        let mine = receipt(1);
        let care = Care::new(&leases, mine, Instant::now(), Duration::ZERO);
        let token = care.begin();
        care.settle();
        assert_eq!(leases.due(SECOND), [mine]);
        leases.hold(Receipt { attempt: 2, ..mine }, Instant::now(), SECOND);
        assert!(!token.is_cancelled(), "somebody else has it by our own answer");
        leases.let_go(Receipt { attempt: 2, ..mine });
        let care = Care::new(&leases, mine, Instant::now(), SECOND);
        care.settle();
        leases.note(mine, Extended::Lost, Instant::now());
        assert!(leases.due(SECOND).is_empty() && !care.begin().is_cancelled());
        let care = Care::new(&leases, mine, Instant::now(), SECOND);
        drop(care);
        assert!(leases.due(SECOND).is_empty());
    }

    #[test]
    fn the_cap_counts_from_the_beginning_of_the_handler() {
        let leases = Arc::new(Leases::default());
        let claimed = Instant::now().checked_sub(2 * SECOND).unwrap();
        let care = Care::new(&leases, receipt(1), claimed, 5 * SECOND);
        assert!(leases.due(SECOND).is_empty());
        care.begin();
        assert_eq!(leases.due(SECOND).len(), 1);
    }

    #[test]
    fn beyond_its_cap_a_lease_is_no_longer_extended() {
        let leases = Leases::default();
        leases.hold(receipt(1), Instant::now(), SECOND);
        assert!(leases.due(Duration::ZERO).is_empty());
    }

    #[test]
    fn a_handler_is_told_when_its_message_was_delivered_anew_to_the_same_worker() {
        let leases = Leases::default();
        let first = receipt(1);
        let told = leases.hold(first, Instant::now(), SECOND);
        let next = leases.hold(Receipt { attempt: 2, ..first }, Instant::now(), SECOND);
        assert!(told.is_cancelled() && !next.is_cancelled());
    }

    #[test]
    fn an_older_receipt_does_not_let_go_of_a_later_one() {
        let leases = Leases::default();
        let later = receipt(2);
        leases.hold(later, Instant::now(), SECOND);
        leases.let_go(Receipt { attempt: 1, ..later });
        assert_eq!(leases.due(SECOND), [later]);
    }
}
