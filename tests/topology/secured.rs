//! A Cluster and sentinels by TLS, with a user whose password changes while a worker runs.

use std::path::Path;

use redeliver::{Access, Queue, Raw, Server};
use tempfile::TempDir;
use tokio::task::block_in_place;

use crate::authority::{Authority, speaks_tls};
use crate::calm::Calm;
use crate::cluster::Cluster;
use crate::nodes::{Node, ports, until};
use crate::sentinels::Sentinels;
use crate::traffic::Traffic;

const USER: &str = "mailer";
/// The user's, before and after.
const PASSWORDS: [&str; 2] = ["old", "new"];

/// What servers and clients show each other, and the file with the user's password.
struct Secrets {
    ca: Authority,
    dir: TempDir,
}

impl Secrets {
    /// None where the server under test was built without TLS.
    fn new() -> Option<Self> {
        if !speaks_tls() {
            eprintln!("left out: the server has no TLS");
            return None;
        }
        let dir = TempDir::with_prefix("rd-secret-").unwrap();
        let secrets = Self { ca: Authority::new("our CA"), dir };
        secrets.ca.sign("server");
        secrets.write(PASSWORDS[0]);
        Some(secrets)
    }

    /// What servers and sentinels take: certificates from everybody, and TLS among themselves.
    fn settings(&self, port: u16) -> String {
        let file = |name: &str| self.ca.path(name).display().to_string();
        let (ca, certificate, key) = (file("ca.pem"), file("server.pem"), file("server.key"));
        format!(
            "tls-port {port}\ntls-ca-cert-file {ca}\ntls-cert-file {certificate}\n\
            tls-key-file {key}\ntls-replication yes\n"
        )
    }

    fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("password")
    }

    fn write(&self, password: &str) {
        std::fs::write(self.path(), password).unwrap();
    }

    fn access(&self) -> Access {
        let (certificate, key) = self.ca.sign("client");
        self.ca.trusted().certificate_files(certificate, key).password_file(self.path())
    }

    /// The new password first, then the old one goes, and whoever came in by it.
    fn rotate(&self, nodes: &[Node]) {
        let [old, new] = PASSWORDS;
        for node in nodes {
            node.ask::<()>(&["ACL", "SETUSER", USER, &format!(">{new}")]);
        }
        self.write(new);
        for node in nodes {
            node.ask::<()>(&["ACL", "SETUSER", USER, &format!("<{old}")]);
            node.ask::<()>(&["CLIENT", "KILL", "USER", USER]);
        }
    }
}

fn let_in(nodes: &[Node]) {
    for node in nodes {
        let password = format!(">{}", PASSWORDS[0]);
        node.ask::<()>(&["ACL", "SETUSER", USER, "on", &password, "~*", "&*", "+@all"]);
    }
}

/// How many connections the user has; all of them came in by TLS.
fn connections(nodes: &[Node], secure: &[u16]) -> usize {
    let mut connections = 0;
    for (node, secure) in nodes.iter().zip(secure) {
        let list: String = node.ask(&["CLIENT", "LIST"]);
        for line in list.lines().filter(|line| line.contains(&format!(" user={USER} "))) {
            assert!(line.contains(&format!(" laddr=127.0.0.1:{secure} ")), "{line}");
            connections += 1;
        }
    }
    connections
}

/// Waits until the bell, the alarm, the extender and the poller are there, in whatever order.
fn connected(nodes: &[Node], secure: &[u16]) {
    block_in_place(|| until("all agents are there", || connections(nodes, secure) >= 4));
}

async fn assert_refused(url: &str, password: &Path, why: &str) {
    let access = Access::default().password_file(password);
    let told = Server::connect_with(url, &access).await.unwrap_err().to_string();
    assert!(told.contains(why), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_by_tls_loses_nothing_to_a_rotation_and_a_failover() {
    let Some(secrets) = Secrets::new() else { return };
    let secure = ports::<6>();
    let mut cluster =
        Cluster::start_with(|node| secrets.settings(secure[node]) + "tls-cluster yes\n");
    cluster.heal();
    let_in(&cluster.nodes);
    let url = format!("rediss+cluster://{USER}@127.0.0.1:{},127.0.0.1:{}", secure[0], secure[4]);
    assert_refused(&url, &secrets.path(), "invalid peer certificate").await;

    let name = cluster.name_on(cluster.masters()[0]);
    let traffic = Traffic::start_as(&url, &secrets.access(), &name).await;
    connected(&cluster.nodes, &secure);
    block_in_place(|| secrets.rotate(&cluster.nodes));
    traffic.flows_after(Calm::now()).await;

    let master = cluster.owner(&name);
    cluster.nodes[cluster.replica_of(master)].ask::<()>(&["CLUSTER", "FAILOVER"]);
    block_in_place(|| cluster.elected(cluster.slot(&name), master));
    traffic.flows_after(Calm::now()).await;
    connected(&cluster.nodes, &secure);
    let (seen, lost) = traffic.end().await;
    assert!(lost.is_empty() && seen.failed.is_empty(), "{lost:?} {:?}", seen.failed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_by_tls_lead_to_the_master_after_a_rotation_and_a_failover() {
    let Some(secrets) = Secrets::new() else { return };
    let secure = ports::<6>();
    let mut stage = Sentinels::start_with(Some(secure), |port| secrets.settings(port));
    stage.heal();
    let_in(&stage.servers);
    let hosts: Vec<_> = secure[3..].iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let url = format!("rediss+sentinel://{USER}@{}/main?sentinel_password=s", hosts.join(","));
    assert_refused(&url, &secrets.path(), "invalid peer certificate").await;

    let traffic = Traffic::start_as(&url, &secrets.access(), "q").await;
    connected(&stage.servers, &secure);
    block_in_place(|| secrets.rotate(&stage.servers));
    traffic.flows_after(Calm::now()).await;

    let old = stage.master();
    stage.hand_over(0);
    block_in_place(|| stage.elected(old));
    traffic.flows_after(Calm::now()).await;
    connected(&stage.servers, &secure);
    let (_, lost) = traffic.end().await;
    eprintln!("sentinels by TLS: {} lost by a failover that was ordered", lost.len());
    let again = Server::connect_with(&url, &secrets.access()).await.unwrap();
    let queue: Queue<Raw> = again.queue("q").unwrap();
    assert!(queue.counts().await.unwrap().law_holds());
}
