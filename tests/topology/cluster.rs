//! A Cluster of three masters and three replicas.

use std::collections::BTreeSet;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};

use crate::bus::Bus;
use crate::nodes::{Node, as_args, door, ports, until};
use crate::under_test;

pub(crate) const MASTERS: usize = 3;
const NODES: usize = 2 * MASTERS;
/// Long enough that a busy machine is not taken for a dead one.
const NODE_TIMEOUT_MS: &str = "2000";

/// Whom a node takes its replicas for, so that it can be cut off from them and not from clients.
const REPLICA: &str = "replica";

/// Who serves which slots, as one of the nodes sees it.
type Seen = Vec<(std::ops::RangeInclusive<u16>, usize)>;

pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    bus: Bus,
}

/// The Cluster of this process, whole, for one test at a time.
pub(crate) async fn whole() -> MappedMutexGuard<'static, Cluster> {
    static STAGE: Mutex<Option<Cluster>> = Mutex::const_new(None);
    let stage = STAGE.lock().await;
    let mut cluster = MutexGuard::map(stage, |stage| stage.get_or_insert_with(Cluster::start));
    cluster.heal();
    cluster
}

impl Cluster {
    pub(crate) fn start() -> Self {
        Self::start_with(|_| String::new())
    }

    /// Each node with settings of its own.
    pub(crate) fn start_with(settings: impl Fn(usize) -> String) -> Self {
        let dir = TempDir::with_prefix("rd-cluster-").unwrap().keep();
        // Taken first, and kept: a port that was free just now may be given to the next who asks.
        let doors = [(); NODES].map(|()| door());
        let announced = doors.each_ref().map(|door| door.local_addr().unwrap().port());
        let (bus, free) = (Bus::default(), ports::<{ 2 * NODES }>());
        let (ports, buses) = free.split_at(NODES);
        for (node, door) in doors.into_iter().enumerate() {
            bus.lead(door, node, buses[node]);
        }
        let start = |node: usize| {
            let (port, bus, announced) = (ports[node], buses[node], announced[node]);
            let args = format!(
                "--port {port} --cluster-port {bus} --bind 127.0.0.1 --cluster-enabled yes \
                --cluster-announce-ip 127.0.0.1 --cluster-announce-bus-port {announced} \
                --user default on nopass ~* &* +@all --user {REPLICA} on >x ~* &* +@all \
                --masteruser {REPLICA} --masterauth x --cluster-node-timeout {NODE_TIMEOUT_MS} \
                --cluster-require-full-coverage no --cluster-replica-validity-factor 0 \
                --repl-diskless-sync-delay 0 --appendonly yes --appendfsync no"
            );
            let mut args: Vec<_> = args.split_whitespace().map(str::to_owned).collect();
            args.extend(["--save".into(), String::new()]);
            args.extend(as_args(&settings(node)));
            Node::start(&dir, port, "", &args)
        };
        let nodes: Vec<_> = (0..NODES).map(start).collect();
        for (index, node) in nodes.iter().enumerate() {
            node.wait();
            node.ask::<()>(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()]);
            let (port, bus) = (node.port.to_string(), announced[index].to_string());
            nodes[0].ask::<()>(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
        }
        let share = 16_384 / MASTERS;
        for (index, master) in nodes[..MASTERS].iter().enumerate() {
            let last = if index + 1 == MASTERS { 16_383 } else { (index + 1) * share - 1 };
            let (first, last) = ((index * share).to_string(), last.to_string());
            master.ask::<()>(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
        }
        let met = |node: &Node| node.info_of_cluster("cluster_known_nodes") == NODES.to_string();
        until("all nodes have met", || nodes.iter().all(met));
        for (index, replica) in nodes[MASTERS..].iter().enumerate() {
            let master: String = nodes[index].ask(&["CLUSTER", "MYID"]);
            let follows = || replica.try_ask::<()>(&["CLUSTER", "REPLICATE", &master]).is_ok();
            until("a replica knows its master", follows);
        }
        bus.know(nodes.iter().map(|node| node.ask(&["CLUSTER", "MYID"])).collect());
        let client = redis::Client::open(nodes[0].url()).unwrap();
        under_test::prove(&mut client.get_connection().unwrap());
        Self { nodes, bus }
    }

    /// Waits until every node is there, sees a sound Cluster, and each master has a replica.
    pub(crate) fn heal(&mut self) {
        for node in &mut self.nodes {
            node.thaw_or_restart();
        }
        self.let_in();
        until("the Cluster is whole", || {
            let masters = self.masters();
            masters.len() == MASTERS
                && self.nodes.iter().all(|node| {
                    node.info_of_cluster("cluster_state") == "ok"
                        && node.info_of_cluster("cluster_slots_assigned") == "16384"
                        && node.info_of_cluster("cluster_slots_fail") == "0"
                        && node.info_of_cluster("cluster_slots_pfail") == "0"
                })
                && masters.iter().all(|master| {
                    let replica = self.nodes[*master].info("replication", "slave0");
                    replica.is_some_and(|replica| replica.contains("state=online"))
                        && self.find_replica_of(*master).is_some()
                })
        });
    }

    pub(crate) fn url(&self) -> String {
        format!("redis+cluster://127.0.0.1:{},127.0.0.1:{}", self.nodes[0].port, self.nodes[4].port)
    }

    /// What a node other than that one sees; nothing while none answers, or knows them all.
    fn seen_but(&self, but: usize) -> Option<Seen> {
        let others = self.nodes.iter().enumerate().filter(|(index, _)| *index != but);
        let mut told = others.filter_map(|(_, node)| node.try_ask(&["CLUSTER", "SLOTS"]).ok());
        let ranges: Vec<Vec<redis::Value>> = told.next()?;
        let range = |range: Vec<redis::Value>| {
            let [first, last, master] = [0, 1, 2].map(|index| range[index].clone());
            let number = |value| redis::from_redis_value::<u16>(value).unwrap();
            let master: Vec<redis::Value> = redis::from_redis_value(master).unwrap();
            let port = number(master[1].clone());
            let master = self.nodes.iter().position(|node| node.port == port)?;
            Some((number(first)..=number(last), master))
        };
        ranges.into_iter().map(range).collect()
    }

    pub(crate) fn masters(&self) -> Vec<usize> {
        let seen = self.seen_but(usize::MAX).unwrap_or_default();
        seen.into_iter().map(|(_, master)| master).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The node that serves this queue.
    pub(crate) fn owner(&self, queue: &str) -> usize {
        self.owner_of_slot(self.slot(queue))
    }

    pub(crate) fn owner_of_slot(&self, slot: u16) -> usize {
        self.owner_but(slot, usize::MAX).expect("somebody serves it")
    }

    /// The same as somebody else than that node sees it; nothing while nobody else does.
    fn owner_but(&self, slot: u16, but: usize) -> Option<usize> {
        let seen = self.seen_but(but)?;
        seen.into_iter().find(|(slots, _)| slots.contains(&slot)).map(|(_, master)| master)
    }

    /// Where a queue is that has but one partition.
    pub(crate) fn slot(&self, queue: &str) -> u16 {
        self.slot_of_partition(queue, 0)
    }

    pub(crate) fn slot_of_partition(&self, queue: &str, partition: u32) -> u16 {
        let tag = format!("{{{queue}.{partition}}}");
        let mut told = self.nodes.iter().map(|node| node.try_ask(&["CLUSTER", "KEYSLOT", &tag]));
        told.find_map(Result::ok).expect("somebody answers")
    }

    /// A node that follows that one.
    pub(crate) fn replica_of(&self, master: usize) -> usize {
        self.find_replica_of(master).expect("it has a replica")
    }

    fn find_replica_of(&self, master: usize) -> Option<usize> {
        let id: String = self.nodes[master].try_ask(&["CLUSTER", "MYID"]).ok()?;
        let nodes: String = self.nodes[master].try_ask(&["CLUSTER", "NODES"]).ok()?;
        let follows = |line: &&str| line.contains("slave") && line.split(' ').nth(3) == Some(&id);
        let line = nodes.lines().find(follows)?;
        let is_it = |node: &Node| line.contains(&format!("127.0.0.1:{}@", node.port));
        self.nodes.iter().position(is_it)
    }

    /// Waits until others see the slot at another node than this one.
    pub(crate) fn elected(&self, slot: u16, dead: usize) -> Duration {
        until("another master is elected", || self.is_elected(slot, dead))
    }

    /// Whether others see the slot at another node than this one.
    pub(crate) fn is_elected(&self, slot: u16, dead: usize) -> bool {
        self.owner_but(slot, dead).is_some_and(|owner| owner != dead)
    }

    /// Cuts a node off from all others, and from no client.
    pub(crate) fn cut_off(&self, node: usize) {
        self.bus.cut_off(Some(node));
        self.nodes[node].ask::<()>(&["ACL", "SETUSER", REPLICA, "off"]);
        self.nodes[node].ask::<()>(&["CLIENT", "KILL", "USER", REPLICA]);
    }

    pub(crate) fn let_in(&self) {
        for node in &self.nodes {
            let let_in = || node.try_ask::<()>(&["ACL", "SETUSER", REPLICA, "on"]).is_ok();
            until("a node lets its replicas in", let_in);
        }
        self.bus.cut_off(None);
    }

    /// Waits until a node that was cut off refuses writes.
    pub(crate) fn refuses(&self, node: usize) -> Duration {
        let fails = || self.nodes[node].info_of_cluster("cluster_state") == "fail";
        until("a node that was cut off refuses writes", fails)
    }

    /// Who serves the slot, and another master.
    pub(crate) fn two_masters(&self, slot: u16) -> (usize, usize) {
        let from = self.owner_of_slot(slot);
        (from, self.masters().into_iter().find(|master| *master != from).unwrap())
    }

    /// Moves a slot from one master to another as operators do, one key after the other, with a pause
    /// after each.
    pub(crate) fn migrate(&self, slot: u16, from: usize, to: usize, pause: Duration) {
        let slot = slot.to_string();
        let [source, target] = [from, to].map(|index| &self.nodes[index]);
        let [from, to]: [String; 2] = [source, target].map(|node| node.ask(&["CLUSTER", "MYID"]));
        target.ask::<()>(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from]);
        source.ask::<()>(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to]);
        loop {
            std::thread::sleep(pause);
            let keys: Vec<String> = source.ask(&["CLUSTER", "GETKEYSINSLOT", &slot, "1"]);
            let Some(key) = keys.first() else { break };
            let port = target.port.to_string();
            source.ask::<String>(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]);
        }
        std::thread::sleep(pause);
        for node in [target, source] {
            node.ask::<()>(&["CLUSTER", "SETSLOT", &slot, "NODE", &to]);
        }
    }

    /// Whether the nodes can move a slot as a whole, which Valkey does from version 9 on.
    pub(crate) fn moves_slots_at_once(&self) -> bool {
        let told = self.nodes.iter().find_map(|node| node.info("server", "valkey_version"));
        let major = told.and_then(|told| told.split('.').next()?.parse::<u32>().ok());
        major.is_some_and(|major| major >= 9)
    }

    /// Moves a slot with all that is in it in one step, as such servers do.
    pub(crate) fn migrate_at_once(&self, slot: u16, from: usize, to: usize) {
        let (source, number) = (&self.nodes[from], slot.to_string());
        let to_id: String = self.nodes[to].ask(&["CLUSTER", "MYID"]);
        let order = ["CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", &number, &number, "NODE", &to_id];
        source.ask::<()>(&order);
        until("the slot has moved", || self.owner_of_slot(slot) == to);
    }

    /// A name for a queue on that node; each call another one.
    pub(crate) fn name_on(&self, owner: usize) -> String {
        let names = std::iter::repeat_with(|| format!("q{:08x}", fastrand::u32(..)));
        { names }.find(|name| self.owner(name) == owner).unwrap()
    }
}

impl Node {
    pub(crate) fn info_of_cluster(&self, field: &str) -> String {
        let info: String = self.try_ask(&["CLUSTER", "INFO"]).unwrap_or_default();
        let told = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        told.unwrap_or_default().trim().to_owned()
    }

    pub(crate) fn thaw_or_restart(&mut self) {
        if self.is_dead() {
            self.restart();
        } else {
            self.thaw();
        }
    }
}
