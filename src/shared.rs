//! What all clones of a queue, its deliveries and its agents share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::batch::Driver;
use crate::name::QueueName;
use crate::op::ack::Ack;
use crate::op::bury::Bury;
use crate::op::extend::Extend;
use crate::op::push::Push;
use crate::op::release::Release;
use crate::op::retry::Retry;
use crate::policy::Policy;
use crate::proven::ProvenPush;
use crate::server::Server;
use crate::store::Store;

/// The registry may be on another server than the queue, and that one may be down: a push waits for
/// it no longer, and no other push waits for so long again.
const REGISTER_PATIENCE: Duration = Duration::from_millis(500);
const REGISTER_PAUSE: Duration = Duration::from_secs(10);

/// What all clones of a queue, and its deliveries, share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) server: Server,
    pub(crate) name: QueueName,
    pub(crate) store: Store,
    pub(crate) policy: Policy,
    pub(crate) registered: AtomicBool,
    /// When to try that next.
    register_next: Mutex<Instant>,
    pub(crate) push: Driver<Push>,
    /// For pushes that wait for a proof, over a link of their own.
    pub(crate) proven: Driver<ProvenPush>,
    pub(crate) ack: Driver<Ack>,
    pub(crate) retry: Driver<Retry>,
    pub(crate) bury: Driver<Bury>,
    pub(crate) release: Driver<Release>,
    pub(crate) extend: Driver<Extend>,
}

impl Shared {
    pub(crate) fn new(server: Server, name: QueueName, store: Store, policy: Policy) -> Self {
        // `WAIT` holds up what comes behind it.
        let proven = Driver::new(server.apart().store(&name));
        Self {
            server,
            name,
            policy,
            registered: AtomicBool::new(false),
            register_next: Mutex::new(Instant::now()),
            push: Driver::new(store.clone()),
            proven,
            ack: Driver::new(store.clone()),
            retry: Driver::new(store.clone()),
            bury: Driver::new(store.clone()),
            release: Driver::new(store.clone()),
            extend: Driver::new(store.clone()),
            store,
        }
    }

    pub(crate) async fn register(&self) {
        if self.registered.load(Ordering::Relaxed) || !self.may_register() {
            return;
        }
        let registering = timeout(REGISTER_PATIENCE, self.server.register(&self.name));
        if registering.await == Ok(true) {
            self.registered.store(true, Ordering::Relaxed);
            *self.register_next.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
    }

    /// For one at a time.
    fn may_register(&self) -> bool {
        let mut next = self.register_next.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_due = *next <= now;
        if is_due {
            *next = now + REGISTER_PAUSE;
        }
        is_due
    }
}
