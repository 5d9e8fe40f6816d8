//! A process of the run: a producer, a worker, a consumer by hand or a poller.

use std::hash::{DefaultHasher, Hasher as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};
use redeliver::{Backoff, Policy, Poller, Queue, Raw, Server};
use rustix::process::{Signal, getpid, kill_process};
use tokio::io::AsyncReadExt as _;

use crate::history::Log;
use crate::{consumer, producer};

pub(crate) const QUEUE: &str = "chaos";
/// Short, so that the work of the dead comes back while the run lasts.
pub(crate) const LEASE: Duration = Duration::from_secs(2);
const BACKOFF: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    Producer,
    Worker,
    Hand,
    Poller,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Producer => "producer",
            Self::Worker => "worker",
            Self::Hand => "hand",
            Self::Poller => "poller",
        }
    }
}

/// Where a process ends itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Point {
    BeforeHandler,
    InHandler,
    BeforeReturn,
}

impl Point {
    pub(crate) const ALL: [(Self, &str); 3] = [
        (Self::BeforeHandler, "before-handler"),
        (Self::InHandler, "in-handler"),
        (Self::BeforeReturn, "before-return"),
    ];
}

/// The hidden arguments of a process.
#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    #[arg(long)]
    role: Role,
    #[arg(long)]
    pub(crate) url: String,
    #[arg(long)]
    history: PathBuf,
    #[arg(long)]
    pub(crate) seed: u64,
    /// Messages a second.
    #[arg(long)]
    pub(crate) rate: u64,
    #[arg(long)]
    die_at: Option<Point>,
    #[arg(long, default_value_t = 0)]
    die_after: i64,
}

/// What every process needs.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) queue: Queue<Raw>,
    pub(crate) log: Log,
    pub(crate) args: AgentArgs,
    lives: AtomicI64,
}

impl Agent {
    /// Dies here when its time has come, as by the power switch.
    pub(crate) fn pass(&self, point: Point) {
        if self.args.die_at == Some(point) && self.lives.fetch_sub(1, Ordering::Relaxed) <= 0 {
            kill_process(getpid(), Signal::KILL).ok();
        }
    }
}

pub(crate) fn policy() -> Policy {
    Policy::default().lease(LEASE).backoff(Backoff::fixed(BACKOFF))
}

/// Runs until the parent closes our stdin, which it also does by dying.
pub(crate) async fn run(args: AgentArgs) -> Result<()> {
    // A stopped process would not see its stdin end.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let queue = Server::open(&args.url)?.queue(QUEUE)?.with_policy(policy())?;
    let (log, lives) = (Log::open(&args.history)?, AtomicI64::new(args.die_after));
    let (role, agent) = (args.role, Agent { queue, log, args, lives });
    match role {
        Role::Producer => producer::run(agent, end_of_stdin()).await,
        Role::Worker => consumer::work(agent, end_of_stdin()).await,
        Role::Hand => consumer::by_hand(agent, end_of_stdin()).await,
        Role::Poller => {
            Poller::new(agent.queue).run(end_of_stdin()).await;
            Ok(())
        }
    }
}

async fn end_of_stdin() {
    let mut rest = Vec::new();
    tokio::io::stdin().read_to_end(&mut rest).await.ok();
}

/// The same in every process of one program.
pub(crate) fn hash(payload: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(payload);
    hasher.finish()
}
