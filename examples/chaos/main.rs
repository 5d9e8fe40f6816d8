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
mod consumer;
mod crew;
mod faults;
#[path = "../../tests/system/history/mod.rs"]
mod history;
mod law;
mod producer;
mod proxy;
mod report;
mod server;
mod stage;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Parser, Subcommand, ValueEnum};

use agent::AgentArgs;
use faults::Fault;

#[derive(Debug, Parser)]
#[command(about, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    agent: Option<Hidden>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Subcommand)]
enum Hidden {
    #[command(hide = true)]
    Agent(AgentArgs),
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
    /// A list of kill, stop, server, flush, clients, pause, memory, readonly, net; or all, or none.
    #[arg(long, default_value = "all")]
    faults: String,
    /// One fault in so many ms, on average.
    #[arg(long, default_value_t = 500)]
    every: u64,
    /// Messages a second.
    #[arg(long, default_value_t = 1_000)]
    rate: u64,
    /// With `everysec` a killed server may lose what it had confirmed while its disk was slow.
    #[arg(long, default_value = "always", value_parser = ["always", "everysec"])]
    appendfsync: String,
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
            "all" => Ok(Fault::value_variants().to_vec()),
            "none" => Ok(Vec::new()),
            list => {
                let faults = list.split(',').map(|name| Fault::from_str(name.trim(), true));
                faults.collect::<Result<_, _>>().map_err(anyhow::Error::msg)
            }
        }
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
    match cli.agent {
        Some(Hidden::Agent(args)) => {
            runtime.block_on(agent::run(args))?;
            runtime.shutdown_background();
            Ok(ExitCode::SUCCESS)
        }
        None => runtime.block_on(stage::run(&cli.run)),
    }
}
