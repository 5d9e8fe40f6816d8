//! What all clones of a queue, its deliveries and its agents share.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::batch::Driver;
use crate::name::QueueName;
use crate::op::ack::Ack;
use crate::op::bury::Bury;
use crate::op::extend::Extend;
use crate::op::push::Push;
use crate::op::release::Release;
use crate::op::retry::Retry;
use crate::policy::Policy;
use crate::server::Server;
use crate::store::Store;

/// What all clones of a queue, and its deliveries, share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) server: Server,
    pub(crate) name: QueueName,
    pub(crate) store: Store,
    pub(crate) policy: Policy,
    pub(crate) registered: AtomicBool,
    pub(crate) push: Driver<Push>,
    pub(crate) ack: Driver<Ack>,
    pub(crate) retry: Driver<Retry>,
    pub(crate) bury: Driver<Bury>,
    pub(crate) release: Driver<Release>,
    pub(crate) extend: Driver<Extend>,
}

impl Shared {
    pub(crate) fn new(server: Server, name: QueueName, store: Store, policy: Policy) -> Self {
        Self {
            server,
            name,
            policy,
            registered: AtomicBool::new(false),
            push: Driver::new(store.clone()),
            ack: Driver::new(store.clone()),
            retry: Driver::new(store.clone()),
            bury: Driver::new(store.clone()),
            release: Driver::new(store.clone()),
            extend: Driver::new(store.clone()),
            store,
        }
    }

    pub(crate) async fn register(&self) {
        let tried = self.registered.swap(true, Ordering::Relaxed);
        if !tried && !self.server.register(&self.name).await {
            self.registered.store(false, Ordering::Relaxed);
        }
    }
}
