//! A master and its replica.

use std::collections::HashSet;
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use redeliver::{MessageId, Policy};

use crate::fixture::{Fixture, TestServer};

pub(crate) struct Pair {
    pub(crate) master: TestServer,
    pub(crate) replica: TestServer,
}

impl Pair {
    pub(crate) fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let port = port.to_string();
        let master = TestServer::start(&["--port", &port, "--repl-diskless-sync-delay", "0"]);
        let replica = TestServer::start(&["--replicaof", "127.0.0.1", &port]);
        let pair = Self { master, replica };
        pair.wait_for_sync();
        pair
    }

    pub(crate) async fn queue(&self, policy: Policy) -> Fixture {
        Fixture::on(&self.master, policy).await
    }

    fn wait_for_sync(&self) {
        let given_up = Instant::now() + Duration::from_secs(60);
        while !info(&self.master, "replication").contains("state=online") {
            assert!(Instant::now() < given_up, "the replica does not follow");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Stops the replica in its tracks, as a host that hangs.
    pub(crate) fn stop_replica(&self) {
        signal(&self.replica, "STOP");
    }

    pub(crate) fn wake_replica(&self) {
        signal(&self.replica, "CONT");
    }

    /// The master dies, the replica takes its place; what it has of a queue.
    pub(crate) fn fail_over(&mut self, queue: &Fixture) -> HashSet<MessageId> {
        self.master.kill();
        self.wake_replica();
        let mut replica = self.replica.client().get_connection().unwrap();
        // What is in the replica's socket is its own; it notices the end of the master after it.
        let given_up = Instant::now() + Duration::from_secs(60);
        while !info(&self.replica, "replication").contains("master_link_status:down") {
            assert!(Instant::now() < given_up, "the replica does not notice");
            std::thread::sleep(Duration::from_millis(5));
        }
        redis::cmd("REPLICAOF").arg("NO").arg("ONE").exec(&mut replica).unwrap();
        let ids = redis::cmd("HKEYS").arg(queue.key("messages")).query::<Vec<String>>(&mut replica);
        ids.unwrap().iter().map(|id| id.parse().unwrap()).collect()
    }
}

pub(crate) fn info(server: &TestServer, section: &str) -> String {
    let mut connection = server.client().get_connection().unwrap();
    redis::cmd("INFO").arg(section).query(&mut connection).unwrap()
}

/// How often a command was called, by name as in `INFO commandstats`.
pub(crate) fn calls(server: &TestServer, command: &str) -> u64 {
    let stats = info(server, "commandstats");
    let line =
        stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}

fn signal(server: &TestServer, signal: &str) {
    let kill =
        Command::new("sh").args(["-c", "kill -\"$0\" \"$1\"", signal, &pid(server)]).status();
    assert!(kill.unwrap().success());
}

/// A stopped server answers nothing, so its process is looked up once, while it runs.
fn pid(server: &TestServer) -> String {
    let file = server.dir().join("pid");
    std::fs::read_to_string(&file).unwrap_or_else(|_| {
        let told = info(server, "server");
        let pid = told.lines().find_map(|line| line.strip_prefix("process_id:")).unwrap();
        std::fs::write(&file, pid.trim()).unwrap();
        pid.trim().to_owned()
    })
}
