//! A process of the run: a producer, a worker, a consumer by hand or a poller.

use std::hash::{DefaultHasher, Hasher as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};
use redeliver::{Backoff, Policy, Poller, Queue, Raw, Server};
use rustix::process::{Signal, getpid, kill_process};
use tokio::io::AsyncReadExt as _;
use tokio::time::sleep;

use crate::history::Log;
use crate::{consumer, heartbeat, producer};

pub(crate) const QUEUE: &str = "chaos";
/// Short, so that the work of the dead comes back while the run lasts.
pub(crate) const LEASE: Duration = Duration::from_secs(2);
const BACKOFF: Duration = Duration::from_millis(50);
/// Short, so that producers go on while a replica is away.
const PROOF: Duration = Duration::from_millis(500);
/// A call takes about this long through the proxy; within these two it is at any stage.
const SHORTEST_CALL: Duration = Duration::from_micros(100);
const LONGEST_CALL: Duration = Duration::from_millis(2);
/// What one pass of the library's own poller moves.
const PASS_LIMIT: u32 = 250;

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
    /// A push is noted and not yet begun.
    BeforePush,
    /// A push is on its way.
    PushSent,
    /// A push is answered, and the answer is not yet noted.
    PushAnswered,
    /// A message is claimed, and its handler has not begun.
    Claimed,
    InHandler,
    /// The handler is done, and nothing of it is settled.
    BeforeSettle,
    /// An ack, retry, bury or release is on its way.
    SettleSent,
    /// The answer to it has come, and is not yet noted.
    SettleAnswered,
    /// A pass of redelivery is on its way.
    Polling,
}

impl Point {
    /// The points that a process of this role comes by.
    pub(crate) fn of(role: Role) -> &'static [Self] {
        const CONSUMER: [Point; 5] = [
            Point::Claimed,
            Point::InHandler,
            Point::BeforeSettle,
            Point::SettleSent,
            Point::SettleAnswered,
        ];
        match role {
            Role::Producer => &[Self::BeforePush, Self::PushSent, Self::PushAnswered],
            // A worker settles by itself and tells nobody when that was answered.
            Role::Worker => &CONSUMER[..4],
            Role::Hand => &CONSUMER,
            Role::Poller => &[Self::Polling],
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::BeforePush => "before_push",
            Self::PushSent => "push_sent",
            Self::PushAnswered => "push_answered",
            Self::Claimed => "claimed",
            Self::InHandler => "in_handler",
            Self::BeforeSettle => "before_settle",
            Self::SettleSent => "settle_sent",
            Self::SettleAnswered => "settle_answered",
            Self::Polling => "polling",
        }
    }
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
    /// Half of the pushes ask for so many; 0 for none.
    #[arg(long)]
    pub(crate) replicas: u32,
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
    /// Whether the time of this process has come.
    fn ends_at(&self, point: Point) -> bool {
        self.args.die_at == Some(point) && self.lives.fetch_sub(1, Ordering::Relaxed) <= 0
    }

    /// Dies here when its time has come, as by the power switch.
    pub(crate) fn pass(&self, point: Point) {
        if self.ends_at(point) {
            kill_process(getpid(), Signal::KILL).ok();
        }
    }

    /// The same, while the call that follows is under way: queued, written, carried out or answered.
    pub(crate) fn pass_soon(&self, point: Point) {
        if self.ends_at(point) {
            let under_way = SHORTEST_CALL + LONGEST_CALL.mul_f64(fastrand::f64());
            thread::spawn(move || {
                thread::sleep(under_way);
                kill_process(getpid(), Signal::KILL).ok();
            });
        }
    }
}

pub(crate) fn policy() -> Policy {
    Policy::default().lease(LEASE).backoff(Backoff::fixed(BACKOFF)).proof_timeout(PROOF)
}

/// Runs until the parent closes our stdin, which it also does by dying.
pub(crate) async fn run(args: AgentArgs) -> Result<()> {
    // A stopped process would not see its stdin end.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    heartbeat::start(&args.history)?;
    let queue = Server::open(&args.url)?.queue(QUEUE)?.with_policy(policy())?;
    let (log, lives) = (Log::open(&args.history)?, AtomicI64::new(args.die_after));
    let (role, agent) = (args.role, Agent { queue, log, args, lives });
    match role {
        Role::Producer => producer::run(agent, end_of_stdin()).await,
        Role::Worker => consumer::work(agent, end_of_stdin()).await,
        Role::Hand => consumer::by_hand(agent, end_of_stdin()).await,
        Role::Poller => {
            tokio::select! {
                () = Poller::new(agent.queue.clone()).run(end_of_stdin()) => {}
                () = last_pass(&agent) => {}
            }
            Ok(())
        }
    }
}

/// Makes one pass of its own, if this process is to end in one: at a random time, since passes that
/// are made all the while would do the work of a poller that missed its alarm.
async fn last_pass(agent: &Agent) {
    if agent.args.die_at == Some(Point::Polling) {
        let lives = u64::try_from(agent.lives.swap(0, Ordering::Relaxed)).unwrap_or(0);
        sleep(Duration::from_millis(lives)).await;
        agent.pass_soon(Point::Polling);
        agent.queue.redeliver(PASS_LIMIT).await.ok();
    }
    std::future::pending::<()>().await;
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
