//! What all clones of a queue share: its partitions, and what is known of them.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::error::Result;
use crate::fault::{Fault, pause};
use crate::metrics::Meter;
use crate::name::QueueName;
use crate::news::{LEARN_EVERY, LOOK_EVERY, Looked, News, SERVE_EVERY};
use crate::op::fence::{Fence, Told};
use crate::partition::Partition;
use crate::policy::Policy;
use crate::routing::{MAX_PARTITIONS, Routing};
use crate::server::{PATIENCE, Server};
use crate::store::{CALL_PATIENCE, Store};
use crate::together::together;

/// What all clones of a queue share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) server: Server,
    pub(crate) name: QueueName,
    pub(crate) policy: Policy,
    pub(crate) news: Arc<News>,
    meter: Meter,
    /// Made when they are asked for first.
    partitions: [OnceLock<Arc<Partition>>; MAX_PARTITIONS as usize],
}

impl Shared {
    pub(crate) fn new(server: Server, name: QueueName, policy: Policy) -> Self {
        Self::with(server, name, policy, Arc::default())
    }

    fn with(server: Server, name: QueueName, policy: Policy, news: Arc<News>) -> Self {
        let meter = Meter::new(&name);
        let partitions = [const { OnceLock::new() }; MAX_PARTITIONS as usize];
        Self { server, name, policy, news, meter, partitions }
    }

    /// The same queue under another policy.
    pub(crate) fn under(&self, policy: Policy) -> Self {
        Self::with(self.server.clone(), self.name.clone(), policy, Arc::clone(&self.news))
    }

    /// The same queue over connections of its own.
    pub(crate) fn apart(&self) -> Self {
        let (name, policy) = (self.name.clone(), self.policy.clone());
        Self::with(self.server.apart(), name, policy, Arc::clone(&self.news))
    }

    /// One of the first 64 partitions.
    pub(crate) fn partition(&self, number: u32) -> &Arc<Partition> {
        self.partitions[number as usize].get_or_init(|| {
            let store = |server: &Server| server.store(&self.name, number, self.meter.clone());
            // `WAIT` holds up what comes behind it, so what waits for a proof has a link of its own.
            let stores = (store(&self.server), store(&self.server.apart()));
            let partition = Partition::new(number, self.name.clone(), self.policy.clone(), stores);
            Arc::new(partition)
        })
    }

    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Every partition that may hold anything, by the latest news.
    pub(crate) async fn all(&self) -> Vec<&Arc<Partition>> {
        self.fresh().await;
        (0..self.news.known().routing.ever()).map(|number| self.partition(number)).collect()
    }

    /// The same as stores, for whoever keeps them.
    pub(crate) async fn stores(&self) -> Vec<Store> {
        self.all().await.into_iter().map(|partition| partition.store.clone()).collect()
    }

    /// What a producer has to know: it looks once, and later pushes are told when they go wrong.
    pub(crate) async fn learn(&self) {
        if self.news.is_learned() {
            return;
        }
        // While somebody looks, others push by what is known: if that is wrong, they are told. Where
        // the registry does not answer, nobody's push waits for it twice.
        let Ok(mut looked) = self.news.looked.try_lock() else { return };
        if !self.news.is_learned() && looked.failed.is_none_or(|at| at.elapsed() >= LEARN_EVERY) {
            self.learn_now(&mut looked).await.ok();
        }
    }

    async fn learn_now(&self, looked: &mut Looked) -> Result<(), Fault> {
        let learned = Box::pin(self.look_and_register()).await;
        self.news.set_learned(learned.is_ok());
        looked.at = Some(Instant::now());
        looked.failed = looked.at.filter(|_| learned.is_err());
        learned
    }

    async fn look_and_register(&self) -> Result<(), Fault> {
        if self.look().await? {
            return Ok(());
        }
        self.server.register(&self.name, self.news.known().routing).await
    }

    /// The same for whoever has to be sure that the queue stands in the registry.
    pub(crate) async fn register(&self) -> Result<()> {
        let given_up = Instant::now() + CALL_PATIENCE;
        let mut tries = 0;
        loop {
            let mut looked = self.news.looked.lock().await;
            if self.news.is_learned() {
                return Ok(());
            }
            match self.learn_now(&mut looked).await {
                Ok(()) => return Ok(()),
                Err(fault) if !fault.is_passing() || Instant::now() >= given_up => {
                    return Err(fault.into());
                }
                Err(_) => drop(looked),
            }
            sleep(pause(tries)).await;
            tries += 1;
        }
    }

    /// What everybody else has to know: news of the last few seconds.
    pub(crate) async fn fresh(&self) {
        self.fresh_within(LOOK_EVERY).await;
    }

    async fn fresh_within(&self, age: Duration) {
        let mut looked = self.news.looked.lock().await;
        if looked.at.is_none_or(|at| at.elapsed() >= age) {
            // Others wait for it meanwhile, most of them for partitions that do answer.
            timeout(PATIENCE, Box::pin(self.look())).await.ok();
            looked.at = Some(Instant::now());
        }
    }

    /// Looks whether the queue is partitioned, at the two places that tell, and says whether it
    /// stands in the registry. Without an answer, what was known holds on.
    pub(crate) async fn look(&self) -> Result<bool, Fault> {
        // Each is taken on as it comes: whoever has waited enough for the other one has it all the same.
        let adopt = |routing| self.news.adopt(routing);
        let in_meta = async { self.partition(0).store.routing().await.map(adopt) };
        let in_registry = async {
            let entry = self.server.entry(&self.name).await;
            let read = entry.as_ref().ok().and_then(|entry| Routing::read_entry(entry.as_deref()?));
            read.map(adopt);
            (entry, read)
        };
        let ((entry, read), _) = tokio::join!(in_registry, in_meta);
        let known = self.news.known().routing;
        let stands = entry?.is_some();
        // Somebody's older entry came last, or the server lost the later one.
        if stands && read.is_none_or(|read| read.epoch < known.epoch) {
            self.server.enter(&self.name, known).await.ok();
        }
        Ok(stands)
    }

    /// The partitions that have to be served: those that take pushes, and those that are not drained
    /// yet. One that is empty and knows that it gets no more is left alone.
    pub(crate) async fn served(&self) -> Vec<u32> {
        self.fresh_within(SERVE_EVERY).await;
        let routing = self.news.known().routing;
        let drained = together((routing.count..routing.ever()).map(async |number| {
            let asked = self.tell(number, routing, &[]).await;
            asked.is_ok_and(|told| told.messages == 0 && told.routing == routing)
        }));
        let rest = (routing.count..).zip(drained.await).filter(|(_, drained)| !drained);
        (0..routing.count).chain(rest.map(|(number, _)| number)).collect()
    }

    /// Tells a partition of a routing, and looks up what it has under some names.
    pub(crate) async fn tell(
        &self,
        number: u32,
        routing: Routing,
        names: &[String],
    ) -> Result<Told> {
        let told = self.partition(number).store.run(&Fence { routing, names }).await?.reply;
        self.news.adopt(told.routing);
        if told.messages == 0 && told.routing == routing {
            self.news.found_empty(number, routing);
        }
        Ok(told)
    }
}
