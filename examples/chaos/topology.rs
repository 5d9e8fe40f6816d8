//! Several servers instead of one, and what can happen to them.

use std::fmt;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use crate::agent::QUEUE;
use crate::cluster::Cluster;
use crate::faketime::clock;
use crate::faults::Fault;
use crate::heartbeat::now_ms;
use crate::history::Trouble;
use crate::history::lateness::STEP_MS;
use crate::nodes::{Node, caught_up, until};
use crate::sentinels::Sentinels;

/// Between two keys of a slot that moves.
const MIGRATION_PAUSE: Duration = Duration::from_millis(20);
/// A node gives an ordered failover up after 5 s.
const HANDED_OVER: Duration = Duration::from_secs(6);
const LOOK: Duration = Duration::from_millis(20);
/// One that is master for a moment only is none after that.
const STANDS: Duration = Duration::from_millis(500);

/// On what the queue is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Topology {
    #[default]
    One,
    Cluster,
    Sentinel,
}

impl Topology {
    /// So many hang on each master; a message that all of them have survives its loss, whichever of
    /// them is promoted.
    pub(crate) fn replicas(self) -> u32 {
        match self {
            Self::One => 0,
            Self::Cluster => 1,
            Self::Sentinel => 2,
        }
    }

    /// How many partitions a queue has here unless told otherwise: on a Cluster one for each master.
    pub(crate) fn partitions(self) -> u32 {
        if self == Self::Cluster { 3 } else { 1 }
    }
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One => "one",
            Self::Cluster => "cluster",
            Self::Sentinel => "sentinel",
        })
    }
}

/// The servers of a topology. Whatever waits for them here blocks.
pub(crate) enum Servers {
    Cluster(Cluster),
    Sentinels(Sentinels),
}

impl Servers {
    pub(crate) fn start(topology: Topology) -> Option<Self> {
        let mut servers = match topology {
            Topology::One => return None,
            Topology::Cluster => Self::Cluster(Cluster::start()),
            Topology::Sentinel => Self::Sentinels(Sentinels::start()),
        };
        servers.heal();
        Some(servers)
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Cluster(cluster) => cluster.url(),
            Self::Sentinels(sentinels) => sentinels.url(),
        }
    }

    /// Waits until all are there and have all data.
    pub(crate) fn heal(&mut self) {
        match self {
            Self::Cluster(cluster) => cluster.heal(),
            Self::Sentinels(sentinels) => sentinels.heal(),
        }
    }

    /// Upsets those that serve a partition, and heals. Tells in which times a master may have confirmed
    /// what no other one has, and when another clock began to rule.
    pub(crate) fn upset(&mut self, blow: Blow) -> Result<Vec<Trouble>> {
        // A busy machine may have lost one of them since.
        self.heal();
        let troubles = match blow.fault {
            Fault::Clock => self.step(blow)?,
            _ => self.strike(blow),
        };
        self.heal();
        Ok(troubles)
    }

    /// Does so much harm, and waits until another master is elected where that follows.
    fn strike(&mut self, blow: Blow) -> Vec<Trouble> {
        let Blow { fault, partition, harm, .. } = blow;
        let unsafe_times = match self {
            Self::Cluster(cluster) => {
                let slot = cluster.slot_of_partition(QUEUE, partition);
                upset_cluster(cluster, fault, slot, harm)
            }
            Self::Sentinels(sentinels) => upset_sentinels(sentinels, fault, harm),
        };
        unsafe_times.into_iter().map(|(from, until)| Trouble::Failover { from, until }).collect()
    }

    /// Has a replica take over whose clock is off, and after some harm one whose clock is right.
    fn step(&mut self, blow: Blow) -> Result<Vec<Trouble>> {
        let step = STEP_MS.cast_signed();
        let ahead_ms = if blow.ahead { step } else { -step };
        let off =
            clock(ahead_ms / 1_000).context("no server starts with another clock any more")?;
        let mut wrong = self.replicas(blow.partition);
        for node in &wrong {
            self.restart_by(*node, &off);
        }
        let mut troubles = self.hand_over(blow, ahead_ms);
        sleep(blow.harm);
        self.heal();
        // The next master is one of these.
        for replica in self.replicas(blow.partition) {
            if let Some(index) = wrong.iter().position(|node| *node == replica) {
                self.restart_by(wrong.remove(index), &[]);
            }
        }
        troubles.append(&mut self.hand_over(blow, -ahead_ms));
        self.heal();
        for node in wrong {
            self.restart_by(node, &[]);
        }
        Ok(troubles)
    }

    fn hand_over(&mut self, blow: Blow, ahead_ms: i64) -> Vec<Trouble> {
        let from = now_ms();
        let mut troubles = self.strike(Blow { fault: Fault::Handover, ..blow });
        troubles.push(Trouble::Step { from, until: now_ms(), ahead_ms });
        troubles
    }

    fn restart_by(&mut self, node: usize, words: &[String]) {
        let nodes = match self {
            Self::Cluster(cluster) => &mut cluster.nodes,
            Self::Sentinels(sentinels) => &mut sentinels.servers,
        };
        nodes[node].restart_by(words.to_vec());
        self.heal();
    }

    /// Those that may become the master of a partition.
    fn replicas(&self, partition: u32) -> Vec<usize> {
        match self {
            Self::Cluster(cluster) => {
                let slot = cluster.slot_of_partition(QUEUE, partition);
                vec![cluster.replica_of(cluster.owner_of_slot(slot))]
            }
            Self::Sentinels(sentinels) => sentinels.replicas_of(sentinels.master()).collect(),
        }
    }
}

/// What is done to the servers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Blow {
    pub(crate) fault: Fault,
    /// Whose servers it is done to.
    pub(crate) partition: u32,
    /// For how long after an election it lasts.
    pub(crate) harm: Duration,
    /// Which way a clock is off.
    pub(crate) ahead: bool,
}

/// Whether a server starts with another clock than the host's.
pub(crate) fn clocks_can_be_off() -> bool {
    clock(0).is_some()
}

/// From when to when, in ms.
type Span = (u64, u64);

/// Waits until a node that was a master knows that it is none.
fn demoted(node: &Node) -> u64 {
    node.demoted();
    now_ms()
}

fn upset_cluster(cluster: &mut Cluster, fault: Fault, slot: u16, harm: Duration) -> Vec<Span> {
    let master = cluster.owner_of_slot(slot);
    let replica = cluster.replica_of(master);
    // Whatever was confirmed before is safe.
    let since = now_ms();
    caught_up(&cluster.nodes, master, [replica]);
    match fault {
        // The old master takes no writes while its replica catches up.
        Fault::Handover => {
            let broken_off = hand_over(cluster, slot, [master, replica]);
            broken_off.map(|until| (since, until)).into_iter().collect()
        }
        Fault::Failover => {
            cluster.nodes[master].kill();
            let died = now_ms();
            cluster.elected(slot, master);
            sleep(harm);
            vec![(since, died)]
        }
        Fault::Freeze => {
            cluster.nodes[master].freeze();
            let hung = now_ms();
            cluster.elected(slot, master);
            sleep(harm);
            let woke = now_ms();
            cluster.nodes[master].thaw();
            vec![(since, hung), (woke, demoted(&cluster.nodes[master]))]
        }
        Fault::Partition => {
            cluster.cut_off(master);
            cluster.refuses(master);
            let refused = now_ms();
            cluster.elected(slot, master);
            sleep(harm);
            cluster.let_in();
            // Until it knows its place again it takes no writes.
            vec![(since, refused)]
        }
        Fault::Migrate => {
            let (from, to) = cluster.two_masters(slot);
            if cluster.moves_slots_at_once() {
                cluster.migrate_at_once(slot, from, to);
            } else {
                cluster.migrate(slot, from, to, MIGRATION_PAUSE);
            }
            Vec::new()
        }
        _ => {
            cluster.nodes.iter().for_each(Node::cut);
            Vec::new()
        }
    }
}

/// Asks until it is done, and tells when the last attempt that came to nothing had ended. A replica of
/// Redis 7.0 that won an election in the last 8 s counts the votes of then: it is master for a moment
/// under an old epoch, and what it confirms in it is gone.
fn hand_over(cluster: &Cluster, slot: u16, [master, replica]: [usize; 2]) -> Option<u64> {
    let mut broken_off = None;
    let done = || {
        let asked = Instant::now();
        cluster.nodes[replica].try_ask::<()>(&["CLUSTER", "FAILOVER"]).ok();
        while asked.elapsed() < HANDED_OVER {
            sleep(LOOK);
            if cluster.is_elected(slot, master) {
                sleep(STANDS);
                return cluster.is_elected(slot, master);
            }
        }
        false
    };
    until("a master hands over", || {
        let done = done();
        if !done {
            broken_off = Some(now_ms());
        }
        done
    });
    broken_off
}

fn upset_sentinels(sentinels: &mut Sentinels, fault: Fault, harm: Duration) -> Vec<Span> {
    let master = sentinels.master();
    let since = now_ms();
    caught_up(&sentinels.servers, master, sentinels.replicas_of(master));
    match fault {
        Fault::Handover => {
            sentinels.hand_over(0);
            sentinels.elected(master);
            vec![(since, demoted(&sentinels.servers[master]))]
        }
        Fault::Failover => {
            sentinels.servers[master].kill();
            let died = now_ms();
            sentinels.elected(master);
            sleep(harm);
            vec![(since, died)]
        }
        Fault::Freeze => {
            sentinels.servers[master].freeze();
            let hung = now_ms();
            sentinels.elected(master);
            sleep(harm);
            let woke = now_ms();
            sentinels.servers[master].thaw();
            vec![(since, hung), (woke, demoted(&sentinels.servers[master]))]
        }
        Fault::Partition => {
            sentinels.cut_off(master);
            sentinels.elected(master);
            sleep(harm);
            sentinels.let_in();
            vec![(since, demoted(&sentinels.servers[master]))]
        }
        _ => {
            sentinels.servers.iter().for_each(Node::cut);
            Vec::new()
        }
    }
}
