//! Simulation: whole clusters in virtual time, one for each seed, and a verdict on every message.
//!
//! ```sh
//! cargo run --release --example simulate -- --seeds 1000 -o json
//! cargo run --release --example simulate -- --seed 7 --trace      # the same run again, shown
//! cargo run --release --example simulate -- --planted             # how soon planted bugs are found
//! ```
//!
//! Each run has producers, workers, a consumer by hand, a poller and an operator, all of them the
//! library itself, and a server with its scripts and its append-only file, in one thread: processes
//! die after any step, connections break, stall and reorder, the server starts again without its last
//! second. Then all heals, the queue has to run dry, and the checker of the chaos suite judges each
//! message. The exit code is 1 when something is not as promised; the seed is told.

#[path = "../../tests/simulation/cluster/mod.rs"]
mod cluster;
#[path = "../../tests/system/history/mod.rs"]
#[expect(dead_code, reason = "the checker's own tests and the chaos suite use the rest of it")]
mod history;
#[path = "../../tests/simulation/planted.rs"]
mod planted;
mod report;

use std::io;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, ValueEnum};

use cluster::{Outcome, Plan, run};
use planted::{BUGS, Bug};
use report::{Report, tell};

/// Seeds that have to be enough for a planted bug.
const ENOUGH: u64 = 1_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Debug, Parser)]
#[command(about)]
struct Cli {
    /// How many clusters are simulated, each by a seed of its own.
    #[arg(long, default_value_t = ENOUGH)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Just this one.
    #[arg(long, conflicts_with_all = ["seeds", "first"])]
    seed: Option<u64>,
    /// Shows everything that happens.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// How many at a time; by default one for each processor.
    #[arg(long)]
    jobs: Option<usize>,
    /// How long faults strike, in seconds of virtual time.
    #[arg(long, default_value_t = Plan::DEFAULT.storm.as_secs())]
    storm: u64,
    /// Plants this bug into the scripts.
    #[arg(long, value_name = "NAME", value_parser = bug)]
    bug: Option<&'static Bug>,
    /// Plants each bug in turn, and fails unless each is found.
    #[arg(long, conflicts_with_all = ["bug", "seed"])]
    planted: bool,
    /// How the result is shown, as the last line.
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
}

fn bug(name: &str) -> Result<&'static Bug, String> {
    let known = || BUGS.iter().map(|bug| bug.name).collect::<Vec<_>>().join(", ");
    BUGS.iter().find(|bug| bug.name == name).ok_or_else(|| format!("it takes one of: {}", known()))
}

impl Cli {
    fn plan(&self) -> Plan {
        Plan { storm: Duration::from_secs(self.storm), bug: self.bug, traced: self.trace }
    }

    fn seeds(&self) -> std::ops::Range<u64> {
        match self.seed {
            Some(seed) => seed..seed.saturating_add(1),
            None => self.first..self.first.saturating_add(self.seeds),
        }
    }

    fn jobs(&self) -> usize {
        self.jobs.or_else(|| thread::available_parallelism().ok().map(usize::from)).unwrap_or(1)
    }
}

fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    let passed = if cli.planted { hunt(&cli)? } else { simulate(&cli)? };
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn simulate(cli: &Cli) -> Result<bool> {
    let seeds = cli.seeds();
    let mut report = Report::new(cli.jobs(), seeds.end - seeds.start);
    simulated(seeds, cli.plan(), cli.jobs(), |outcome| {
        report.note(outcome)?;
        Ok(true)
    })?;
    report.show(cli.output)
}

/// Says of each bug which seed finds it first.
fn hunt(cli: &Cli) -> Result<bool> {
    let mut missed = 0;
    for bug in &BUGS {
        let mut found: Option<Outcome> = None;
        let plan = Plan { bug: Some(bug), ..cli.plan() };
        simulated(cli.seeds(), plan, cli.jobs(), |outcome| {
            let first = found.as_ref().is_none_or(|found| outcome.seed < found.seed);
            if !outcome.passes() && first {
                found = Some(outcome);
            }
            Ok(found.is_none())
        })?;
        if let Some(Outcome { seed, failures, .. }) = found {
            tell(&format!("{seed} {}", bug.name))?;
            explain(failures.first().map_or("", String::as_str))?;
        } else {
            missed += 1;
            tell(&format!("not found: {}", bug.name))?;
        }
    }
    Ok(missed == 0)
}

fn explain(text: &str) -> io::Result<()> {
    use io::Write as _;
    writeln!(io::stderr(), "    {}", text.chars().take(160).collect::<String>())
}

/// Runs them all, so many at a time, for as long as more are wanted.
fn simulated(
    seeds: std::ops::Range<u64>,
    plan: Plan,
    jobs: usize,
    mut more: impl FnMut(Outcome) -> Result<bool>,
) -> Result<()> {
    let next = AtomicU64::new(seeds.start);
    let (sender, outcomes) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..jobs {
            let (next, end, sender) = (&next, seeds.end, sender.clone());
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || sender.send(run(seed, plan)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for outcome in outcomes {
            if !more(outcome?)? {
                next.store(seeds.end, Ordering::Relaxed);
            }
        }
        Ok(())
    })
}
