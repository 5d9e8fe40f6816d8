//! Leases that are kept alive in batches, from a thread that no handler can block.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::attempt::Receipt;
use crate::batch::MAX_BATCH;
use crate::error::Result;
use crate::name::MessageId;
use crate::op::extend::{Extend, ExtendItem, Extended};
use crate::store::Store;
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
}

impl Leases {
    fn held(&self) -> MutexGuard<'_, BTreeMap<MessageId, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a delivery into care from the moment its claim was sent. An earlier delivery of the same
    /// message that is still in hand has lost its lease.
    pub(crate) fn hold(
        &self,
        receipt: Receipt,
        since: Instant,
        lease: Duration,
    ) -> CancellationToken {
        let lost = CancellationToken::new();
        let held = Held { receipt, since, until: since + lease, lost: lost.clone() };
        if let Some(earlier) = self.held().insert(receipt.id, held) {
            earlier.lost.cancel();
        }
        lost
    }

    /// Lets go of a delivery that is about to be settled; a later holder of the message stays.
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
        for held in held.values().filter(|held| held.until <= now) {
            held.lost.cancel();
        }
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
                mine.lost.cancel();
                held.remove(&receipt.id);
            }
        }
    }
}

/// Care for one delivery: it ends before the delivery is settled, and when its task panics, so that
/// nobody extends the lease of a message that nobody handles.
#[derive(Debug)]
pub(crate) struct Care {
    leases: Arc<Leases>,
    receipt: Receipt,
}

impl Care {
    pub(crate) fn new(leases: &Arc<Leases>, receipt: Receipt) -> Self {
        Self { leases: Arc::clone(leases), receipt }
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
    store: Store,
    leases: Arc<Leases>,
    lease: Duration,
    cap: Duration,
}

impl Extender {
    /// `store` must have a link of its own: a shared one is driven by the runtime of the handlers.
    pub(crate) fn new(store: Store, leases: Arc<Leases>, lease: Duration, cap: Duration) -> Self {
        Self { store, leases, lease, cap }
    }

    fn interval(&self) -> Duration {
        self.lease / EXTENSIONS_PER_LEASE
    }
}

impl Sweep for Extender {
    const NAME: &'static str = "extender";

    async fn pass(&mut self) -> Result<Next> {
        let started = Instant::now();
        for receipts in self.leases.due(self.cap).chunks(MAX_BATCH) {
            let items =
                receipts.iter().map(|receipt| ExtendItem { receipt: *receipt, lease: self.lease });
            let call = Extend(items.collect());
            let sent = Instant::now();
            // A call that hangs must not keep this loop from telling handlers of lost leases.
            let Ok(extended) = timeout(self.interval(), self.store.run(&call)).await else {
                tracing::warn!(leases = receipts.len(), "leases could not be extended in time");
                // This wait may be shorter than the link's own, which would then never end it.
                self.store.drop_link().await;
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
    fn a_delivery_that_is_settled_is_neither_extended_nor_told() {
        let leases = Arc::new(Leases::default());
        let mine = receipt(1);
        let token = leases.hold(mine, Instant::now(), SECOND);
        drop(Care::new(&leases, mine));
        leases.note(mine, Extended::Lost, Instant::now());
        assert!(leases.due(SECOND).is_empty() && !token.is_cancelled());
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
