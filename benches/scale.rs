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

use futures_util::future::join_all;
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
/// Three servers that know nothing of each other tell what three processes cost on this machine.
const STAGES: [&str; 5] =
    ["one server", "three servers, a queue on each", "one shard", "two shards", "three shards"];
/// How long rates are taken.
const SPAN: Duration = Duration::from_secs(5);
/// A node that hangs is taken for dead after 2 s: the bench looks at it before.
const HANGS: Duration = Duration::from_secs(1);
const IDLE_WORKERS: [usize; 2] = [10, 1_000];
const SINGLE_PUSHES: usize = 500;

#[derive(Serialize)]
struct Cost {
    what: &'static str,
    messages_per_call: f64,
    server_cpu_us: f64,
    /// The same without what the nodes spend when nothing is to do, in the time that a round took.
    above_rest_us: f64,
    of_one_server: f64,
    of_three_servers: f64,
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
    let pairs = [(); 3].map(|()| pair(&dir));
    let mut alone = Vec::new();
    for pair in &pairs {
        let server = Server::connect(&pair[0].url()).await.unwrap();
        alone.push((vec![server.queue("alone").unwrap()], vec![&pair[0]]));
    }
    let (queues, servers): (Vec<_>, Vec<_>) = alone.iter().cloned().unzip();
    let mut stages = vec![alone.remove(0), (queues.concat(), servers.concat())];
    let server = Server::connect(&cluster.url()).await.unwrap();
    for shards in SHARDS {
        let name = format!("over-{shards}");
        let (queue, masters) = spread_over(cluster, &server, (&name, shards)).await;
        let masters = masters.iter().map(|master| &cluster.nodes[*master]).collect();
        stages.push((vec![queue], masters));
    }
    let mut rests = Vec::new();
    for (_, servers) in &stages {
        rests.push(at_rest(servers).await);
    }
    let mut rounds = vec![Vec::new(); stages.len()];
    for number in 0..=ROUNDS {
        for (((queues, servers), rest), rounds) in stages.iter().zip(&rests).zip(&mut rounds) {
            let figures = round(queues, servers, *rest).await;
            // The first round loads scripts and fills caches.
            if number > 0 {
                rounds.push(figures);
            }
        }
    }
    let medians = |figure: usize| -> Vec<f64> {
        let medians = rounds.iter().map(|rounds| rounds.iter().map(|round| round[figure]));
        medians.map(|figures| median(figures.collect())).collect()
    };
    let [cpu, above_rest, calls] = [0, 1, 2].map(medians);
    let cost = |at: usize| Cost {
        what: STAGES[at],
        messages_per_call: 1.0 / calls[at],
        server_cpu_us: cpu[at],
        above_rest_us: above_rest[at],
        of_one_server: cpu[at] / cpu[0],
        of_three_servers: cpu[at] / cpu[1],
    };
    (0..cpu.len()).map(cost).collect()
}

/// CPU in microseconds that servers spend in a second when nothing is to do.
async fn at_rest(servers: &[&Node]) -> f64 {
    let spent = || servers.iter().map(|server| cpu_us(server)).sum::<f64>();
    let (begun, before) = (Instant::now(), spent());
    sleep(SPAN).await;
    (spent() - before) / begun.elapsed().as_secs_f64()
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

/// CPU in microseconds, the same above what the servers spend at rest, and calls of scripts, for each
/// message of one round.
async fn round(queues: &[Queue<Raw>], servers: &[&Node], at_rest: f64) -> [f64; 3] {
    let spent = || servers.iter().map(|server| cpu_us(server)).sum::<f64>();
    let called = || servers.iter().map(|server| calls_of(server, "evalsha")).sum::<f64>();
    let (begun, before) = (Instant::now(), (spent(), called()));
    let messages = MESSAGES * servers.len();
    let shards = servers.len() / queues.len();
    let payloads = || (0..MESSAGES * shards).map(|_| payload());
    for pushed in join_all(queues.iter().map(|queue| queue.push_all(payloads()))).await {
        pushed.unwrap();
    }
    let workers: Vec<_> = queues.iter().map(|queue| worker(queue, shards)).collect();
    for queue in queues {
        while queue.counts().await.unwrap().messages > 0 {
            sleep(Duration::from_millis(20)).await;
        }
    }
    let each = |figure: f64| figure / messages as f64;
    let cpu = spent() - before.0;
    let above_rest = cpu - at_rest * begun.elapsed().as_secs_f64();
    let figures = [each(cpu), each(above_rest), each(called() - before.1)];
    for (worker, stop) in workers {
        stop.cancel();
        worker.await.unwrap();
    }
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
    let frozen = beside(cluster, &queue, &owners, "acked").await;
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
    let frozen = beside(cluster, &queue, &owners, "pushed").await;
    stop.cancel();
    tasks.join_all().await;
    Frozen { what: "pushed by many tasks, to any", ..frozen }
}

/// How fast a counter grows in the partitions but the first, before that one's node hangs and then.
async fn beside(
    cluster: &mut Cluster,
    queue: &Queue<Raw>,
    owners: &[usize],
    counter: &str,
) -> Frozen {
    // Not through the library, which would ask the node that hangs as well.
    let done = |cluster: &Cluster| -> u64 {
        let told = (1..owners.len()).map(|partition| {
            let meta = format!("rd:{{{}.{partition}}}:meta", queue.name());
            cluster.nodes[owners[partition]].ask::<u64>(&["HGET", &meta, counter])
        });
        told.sum()
    };
    let rate = async |cluster: &Cluster| {
        let (begun, before) = (Instant::now(), done(cluster));
        sleep(HANGS).await;
        (done(cluster) - before) as f64 / begun.elapsed().as_secs_f64()
    };
    let before = rate(cluster).await;
    cluster.nodes[owners[0]].freeze();
    let meanwhile = rate(cluster).await;
    cluster.nodes[owners[0]].thaw();
    cluster.heal();
    Frozen {
        what: "",
        others_before_per_s: before,
        others_meanwhile_per_s: meanwhile,
        ratio: meanwhile / before,
    }
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
