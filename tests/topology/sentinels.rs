//! A master and two replicas that three sentinels watch.

use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};

use crate::nodes::{Node, as_args, ports, until};

const SERVERS: usize = 3;
/// The name under which the master is watched.
const SERVICE: &str = "main";
/// How long a master may be silent: long enough that a busy machine is not taken for a dead one.
const DOWN_AFTER_MS: &str = "1500";
/// Whom a server takes the sentinels and the replicas for, so that it can be cut off from them alone.
const USERS: [&str; 2] = ["sentinel", "replica"];
/// What clients, and the tests, log in as.
pub(crate) const CLIENT: &str = "app:x@";

pub(crate) struct Sentinels {
    pub(crate) servers: Vec<Node>,
    pub(crate) sentinels: Vec<Node>,
}

/// The sentinels and servers of this process, whole, for one test at a time.
pub(crate) async fn whole() -> MappedMutexGuard<'static, Sentinels> {
    static STAGE: Mutex<Option<Sentinels>> = Mutex::const_new(None);
    let stage = STAGE.lock().await;
    let mut sentinels = MutexGuard::map(stage, |stage| stage.get_or_insert_with(Sentinels::start));
    sentinels.heal();
    sentinels
}

impl Sentinels {
    pub(crate) fn start() -> Self {
        Self::start_with(None, |_| String::new())
    }

    /// Each server and sentinel with settings of its own, and under another port where one is given.
    pub(crate) fn start_with(
        announced: Option<[u16; 2 * SERVERS]>,
        settings: impl Fn(u16) -> String,
    ) -> Self {
        let dir = TempDir::with_prefix("rd-sentinels-").unwrap().keep();
        let free = ports::<{ 2 * SERVERS }>();
        let announced = announced.unwrap_or(free);
        let (ports, watching) = free.split_at(SERVERS);
        let known = |port: u16| {
            free.iter().zip(announced).find(|(free, _)| **free == port).map_or(port, |(_, it)| it)
        };
        let first = known(ports[0]);
        let server = |port: u16| {
            let users = ["app", USERS[0], USERS[1]]
                .map(|user| format!("--user {user} on >x ~* &* +@all"))
                .join(" ");
            let follows = if port == ports[0] {
                String::new()
            } else {
                format!("--replicaof 127.0.0.1 {first}")
            };
            let args = format!(
                "--port {port} --bind 127.0.0.1 --repl-diskless-sync-delay 0 --appendonly yes \
                --appendfsync no --masteruser replica --masterauth x --repl-timeout 5 \
                --user default off {users} {follows}"
            );
            let mut args: Vec<_> = args.split_whitespace().map(str::to_owned).collect();
            args.extend(["--save".into(), String::new()]);
            args.extend(as_args(&settings(known(port))));
            let mut node = Node::start(&dir, port, CLIENT, &args);
            node.announced = known(port);
            node.wait();
            node
        };
        let servers: Vec<_> = ports.iter().copied().map(server).collect();
        let sentinel = |port: u16| {
            let settings = format!(
                "port {port}\nbind 127.0.0.1\nsentinel monitor {SERVICE} 127.0.0.1 {} 2\n\
                requirepass s\nsentinel sentinel-pass s\n\
                sentinel auth-user {SERVICE} sentinel\nsentinel auth-pass {SERVICE} x\n\
                sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}\n\
                sentinel failover-timeout {SERVICE} 10000\n{}",
                first,
                settings(known(port))
            );
            let file = dir.join(format!("{port}.conf"));
            std::fs::write(&file, settings).unwrap();
            let file = file.to_str().unwrap().to_owned();
            let mut node = Node::start(&dir, port, ":s@", &[file, "--sentinel".into()]);
            node.announced = known(port);
            node.wait();
            node
        };
        let sentinels = watching.iter().copied().map(sentinel).collect();
        Self { servers, sentinels }
    }

    /// Waits until all agree on a master that two replicas follow.
    pub(crate) fn heal(&mut self) {
        self.servers.iter_mut().chain(&mut self.sentinels).for_each(Node::thaw_or_restart);
        self.let_in();
        until("master, replicas and sentinels are whole", || {
            let masters: Vec<_> = self.sentinels.iter().map(|node| self.master_by(node)).collect();
            let Some(Some(master)) = masters.first() else { return false };
            let is_known = |sentinel: &Node| {
                let told: std::collections::HashMap<String, String> =
                    sentinel.try_ask(&["SENTINEL", "MASTER", SERVICE]).unwrap_or_default();
                let is = |name: &str, value: &str| told.get(name).is_some_and(|told| told == value);
                is("num-other-sentinels", "2") && is("num-slaves", "2") && is("flags", "master")
            };
            let server = &self.servers[*master];
            let follows = |slot: &str| {
                let told = server.info("replication", slot);
                told.is_some_and(|told| told.contains("state=online"))
            };
            masters.iter().all(|told| *told == Some(*master))
                && self.sentinels.iter().all(is_known)
                && server.info("replication", "role").as_deref() == Some("master")
                && follows("slave0")
                && follows("slave1")
        });
    }

    pub(crate) fn url(&self) -> String {
        let hosts = self.sentinels.iter().map(|node| format!("127.0.0.1:{}", node.port));
        format!(
            "redis+sentinel://{CLIENT}{}/{SERVICE}?sentinel_password=s",
            hosts.collect::<Vec<_>>().join(",")
        )
    }

    /// Whom a sentinel names.
    pub(crate) fn master_by(&self, sentinel: &Node) -> Option<usize> {
        let asked = sentinel.try_ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE]);
        let (_, port): (String, u16) = asked.ok()?;
        self.servers.iter().position(|node| node.announced == port)
    }

    pub(crate) fn master(&self) -> usize {
        self.sentinels.iter().find_map(|node| self.master_by(node)).expect("a sentinel answers")
    }

    /// The others.
    pub(crate) fn replicas_of(&self, master: usize) -> impl Iterator<Item = usize> + use<> {
        (0..self.servers.len()).filter(move |server| *server != master)
    }

    /// Whom any sentinel names that is not this one.
    pub(crate) fn master_but(&self, old: usize) -> usize {
        let mut named = self.sentinels.iter().filter_map(|node| self.master_by(node));
        named.find(|named| *named != old).expect("another master is elected")
    }

    /// Waits until some sentinel names another master.
    pub(crate) fn elected(&self, old: usize) -> Duration {
        until("another master is elected", || {
            let named = self.sentinels.iter().filter_map(|node| self.master_by(node));
            { named }.any(|named| named != old)
        })
    }

    /// Has a sentinel make another one the master.
    pub(crate) fn hand_over(&self, sentinel: usize) {
        let ask =
            || self.sentinels[sentinel].try_ask::<()>(&["SENTINEL", "FAILOVER", SERVICE]).is_ok();
        until("a sentinel begins the failover", ask);
    }

    /// Cuts a server off from sentinels and replicas, and from no one else.
    pub(crate) fn cut_off(&self, server: usize) {
        for user in USERS {
            self.servers[server].ask::<()>(&["ACL", "SETUSER", user, "off"]);
            self.servers[server].ask::<()>(&["CLIENT", "KILL", "USER", user]);
        }
    }

    pub(crate) fn let_in(&self) {
        for (server, user) in
            self.servers.iter().flat_map(|server| USERS.map(|user| (server, user)))
        {
            // A sentinel that makes it a replica ends its connections.
            let let_in = || server.try_ask::<()>(&["ACL", "SETUSER", user, "on"]).is_ok();
            until("a server lets the others in", let_in);
        }
    }
}
