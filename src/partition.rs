//! One partition of a queue: its keys, and the drivers that let calls travel there together.

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
use crate::store::Store;

/// What all who deal with one partition share: deliveries are settled where they came from.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) number: u32,
    pub(crate) name: QueueName,
    pub(crate) policy: Policy,
    pub(crate) push: Driver<Push>,
    /// For pushes that wait for a proof.
    pub(crate) proven: Driver<ProvenPush>,
    pub(crate) ack: Driver<Ack>,
    pub(crate) retry: Driver<Retry>,
    pub(crate) bury: Driver<Bury>,
    pub(crate) release: Driver<Release>,
    pub(crate) extend: Driver<Extend>,
    pub(crate) store: Store,
}

impl Partition {
    pub(crate) fn new(
        number: u32,
        name: QueueName,
        policy: Policy,
        (store, proving): (Store, Store),
    ) -> Self {
        Self {
            number,
            name,
            policy,
            push: Driver::new(store.clone()),
            proven: Driver::new(proving),
            ack: Driver::new(store.clone()),
            retry: Driver::new(store.clone()),
            bury: Driver::new(store.clone()),
            release: Driver::new(store.clone()),
            extend: Driver::new(store.clone()),
            store,
        }
    }

    /// KiB of single pushes that are not answered yet.
    pub(crate) fn pushes_under_way(&self) -> usize {
        self.push.under_way() + self.proven.under_way()
    }
}
