//! Knows which server serves which slot now, and finds it out again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, Notify, watch};
use tokio::time::{Instant, sleep_until};

use crate::ask::{ASK_LIMIT, Memory, Source};
use crate::connect::Connector;
use crate::fault::Fault;
use crate::slots::{Map, Node};

/// However many callers are in trouble, others are asked no more often.
const ASK_PAUSE: Duration = Duration::from_millis(100);
/// A master that was cut off goes on taking writes, and is to be left within 2 s of the election.
const SENTINEL_EVERY: Duration = Duration::from_secs(1);
/// A node that was cut off from its Cluster refuses by itself, so only idle readers need to be told.
const CLUSTER_EVERY: Duration = Duration::from_secs(5);

/// One for each runtime, so that what blocks one does not hold up the other.
#[derive(Debug)]
pub(crate) struct Locator {
    source: Source,
    server: Connector,
    map: watch::Sender<Map>,
    asking: Mutex<Asking>,
    /// Wakes the watch.
    hurry: Arc<Notify>,
    born: Instant,
    /// In ms since `born`.
    watched_until_ms: AtomicU64,
}

#[derive(Debug, Default)]
struct Asking {
    memory: Memory,
    /// When the last asking ended, and how.
    last: Option<(Instant, Result<(), Fault>)>,
}

impl Locator {
    pub(crate) fn new(source: Source, server: Connector) -> Self {
        Self {
            source,
            server,
            map: watch::Sender::default(),
            asking: Mutex::default(),
            hurry: Arc::new(Notify::new()),
            born: Instant::now(),
            watched_until_ms: AtomicU64::new(0),
        }
    }

    /// Another one that begins with what this one knows.
    pub(crate) fn apart(&self) -> Self {
        let apart = Self::new(self.source.clone(), self.server.clone());
        apart.map.send_replace(self.map.borrow().clone());
        apart
    }

    /// Connects to a node as its user.
    pub(crate) fn connector(&self, node: &Node) -> Connector {
        self.server.at(node)
    }

    /// Those who can be asked.
    pub(crate) fn address(&self) -> String {
        let addresses: Vec<_> = match &self.source {
            Source::Sentinel { sentinels, .. } => {
                sentinels.iter().map(Connector::address).collect()
            }
            Source::Cluster { seeds, .. } => seeds.iter().map(ToString::to_string).collect(),
        };
        addresses.join(",")
    }

    /// Who serves the slot. Asks only when that is not known, or when its server has failed: what
    /// other servers serve does not wait for it.
    pub(crate) async fn find(&self, slot: u16) -> Result<Node, Fault> {
        let (owner, is_trusted) = self.known(slot);
        if let Some(owner) = owner.clone().filter(|_| is_trusted) {
            return Ok(owner);
        }
        match (self.ask().await, owner) {
            (Ok(()), _) => self.known(slot).0.ok_or_else(|| {
                let reason = format!("no node serves slot {slot}");
                Fault::Unavailable { reason, resolve: false }
            }),
            // Nobody tells of another one, so it may have been the connection alone.
            (Err(_), Some(owner)) => {
                self.map.send_modify(Map::trust_all);
                Ok(owner)
            }
            (Err(fault), None) => Err(fault),
        }
    }

    fn known(&self, slot: u16) -> (Option<Node>, bool) {
        let map = self.map.borrow();
        let owner = map.owner(slot).cloned();
        let is_trusted = owner.as_ref().is_some_and(|owner| !map.is_doubted(owner));
        (owner, is_trusted)
    }

    /// All who serve something.
    pub(crate) async fn nodes(&self) -> Result<BTreeSet<Node>, Fault> {
        if self.serving().is_empty() {
            self.ask().await?;
        }
        Ok(self.serving())
    }

    /// The same as far as it is known.
    pub(crate) fn serving(&self) -> BTreeSet<Node> {
        self.map.borrow().nodes()
    }

    /// A node said that another one serves the slot now; more may have moved.
    pub(crate) fn moved(&self, slot: u16, node: Node) {
        self.map.send_modify(|map| map.moved(slot, node));
        self.hurry();
    }

    /// The node failed, or said that it is not the one to ask.
    pub(crate) fn doubt(&self, node: &Node) {
        // Nobody who waits for another owner has learnt of one.
        self.map.send_if_modified(|map| {
            map.doubt(node);
            false
        });
    }

    /// Has others asked now, with nobody waiting for it.
    pub(crate) fn hurry(&self) {
        self.hurry.notify_one();
    }

    /// Waits until the slot is served by another node than this one.
    pub(crate) async fn left(&self, slot: u16, node: &Node) {
        let mut map = self.map.subscribe();
        // The sender is ours, so there is always a next map.
        map.wait_for(|map| map.owner(slot) != Some(node)).await.ok();
    }

    /// Whether nobody watches, or has for too long not come to it; then it is the caller's turn.
    pub(crate) fn claim_watch(&self) -> bool {
        let until = self.watched_until_ms.load(Ordering::Relaxed);
        let (now, next) = (millis(self.born.elapsed()), self.watch_end_ms());
        now >= until
            && self
                .watched_until_ms
                .compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Two turns, and the time that asking may take.
    fn watch_end_ms(&self) -> u64 {
        millis(self.born.elapsed() + 2 * self.every() + ASK_LIMIT)
    }

    /// How long until the next asking, and what cuts that short.
    pub(crate) fn turn(&self) -> (Duration, Arc<Notify>) {
        self.watched_until_ms.store(self.watch_end_ms(), Ordering::Relaxed);
        // Clients that began together must not ask in step.
        (self.every().mul_f64(0.8 + 0.2 * fastrand::f64()), Arc::clone(&self.hurry))
    }

    fn every(&self) -> Duration {
        match self.source {
            Source::Sentinel { .. } => SENTINEL_EVERY,
            Source::Cluster { .. } => CLUSTER_EVERY,
        }
    }

    /// Asks, unless somebody else has asked since the call.
    pub(crate) async fn ask(&self) -> Result<(), Fault> {
        let called = Instant::now();
        let mut asking = self.asking.lock().await;
        if let Some((at, told)) = &asking.last {
            if *at >= called {
                return told.clone();
            }
            sleep_until(*at + ASK_PAUSE).await;
        }
        let known = self.map.borrow().clone();
        let told = self.source.ask(&known, &mut asking.memory).await;
        let told = told.map(|map| self.take(map));
        asking.last = Some((Instant::now(), told.clone()));
        told
    }

    fn take(&self, told: Map) {
        self.map.send_if_modified(|map| {
            let nodes = (map.nodes(), told.nodes());
            if nodes.0 != nodes.1 {
                tracing::info!(before = ?nodes.0, now = ?nodes.1, "queues are served by other nodes");
            }
            let is_news = *map != told;
            *map = told;
            is_news
        });
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
