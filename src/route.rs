//! Sends commands to whoever serves them now.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Value};
use tokio::time::{sleep, timeout};

use crate::access::Access;
use crate::address::{Address, PlainUrl};
use crate::ask::Source;
use crate::connect::Connector;
use crate::error::Result;
use crate::fault::Fault;
use crate::link::{Held, Link};
use crate::locate::Locator;
use crate::script::Script;
use crate::slots::{Node, slot_of};

/// A node that takes so long for an answer may have been replaced; it is asked for that often.
const SLOW: Duration = Duration::from_millis(500);
/// Within it an answer comes that was under way when the slot moved.
const LAST_WORD: Duration = Duration::from_millis(200);
/// A slot moves from one node to another; a longer chain is a circle.
const MAX_HOPS: usize = 5;

/// The connections for short commands, one to each node, that all queues of a server share.
#[derive(Debug)]
pub(crate) struct Links {
    place: Place,
    /// None for an engine.
    plain: Option<PlainUrl>,
}

#[derive(Debug)]
enum Place {
    One(Arc<Link>),
    Many(Box<Many>),
}

/// Servers that change.
#[derive(Debug)]
struct Many {
    locator: Locator,
    links: RwLock<HashMap<Node, Arc<Link>>>,
    /// The number of the watch that is to go on; earlier ones end.
    watch: AtomicU64,
}

impl Place {
    fn one(connector: Connector) -> Self {
        Self::One(Arc::new(Link::new(connector)))
    }

    fn many(locator: Locator) -> Self {
        let (links, watch) = (RwLock::default(), AtomicU64::new(0));
        Self::Many(Box::new(Many { locator, links, watch }))
    }
}

impl Links {
    pub(crate) fn open(url: &str, access: &Access) -> Result<Self> {
        let (place, plain) = match Address::parse(url, access)? {
            Address::Server(connector, plain) => (Place::one(connector), plain),
            Address::Sentinel { sentinels, service, server, plain } => {
                let source = Source::Sentinel { sentinels, service };
                (Place::many(Locator::new(source, server)), plain)
            }
            Address::Cluster { seeds, server, plain } => {
                let source = Source::Cluster { seeds, server: server.clone() };
                (Place::many(Locator::new(source, server)), plain)
            }
        };
        Ok(Self { place, plain: Some(plain) })
    }

    #[cfg(feature = "embedded")]
    pub(crate) fn embedded(engine: crate::embedded::Engine) -> Self {
        Self { place: Place::one(Connector::embedded(engine)), plain: None }
    }

    /// The same way over connections of its own.
    pub(crate) fn apart(&self) -> Self {
        let place = match &self.place {
            Place::One(link) => Place::one(link.connector().clone()),
            Place::Many(many) => Place::many(many.locator.apart()),
        };
        Self { place, plain: self.plain.clone() }
    }

    /// The way to whoever serves this key.
    pub(crate) fn route(self: &Arc<Self>, key: &str) -> Route {
        Route { links: Arc::clone(self), slot: slot_of(key) }
    }

    /// Those who can be asked; never a password.
    pub(crate) fn address(&self) -> String {
        match &self.place {
            Place::One(link) => link.connector().address(),
            Place::Many(many) => many.locator.address(),
        }
    }

    /// Sends a command to every master.
    pub(crate) async fn send_to_all(&self, command: &Cmd) -> Result<Vec<Value>, Fault> {
        match &self.place {
            Place::One(link) => Ok(vec![link.send(command).await?]),
            Place::Many(many) => {
                let mut answers = Vec::new();
                for node in many.locator.nodes().await? {
                    answers.push(many.link(&node).send(command).await?);
                }
                Ok(answers)
            }
        }
    }

    /// Each server that queues are on, as a URL that names it alone.
    pub(crate) async fn urls(&self) -> Result<Vec<String>, Fault> {
        let Some(plain) = &self.plain else { return Ok(Vec::new()) };
        match &self.place {
            Place::One(_) => Ok(vec![plain.whole()]),
            Place::Many(many) => {
                let nodes = many.locator.nodes().await?;
                Ok(nodes.into_iter().map(|node| plain.at(node)).collect())
            }
        }
    }

    /// Who serves the slot now.
    async fn find(self: &Arc<Self>, many: &Many, slot: u16) -> Result<Node, Fault> {
        if many.locator.claim_watch() {
            self.watch(many);
            // Nobody may go by what was known long ago.
            many.locator.ask().await.ok();
        }
        many.locator.find(slot).await
    }

    /// Keeps asking for as long as there is somebody who may call. It lives in the runtime of a
    /// caller; when that one ends, another caller starts another.
    fn watch(self: &Arc<Self>, many: &Many) {
        let number = many.watch.fetch_add(1, Ordering::Relaxed) + 1;
        let links = Arc::downgrade(self);
        let turn = move || match &links.upgrade()?.place {
            Place::Many(many) if many.watch.load(Ordering::Relaxed) == number => {
                Some(many.locator.turn())
            }
            _ => None,
        };
        let links = Arc::downgrade(self);
        tokio::spawn(async move {
            while let Some((pause, hurry)) = turn() {
                timeout(pause, hurry.notified()).await.ok();
                let Some(links) = links.upgrade() else { return };
                if let Place::Many(many) = &links.place {
                    many.look().await;
                }
            }
        });
    }
}

impl Many {
    fn link(&self, node: &Node) -> Arc<Link> {
        if let Some(link) = self.links.read().unwrap_or_else(PoisonError::into_inner).get(node) {
            return Arc::clone(link);
        }
        let mut links = self.links.write().unwrap_or_else(PoisonError::into_inner);
        let link = || Arc::new(Link::new(self.locator.connector(node)));
        Arc::clone(links.entry(node.clone()).or_insert_with(link))
    }

    /// Waits for a node for no longer than it serves the slot. One that is replaced while it hangs
    /// would take the whole time-out, and one that hands over has its last word.
    async fn outlast<T>(
        &self,
        slot: u16,
        node: &Node,
        answer: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let left = async {
            self.locator.left(slot, node).await;
            sleep(LAST_WORD).await;
        };
        let (mut answer, mut left) = (pin!(answer), pin!(left));
        loop {
            tokio::select! {
                answer = &mut answer => return answer,
                () = &mut left => {
                    let reason = format!("{node} was replaced before it answered");
                    return Err(Fault::Ambiguous { reason, timeout: true });
                }
                () = sleep(SLOW) => self.locator.hurry(),
            }
        }
    }

    /// Asks, and lets go of links to nodes that serve nothing any more.
    async fn look(&self) {
        if let Err(fault) = self.locator.ask().await {
            tracing::debug!(?fault, "who serves the queues cannot be asked");
        }
        let serving = self.locator.serving();
        let mut links = self.links.write().unwrap_or_else(PoisonError::into_inner);
        links.retain(|node, _| serving.contains(node));
    }
}

/// The way to whoever serves one slot.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    links: Arc<Links>,
    slot: u16,
}

impl Route {
    /// Whether another server may come to serve the slot.
    pub(crate) fn may_change(&self) -> bool {
        matches!(self.links.place, Place::Many(_))
    }

    pub(crate) async fn send(&self, command: &Cmd) -> Result<Value, Fault> {
        self.deliver(command, None).await
    }

    /// Calls a script, and loads it where it is missing.
    pub(crate) async fn call(&self, script: &Script, command: &Cmd) -> Result<Value, Fault> {
        self.deliver(command, Some(script)).await
    }

    async fn deliver(&self, command: &Cmd, script: Option<&Script>) -> Result<Value, Fault> {
        match &self.links.place {
            Place::One(link) => deliver_to(link, command, script, false).await.map_err(not_alone),
            // In a box, so that calls to one server are not as large.
            Place::Many(many) => Box::pin(self.deliver_to_one_of(many, command, script)).await,
        }
    }

    async fn deliver_to_one_of(
        &self,
        many: &Many,
        command: &Cmd,
        script: Option<&Script>,
    ) -> Result<Value, Fault> {
        let (mut node, mut asking) = (self.links.find(many, self.slot).await?, false);
        for _ in 0..MAX_HOPS {
            let link = many.link(&node);
            let delivered = deliver_to(&link, command, script, asking);
            // Whom a node has sent us to with one call is not the one who serves the slot.
            let answer = if asking {
                delivered.await
            } else {
                many.outlast(self.slot, &node, delivered).await
            };
            match answer {
                Err(Fault::Elsewhere { node: other, asked }) => {
                    let other = other.beside(&node);
                    if !asked {
                        many.locator.moved(self.slot, other.clone());
                    }
                    (node, asking) = (other, asked);
                }
                Err(fault) => {
                    self.failed(&Seat(Some(node)), &fault);
                    return Err(fault);
                }
                answer => return answer,
            }
        }
        let reason = format!("nodes send each other's callers in a circle for slot {}", self.slot);
        Err(Fault::Unavailable { reason, resolve: false })
    }

    /// Makes the next call over another connection.
    pub(crate) async fn drop_link(&self) {
        match &self.links.place {
            Place::One(link) => link.drop_live(),
            Place::Many(many) => {
                if let Ok(node) = many.locator.find(self.slot).await {
                    many.link(&node).drop_live();
                    many.locator.doubt(&node);
                }
            }
        }
    }

    /// A connection of its own, whose commands may block, and to whom.
    pub(crate) async fn connect_blocking(&self) -> Result<(MultiplexedConnection, Seat), Fault> {
        match &self.links.place {
            Place::One(link) => Ok((link.connector().connect_blocking().await?, Seat(None))),
            Place::Many(many) => Box::pin(self.connect_to_one_of(many)).await,
        }
    }

    async fn connect_to_one_of(&self, many: &Many) -> Result<(MultiplexedConnection, Seat), Fault> {
        let node = self.links.find(many, self.slot).await?;
        let connector = many.locator.connector(&node);
        let connected = many.outlast(self.slot, &node, connector.connect_blocking()).await;
        let seat = Seat(Some(node));
        Ok((connected.inspect_err(|fault| self.failed(&seat, fault))?, seat))
    }

    /// One connection to whoever serves it now, for commands that must not be spread over two.
    pub(crate) async fn hold(&self) -> Result<(Held, Seat), Fault> {
        match &self.links.place {
            Place::One(link) => Ok((link.hold().await?, Seat(None))),
            Place::Many(many) => {
                let node = self.links.find(many, self.slot).await?;
                let held = many.link(&node).hold().await;
                let seat = Seat(Some(node));
                Ok((held.inspect_err(|fault| self.failed(&seat, fault))?, seat))
            }
        }
    }

    /// What a fault there means to whoever held it, after it was learnt from.
    pub(crate) fn judge(&self, seat: &Seat, fault: Fault) -> Fault {
        self.failed(seat, &fault);
        if seat.0.is_some() { fault } else { not_alone(fault) }
    }

    /// Waits until the slot is served elsewhere.
    pub(crate) async fn left(&self, seat: &Seat) {
        match (&self.links.place, &seat.0) {
            (Place::Many(many), Some(node)) => many.locator.left(self.slot, node).await,
            _ => std::future::pending().await,
        }
    }

    /// Learns from what went wrong there.
    pub(crate) fn failed(&self, seat: &Seat, fault: &Fault) {
        let (Place::Many(many), Some(node)) = (&self.links.place, &seat.0) else { return };
        match fault {
            Fault::Elsewhere { node: other, asked: false } => {
                many.locator.moved(self.slot, other.clone().beside(node));
            }
            fault if fault.casts_doubt() => many.locator.doubt(node),
            _ => {}
        }
    }

    /// Who serves it now, as a URL that names it alone; none for an engine.
    pub(crate) async fn url(&self) -> Result<Option<String>, Fault> {
        let Some(plain) = &self.links.plain else { return Ok(None) };
        match &self.links.place {
            Place::One(_) => Ok(Some(plain.whole())),
            Place::Many(many) => Ok(Some(plain.at(self.links.find(many, self.slot).await?))),
        }
    }
}

/// Where a connection of its own leads to.
#[derive(Debug)]
pub(crate) struct Seat(Option<Node>);

/// `SCRIPT LOAD` rather than `EVAL`: from Redis 7.4 on the server forgets what came by `EVAL`.
pub(crate) fn loading(script: &Script) -> Cmd {
    let mut command = redis::cmd("SCRIPT");
    command.arg("LOAD").arg(script.text);
    command
}

/// A missing script goes to the node that misses it and to no other, which may be down.
async fn deliver_to(
    link: &Link,
    command: &Cmd,
    script: Option<&Script>,
    asking: bool,
) -> Result<Value, Fault> {
    match (deliver_once(link, command, asking).await, script) {
        (Err(Fault::NoScript), Some(script)) => {
            link.send(&loading(script)).await?;
            deliver_once(link, command, asking).await
        }
        (answer, _) => answer,
    }
}

async fn deliver_once(link: &Link, command: &Cmd, asking: bool) -> Result<Value, Fault> {
    if asking { link.send_asking(command).await } else { link.send(command).await }
}

/// One server that was named as such sends its callers elsewhere: no repetition helps.
fn not_alone(fault: Fault) -> Fault {
    match fault {
        Fault::Elsewhere { node, .. } => {
            let reason =
                format!("{node} serves the queue in a Cluster; name it by redis+cluster://");
            Fault::Refused { reason }
        }
        fault => fault,
    }
}
