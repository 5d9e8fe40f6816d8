//! What this process knows of a queue's partitions, and how it learns of changes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use crate::routing::Routing;

/// Whoever looks at a queue goes by news that are no older; `MAX_IDLE` of the pollers.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(5);
/// So does whoever takes messages, if each look comes at the second of these moments at the latest.
pub(crate) const SERVE_EVERY: Duration = Duration::from_millis(2_500);

/// A producer that could not look tries again after this time.
pub(crate) const LEARN_EVERY: Duration = Duration::from_secs(10);

/// What all handles of a queue share. The routing with the highest epoch holds, wherever it came
/// from: nothing that this process did is undone by a server that lost writes.
#[derive(Debug, Default)]
pub(crate) struct News {
    known: RwLock<Known>,
    /// Held while somebody looks.
    pub(crate) looked: Mutex<Looked>,
    /// Whether producers need not look: a push that went wrong is told so.
    learned: AtomicBool,
    /// The epoch, for those who wait for news.
    pub(crate) changed: watch::Sender<u64>,
}

/// When somebody looked last, and when a producer could not.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    pub(crate) at: Option<Instant>,
    pub(crate) failed: Option<Instant>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Known {
    pub(crate) routing: Routing,
    /// Partitions that were seen empty under this routing. Each takes only what belongs to it from
    /// then on, so nobody has to look there for a key of another one.
    pub(crate) clean: u64,
}

impl News {
    pub(crate) fn known(&self) -> Known {
        *self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn adopt(&self, routing: Routing) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if routing.epoch > known.routing.epoch {
            *known = Known { routing, clean: 0 };
            self.changed.send_replace(routing.epoch);
        }
    }

    /// Notes that a partition was empty after it had learned of this routing.
    pub(crate) fn found_empty(&self, partition: u32, routing: Routing) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.routing == routing {
            known.clean |= 1 << partition;
        }
    }

    pub(crate) fn is_learned(&self) -> bool {
        self.learned.load(Ordering::Acquire)
    }

    pub(crate) fn set_learned(&self, learned: bool) {
        self.learned.store(learned, Ordering::Release);
    }

    /// The queue is gone, and with it whatever was known.
    pub(crate) async fn forget(&self) {
        *self.looked.lock().await = Looked::default();
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Known::default();
        self.set_learned(false);
    }
}
