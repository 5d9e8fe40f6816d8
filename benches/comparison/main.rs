//! Which way of moving due messages is fast, and which one keeps them all?
//!
//! Every algorithm moves the same messages, all due at once, with 1, 4, 16 and 64 pollers, while
//! pollers are killed at seeded moments, between any two of their commands, and replaced. Then the
//! ready list is read: an id that stands in it twice is a duplicate, one that is nowhere is lost. A bad
//! answer is anything but 0 and 0, or a rate that falls as pollers are added.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a bench that cannot go on stops"
)]

mod algorithms;
#[path = "../../tests/ops/fixture.rs"]
#[expect(dead_code, reason = "the tests use the rest of it")]
mod fixture;

use std::collections::HashSet;
use std::io::Write as _;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use serde::Serialize;
use tokio::task::{AbortHandle, JoinSet};

use algorithms::{ALGORITHMS, Algorithm};
use fixture::TestServer;

const POLLERS: [usize; 4] = [1, 4, 16, 64];
/// A poller dies about this often.
const KILL_EVERY: Duration = Duration::from_millis(15);
/// How exactly the end is seen.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// An algorithm that has not moved everything by then is told of as it stands.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Serialize)]
struct Row {
    algorithm: &'static str,
    pollers: usize,
    messages: usize,
    moved_per_s: f64,
    server_us_per_message: f64,
    killed: usize,
    duplicates: usize,
    lost: usize,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> std::io::Result<()> {
    // `cargo test --benches` and criterion's own flags only want to see that it builds.
    if std::env::args().any(|arg| arg == "--test" || arg == "--list") {
        return Ok(());
    }
    let messages = env("COMPARISON_MESSAGES", 50_000);
    let seed = env("COMPARISON_SEED", 7);
    let server = TestServer::start(&[]);
    let mut out = std::io::stdout().lock();
    writeln!(out, "{messages} messages due at once, seed {seed}")?;
    writeln!(
        out,
        "{:<26} {:>7} {:>12} {:>10} {:>7} {:>10} {:>6}",
        "algorithm", "pollers", "moved/s", "server us", "killed", "duplicates", "lost"
    )?;
    let mut rows = Vec::new();
    for algorithm in ALGORITHMS {
        for pollers in POLLERS {
            let row = measure(&server, algorithm, pollers, messages, seed as u64).await;
            writeln!(
                out,
                "{:<26} {:>7} {:>12.0} {:>10.1} {:>7} {:>10} {:>6}",
                row.algorithm,
                row.pollers,
                row.moved_per_s,
                row.server_us_per_message,
                row.killed,
                row.duplicates,
                row.lost
            )?;
            rows.push(row);
        }
    }
    let file = concat!(env!("CARGO_TARGET_TMPDIR"), "/comparison.json");
    std::fs::write(file, serde_json::to_string_pretty(&rows)?)?;
    writeln!(out, "written to {file}")
}

fn env(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

async fn connect(server: &TestServer) -> MultiplexedConnection {
    server.client().get_multiplexed_async_connection().await.unwrap()
}

async fn cpu_us(connection: &mut MultiplexedConnection) -> f64 {
    let info: String = redis::cmd("INFO").arg("cpu").query_async(connection).await.unwrap();
    let field = |name: &str| -> f64 {
        let line = info.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.parse().unwrap()
    };
    (field("used_cpu_user:") + field("used_cpu_sys:")) * 1e6
}

/// Pollers that are killed and replaced.
struct Crowd<'a> {
    server: &'a TestServer,
    algorithm: Algorithm,
    tasks: JoinSet<()>,
    alive: Vec<AbortHandle>,
}

impl Crowd<'_> {
    async fn spawn(&mut self) -> AbortHandle {
        let connection = connect(self.server).await;
        self.tasks.spawn(self.algorithm.poll(self.server.url(), connection))
    }

    /// Until nothing waits any more: how long it took, and how many pollers died.
    async fn run(
        &mut self,
        look: &mut MultiplexedConnection,
        pollers: usize,
        seed: u64,
    ) -> (Duration, usize) {
        let mut random = fastrand::Rng::with_seed(seed);
        let started = Instant::now();
        for _ in 0..pollers {
            let poller = self.spawn().await;
            self.alive.push(poller);
        }
        let mut killed = 0;
        let mut next_kill = KILL_EVERY;
        while started.elapsed() < PATIENCE && self.algorithm.waiting(look).await > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
            if started.elapsed() >= next_kill {
                next_kill = started.elapsed() + KILL_EVERY.mul_f64(0.5 + random.f64());
                let victim = random.usize(..self.alive.len());
                self.alive[victim].abort();
                self.alive[victim] = self.spawn().await;
                killed += 1;
            }
        }
        (started.elapsed(), killed)
    }
}

async fn measure(
    server: &TestServer,
    algorithm: Algorithm,
    pollers: usize,
    messages: usize,
    seed: u64,
) -> Row {
    let mut look = connect(server).await;
    redis::cmd("FLUSHALL").exec_async(&mut look).await.unwrap();
    algorithm.load(server, messages).await;
    let cpu = cpu_us(&mut look).await;
    let mut crowd = Crowd { server, algorithm, tasks: JoinSet::new(), alive: Vec::new() };
    let (took, killed) = crowd.run(&mut look, pollers, seed).await;
    let used = cpu_us(&mut look).await - cpu;
    crowd.tasks.shutdown().await;
    let ready = algorithm.ready(&mut look).await;
    let unique: HashSet<&String> = ready.iter().collect();
    let left = algorithm.waiting(&mut look).await;
    Row {
        algorithm: algorithm.name(),
        pollers,
        messages,
        moved_per_s: unique.len() as f64 / took.as_secs_f64(),
        server_us_per_message: used / messages as f64,
        killed,
        duplicates: ready.len() - unique.len(),
        lost: messages.saturating_sub(unique.len() + left),
    }
}
