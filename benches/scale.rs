//! What does a second and a third shard cost, what does one that hangs take from the others, and what
//! do a thousand idle workers? A bad answer is more CPU for a message on three shards than on one
//! server, others that slow down with the one that hangs, or a price for workers that do nothing.
//!
//! CPU is the servers' own, whatever else the machine does; rates are of the same run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::print_stderr,
    reason = "a bench that cannot go on stops"
)]

#[path = "../tests/topology/bus.rs"]
mod bus;
#[path = "../tests/topology/cluster.rs"]
#[expect(dead_code, reason = "the tests use the rest of it")]
mod cluster;
#[path = "../tests/topology/nodes.rs"]
#[expect(dead_code, reason = "the tests use the rest of it")]
mod nodes;
#[path = "../tests/ops/under_test.rs"]
#[expect(dead_code, reason = "the tests use the rest of it")]
mod under_test;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::{Duration, Instant};

use redeliver::{Context, Message, Queue, Raw, Server, Worker};
use serde::Serialize;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use cluster::Cluster;
use nodes::{Node, ports};

/// Of one round and shard: enough that a server works for about a second.
const MESSAGES: usize = 40_000;
const ROUNDS: usize = 5;
/// Of a worker, for each shard: three shards are there for three times the load, and calls carry as
/// much as there is room for.
const CONCURRENCY: usize = 512;
const SHARDS: [u32; 3] = [1, 2, 3];
/// How long rates are taken.
const SPAN: Duration = Duration::from_secs(5);
/// A node that hangs is taken for dead after 2 s: the bench looks at it before.
const HANGS: Duration = Duration::from_millis(1_500);
const IDLE_WORKERS: [usize; 2] = [10, 1_000];
const SINGLE_PUSHES: usize = 500;

#[derive(Serialize)]
struct Cost {
    /// 0 is one server that is no Cluster.
    shards: u32,
    messages_per_call: f64,
    server_cpu_us: f64,
    of_one_server: f64,
}

#[derive(Serialize)]
struct Frozen {
    what: &'static str,
    others_before_per_s: f64,
    others_meanwhile_per_s: f64,
    ratio: f64,
}

#[derive(Serialize)]
struct Idle {
    workers: usize,
    calls_per_s: f64,
    server_cpu_percent: f64,
    server_kb_per_worker: f64,
    server_cpu_us_per_message: f64,
    median_ms_to_the_handler: f64,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> std::io::Result<()> {
    // `cargo test --benches` and criterion's own flags only want to see that it builds.
    if std::env::args().any(|arg| arg == "--test" || arg == "--list") {
        return Ok(());
    }
    let mut cluster = Cluster::start();
    cluster.heal();
    for cost in costs(&cluster).await {
        tell(&cost)?;
    }
    for frozen in [drained_beside(&mut cluster).await, pushed_beside(&mut cluster).await] {
        tell(&frozen)?;
    }
    drop(cluster);
    for workers in IDLE_WORKERS {
        tell(&idle(workers).await)?;
    }
    Ok(())
}

fn tell(row: &impl Serialize) -> std::io::Result<()> {
    writeln!(std::io::stdout().lock(), "{}", serde_json::to_string(row).unwrap())
}

fn payload() -> Raw {
    Raw(vec![b'x'; 100])
}

/// A server with a replica, as each shard has one.
fn pair(dir: &TempDir) -> [Node; 2] {
    let [port, replica] = ports::<2>();
    [(port, None), (replica, Some(port))].map(|(port, master)| {
        let follows = master.map_or(String::new(), |port| format!("--replicaof 127.0.0.1 {port}"));
        let args = format!(
            "--port {port} --bind 127.0.0.1 --appendonly yes --appendfsync no \
             --repl-diskless-sync-delay 0 {follows}"
        );
        let mut args: Vec<_> = args.split_whitespace().map(str::to_owned).collect();
        args.extend(["--save".into(), String::new()]);
        let node = Node::start(dir.path(), port, "", &args);
        node.wait();
        node
    })
}

/// CPU of the servers for a message that is pushed, claimed and acknowledged.
async fn costs(cluster: &Cluster) -> Vec<Cost> {
    let dir = TempDir::with_prefix("rd-scale-").unwrap();
    let pair = pair(&dir);
    let alone: Queue<Raw> = Server::connect(&pair[0].url()).await.unwrap().queue("alone").unwrap();
    let server = Server::connect(&cluster.url()).await.unwrap();
    let mut spread = Vec::new();
    for shards in SHARDS {
        spread.push(spread_over(cluster, &server, (&format!("over-{shards}"), shards)).await);
    }
    let mut figures = vec![(Vec::new(), Vec::new()); SHARDS.len() + 1];
    for number in 0..=ROUNDS {
        let one = round(&alone, &[&pair[0]]).await;
        let mut told = vec![one];
        for (queue, masters) in &spread {
            let masters: Vec<_> = masters.iter().map(|master| &cluster.nodes[*master]).collect();
            told.push(round(queue, &masters).await);
        }
        // The first round loads scripts and fills caches.
        if number > 0 {
            for ((cpu, calls), figures) in told.into_iter().zip(&mut figures) {
                figures.0.push(cpu);
                figures.1.push(calls);
            }
        }
    }
    let medians = figures.into_iter().map(|(cpu, calls)| (median(cpu), median(calls)));
    let medians: Vec<_> = medians.collect();
    let cost = |(shards, (cpu, calls)): (u32, (f64, f64))| Cost {
        shards,
        messages_per_call: 1.0 / calls,
        server_cpu_us: cpu,
        of_one_server: cpu / medians[0].0,
    };
    (0..).zip(medians.iter().copied()).map(cost).collect()
}

/// A queue whose partitions are each on another master, and these masters.
async fn spread_over(
    cluster: &Cluster,
    server: &Server,
    (name, shards): (&str, u32),
) -> (Queue<Raw>, Vec<usize>) {
    for number in 0.. {
        let name = format!("{name}-{number}");
        let owner = |partition| {
            let tag = format!("{{{name}.{partition}}}");
            cluster.owner_of_slot(cluster.nodes[0].ask(&["CLUSTER", "KEYSLOT", &tag]))
        };
        let owners: Vec<_> = (0..shards).map(owner).collect();
        if owners.iter().collect::<BTreeSet<_>>().len() == owners.len() {
            let queue = server.queue(&name).unwrap();
            queue.set_partitions(shards).await.unwrap();
            return (queue, owners);
        }
    }
    unreachable!("names never end")
}

/// CPU in microseconds, and calls of scripts, for each message of one round.
async fn round(queue: &Queue<Raw>, servers: &[&Node]) -> (f64, f64) {
    let spent = || servers.iter().map(|server| cpu_us(server)).sum::<f64>();
    let called = || servers.iter().map(|server| calls_of(server, "evalsha")).sum::<f64>();
    let before = (spent(), called());
    let messages = MESSAGES * servers.len();
    queue.push_all((0..messages).map(|_| payload())).await.unwrap();
    let (worker, stop) = worker(queue, servers.len());
    while queue.counts().await.unwrap().messages > 0 {
        sleep(Duration::from_millis(20)).await;
    }
    let each = |figure: f64| figure / messages as f64;
    let figures = (each(spent() - before.0), each(called() - before.1));
    stop.cancel();
    worker.await.unwrap();
    figures
}

fn calls_of(server: &Node, command: &str) -> f64 {
    let told = server.info("commandstats", &format!("cmdstat_{command}")).unwrap_or_default();
    let calls = told.split(',').next().and_then(|calls| calls.strip_prefix("calls="));
    calls.map_or(0.0, |calls| calls.parse().unwrap())
}

fn worker(queue: &Queue<Raw>, shards: usize) -> (tokio::task::JoinHandle<()>, CancellationToken) {
    let stop = CancellationToken::new();
    let worker =
        Worker::new(queue.clone(), async |_: Raw, _: Context| {}).concurrency(CONCURRENCY * shards);
    let running = worker.run(stop.clone().cancelled_owned());
    (tokio::spawn(async { running.await.unwrap() }), stop)
}

/// What a server has spent so far.
fn cpu_us(server: &Node) -> f64 {
    let spent = |field| server.info("cpu", field).unwrap().parse::<f64>().unwrap() * 1e6;
    spent("used_cpu_user") + spent("used_cpu_sys")
}

/// How fast a worker drains two partitions, beside a third one that works or hangs.
async fn drained_beside(cluster: &mut Cluster) -> Frozen {
    let server = Server::connect(&cluster.url()).await.unwrap();
    let (queue, owners) = spread_over(cluster, &server, ("drained", 3)).await;
    queue.push_all((0..MESSAGES * 30).map(|_| payload())).await.unwrap();
    let (worker, stop) = worker(&queue, owners.len());
    sleep(HANGS).await;
    let acked = async || others(&queue, |counts| counts.acked).await;
    let frozen = beside(cluster, owners[0], acked).await;
    stop.cancel();
    worker.await.unwrap();
    Frozen { what: "drained by one worker", ..frozen }
}

/// How fast many tasks push to two partitions, beside a third one that works or hangs.
async fn pushed_beside(cluster: &mut Cluster) -> Frozen {
    let server = Server::connect(&cluster.url()).await.unwrap();
    let (queue, owners) = spread_over(cluster, &server, ("pushed", 3)).await;
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    for _ in 0..CONCURRENCY {
        let (queue, stop) = (queue.clone(), stop.clone());
        tasks.spawn(async move {
            let pushes = async {
                loop {
                    queue.push(Message::new(payload())).await.ok();
                }
            };
            stop.run_until_cancelled(pushes).await;
        });
    }
    sleep(HANGS).await;
    let pushed = async || others(&queue, |counts| counts.pushed).await;
    let frozen = beside(cluster, owners[0], pushed).await;
    stop.cancel();
    tasks.join_all().await;
    Frozen { what: "pushed by many tasks, to any", ..frozen }
}

async fn beside(cluster: &mut Cluster, hangs: usize, done: impl AsyncFn() -> u64) -> Frozen {
    let rate = async |span| {
        let (begun, before) = (Instant::now(), done().await);
        sleep(span).await;
        (done().await - before) as f64 / begun.elapsed().as_secs_f64()
    };
    let before = rate(SPAN).await;
    cluster.nodes[hangs].freeze();
    let meanwhile = rate(HANGS).await;
    cluster.nodes[hangs].thaw();
    cluster.heal();
    Frozen {
        what: "",
        others_before_per_s: before,
        others_meanwhile_per_s: meanwhile,
        ratio: meanwhile / before,
    }
}

/// A figure of the partitions but the first.
async fn others(queue: &Queue<Raw>, figure: fn(&redeliver::Counts) -> u64) -> u64 {
    let counts = queue.counts_by_partition().await;
    counts[1..].iter().map(|counts| figure(counts.as_ref().unwrap())).sum()
}

/// What workers cost that wait, and what a message costs that wakes one of them.
async fn idle(workers: usize) -> Idle {
    let dir = TempDir::with_prefix("rd-scale-").unwrap();
    let server = &pair(&dir)[0];
    let memory = || server.info("memory", "used_memory").unwrap().parse::<f64>().unwrap();
    let calls = || calls_of(server, "evalsha") + calls_of(server, "blpop");
    let empty = memory();
    let stop = CancellationToken::new();
    let (handled, mut arriving) = tokio::sync::mpsc::unbounded_channel();
    let mut running = JoinSet::new();
    for _ in 0..workers {
        // Each has connections of its own, as a process would.
        let queue: Queue<Raw> =
            Server::connect(&server.url()).await.unwrap().queue("idle").unwrap();
        let handled = handled.clone();
        let worker = Worker::new(queue, move |_: Raw, _: Context| {
            handled.send(Instant::now()).unwrap();
            std::future::ready(())
        });
        running.spawn(worker.run(stop.clone().cancelled_owned()));
    }
    sleep(SPAN).await;
    let (begun, before, spent) = (Instant::now(), calls(), cpu_us(server));
    sleep(SPAN).await;
    let seconds = begun.elapsed().as_secs_f64();
    let calls_per_s = (calls() - before) / seconds;
    let at_rest_us = (cpu_us(server) - spent) / seconds;
    let server_kb_per_worker = (memory() - empty) / 1024.0 / workers as f64;
    let queue: Queue<Raw> = Server::connect(&server.url()).await.unwrap().queue("idle").unwrap();
    let (begun, spent, mut waits) = (Instant::now(), cpu_us(server), Vec::new());
    for _ in 0..SINGLE_PUSHES {
        let pushed = Instant::now();
        queue.push(payload()).await.unwrap();
        let handled = arriving.recv().await.unwrap();
        waits.push(handled.saturating_duration_since(pushed).as_secs_f64() * 1e3);
    }
    let at_rest = at_rest_us * begun.elapsed().as_secs_f64();
    let server_cpu_us_per_message = (cpu_us(server) - spent - at_rest) / SINGLE_PUSHES as f64;
    stop.cancel();
    running.join_all().await;
    Idle {
        workers,
        calls_per_s,
        server_cpu_percent: at_rest_us / 1e4,
        server_kb_per_worker,
        server_cpu_us_per_message,
        median_ms_to_the_handler: median(waits),
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}
