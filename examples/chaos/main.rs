//! Chaos: real processes, real faults, and a verdict on every single message.
//!
//! ```sh
//! cargo run --release --example chaos -- --seconds 60 --seed 1 --faults all -o json
//! ```
//!
//! It starts a server of its own behind a proxy of its own, and producers, workers, consumers by
//! hand and pollers as processes, each of which writes a history. Faults strike at random times
//! that the seed decides. Then all is healed, the queue has to run dry, and a checker judges each
//! message. The exit code is 1 when a message was lost, early, held twice or otherwise not treated
//! as promised; the histories are kept then.

mod agent;
#[path = "../../tests/topology/bus.rs"]
mod bus;
#[path = "../../tests/topology/cluster.rs"]
#[expect(clippy::unwrap_used, clippy::expect_used, reason = "a run that cannot go on has failed")]
#[expect(dead_code, reason = "the tests use the rest of it")]
mod cluster;
mod consumer;
mod crew;
mod drills;
#[path = "../../tests/topology/faketime.rs"]
mod faketime;
mod faults;
mod heartbeat;
#[path = "../../tests/system/history/mod.rs"]
mod history;
mod judge;
mod law;
#[path = "../../tests/topology/nodes.rs"]
#[expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "likewise")]
#[expect(dead_code, reason = "the tests use the rest of it")]
mod nodes;
mod orphans;
mod producer;
mod proxy;
mod report;
#[path = "../../tests/topology/sentinels.rs"]
#[expect(clippy::expect_used, clippy::unwrap_used, reason = "likewise")]
#[expect(dead_code, reason = "the tests use the rest of it")]
mod sentinels;
mod server;
mod stage;
mod topology;
#[path = "../../tests/ops/under_test.rs"]
#[expect(clippy::unwrap_used, clippy::panic, reason = "likewise")]
#[expect(dead_code, reason = "the tests use the rest of it")]
mod under_test;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Parser, Subcommand, ValueEnum};

use agent::AgentArgs;
use faults::Fault;
use judge::CheckArgs;
use topology::Topology;

const NO_CLOCK: &str = "libfaketime is not installed (apt install faketime), or the server does not \
    start by it";
/// Where files are kept in memory, on systems that have it.
const MEMORY: &str = "/dev/shm";

#[derive(Debug, Parser)]
#[command(about, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    other: Option<Other>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Subcommand)]
enum Other {
    #[command(hide = true)]
    Agent(AgentArgs),
    /// Judges histories without a run: kept ones, or made up ones with known violations.
    Check(CheckArgs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// How long faults strike.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Draws the faults and their times; a random one is told.
    #[arg(long)]
    seed: Option<u64>,
    /// On what the queue is: one server, a Cluster of six nodes, or a master that sentinels watch.
    #[arg(long, value_enum, default_value_t)]
    topology: Topology,
    /// Over how many partitions the queue is spread; by default 3 on a Cluster, which are on as many
    /// masters at first, and else 1.
    #[arg(long)]
    partitions: Option<u32>,
    /// A list of them, or all that fit the topology, or none:
    /// kill (SIGKILL for processes, from outside and by themselves at named points),
    /// stop (SIGSTOP beyond the lease, then resumed),
    /// server (SIGKILL for the server, then a restart on its append-only file),
    /// flush (SCRIPT FLUSH), clients (CLIENT KILL for all of them), pause (CLIENT PAUSE),
    /// memory (maxmemory reached), readonly (a replica for a while),
    /// net (requests or replies cut off, half-open, delayed or split connections);
    /// of a topology, besides kill and stop: handover (a failover that is ordered), failover (SIGKILL
    /// for the master), freeze (SIGSTOP for the master), migrate (the slot of a partition moves, as a
    /// whole where the server can, else key by key; Cluster only), cut (all connections),
    /// partition (the master is cut off from all other servers, not from clients),
    /// clock (a server whose clock is a minute ahead or behind becomes the master, and later another
    /// one whose clock is right; needs libfaketime).
    #[arg(long, default_value = "all", verbatim_doc_comment)]
    faults: String,
    /// One fault in so many ms, on average.
    #[arg(long, default_value_t = 500)]
    every: u64,
    /// Messages a second.
    #[arg(long, default_value_t = 4_000)]
    rate: u64,
    #[arg(long, default_value = "always", value_parser = ["always", "everysec"])]
    appendfsync: String,
    /// Below which folder the server writes: by default in memory. A kill leaves what was written,
    /// only a power cut asks the disk. With `everysec` the server holds writes back while its disk
    /// is at a sync, so on a slow disk a kill takes what was confirmed within the last second or two.
    #[arg(long, value_name = "FOLDER")]
    store: Option<PathBuf>,
    /// How the result is shown, as the last line.
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
    /// Keeps the histories also when all is well.
    #[arg(long)]
    keep: bool,
}

impl RunArgs {
    fn faults(&self) -> Result<Vec<Fault>> {
        match self.faults.as_str() {
            "all" => {
                let all = Fault::value_variants().iter().copied();
                let mut all: Vec<_> = all.filter(|fault| fault.fits(self.topology)).collect();
                if all.contains(&Fault::Clock) && !topology::clocks_can_be_off() {
                    report::tell(&format!("clock is left out: {NO_CLOCK}"));
                    all.retain(|fault| *fault != Fault::Clock);
                }
                Ok(all)
            }
            "none" => Ok(Vec::new()),
            list => {
                let faults = list.split(',').map(|name| {
                    let fault = Fault::from_str(name.trim(), true).map_err(anyhow::Error::msg)?;
                    anyhow::ensure!(fault.fits(self.topology), "{name} does not fit the topology");
                    let can = fault != Fault::Clock || topology::clocks_can_be_off();
                    anyhow::ensure!(can, "{name} cannot be done: {NO_CLOCK}");
                    Ok(fault)
                });
                faults.collect()
            }
        }
    }

    fn partitions(&self) -> u32 {
        self.partitions.unwrap_or(self.topology.partitions())
    }

    fn store(&self) -> PathBuf {
        let memory = || Some(PathBuf::from(MEMORY)).filter(|it| it.is_dir());
        self.store.clone().or_else(memory).unwrap_or_else(std::env::temp_dir)
    }

    fn length(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    // A child's death signal comes when the thread ends that started it: all start here.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build()?;
    match cli.other {
        Some(Other::Check(args)) => judge::run(&args),
        Some(Other::Agent(args)) => {
            runtime.block_on(agent::run(args))?;
            runtime.shutdown_background();
            Ok(ExitCode::SUCCESS)
        }
        None => runtime.block_on(stage::run(&cli.run)),
    }
}
