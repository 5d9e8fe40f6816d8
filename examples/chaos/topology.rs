//! Several servers instead of one, and what can happen to them.

use std::fmt;
use std::thread::sleep;
use std::time::Duration;

use clap::ValueEnum;

use crate::agent::QUEUE;
use crate::cluster::Cluster;
use crate::faults::Fault;
use crate::nodes::Node;
use crate::sentinels::Sentinels;

/// Between two keys of a slot that moves.
const MIGRATION_PAUSE: Duration = Duration::from_millis(20);

/// On what the queue is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Topology {
    #[default]
    One,
    Cluster,
    Sentinel,
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

    /// Upsets them, waits until another master is elected where that follows and for so long, and
    /// heals.
    pub(crate) fn upset(&mut self, fault: Fault, harm: Duration) {
        match self {
            Self::Cluster(cluster) => upset_cluster(cluster, fault, harm),
            Self::Sentinels(sentinels) => upset_sentinels(sentinels, fault, harm),
        }
        self.heal();
    }

    /// Whether such a fault may undo what was confirmed. A Cluster hands over without loss.
    pub(crate) fn undoes(&self, fault: Fault) -> bool {
        match fault {
            Fault::Failover | Fault::Freeze | Fault::Partition => true,
            Fault::Handover => matches!(self, Self::Sentinels(_)),
            _ => false,
        }
    }
}

fn upset_cluster(cluster: &mut Cluster, fault: Fault, harm: Duration) {
    let master = cluster.owner(QUEUE);
    match fault {
        Fault::Handover => {
            cluster.nodes[cluster.replica_of(master)].ask::<()>(&["CLUSTER", "FAILOVER"]);
            cluster.elected(QUEUE, master);
        }
        Fault::Failover => {
            cluster.nodes[master].kill();
            cluster.elected(QUEUE, master);
            sleep(harm);
        }
        Fault::Freeze => {
            cluster.nodes[master].freeze();
            cluster.elected(QUEUE, master);
            sleep(harm);
            cluster.nodes[master].thaw();
        }
        Fault::Migrate => {
            let (from, to) = cluster.two_masters(QUEUE);
            cluster.migrate(QUEUE, from, to, MIGRATION_PAUSE);
        }
        _ => cluster.nodes.iter().for_each(Node::cut),
    }
}

fn upset_sentinels(sentinels: &mut Sentinels, fault: Fault, harm: Duration) {
    let master = sentinels.master();
    match fault {
        Fault::Handover => {
            sentinels.hand_over(0);
            sentinels.elected(master);
        }
        Fault::Failover => {
            sentinels.servers[master].kill();
            sentinels.elected(master);
            sleep(harm);
        }
        Fault::Freeze => {
            sentinels.servers[master].freeze();
            sentinels.elected(master);
            sleep(harm);
            sentinels.servers[master].thaw();
        }
        Fault::Partition => {
            sentinels.cut_off(master);
            sentinels.elected(master);
            sleep(harm);
            sentinels.let_in();
        }
        _ => sentinels.servers.iter().for_each(Node::cut),
    }
}
