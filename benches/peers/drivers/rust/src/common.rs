//! What every peer shares: the messages to push, the handler, and the line that it writes.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// Handlers at a time, the same for every peer with an async worker.
pub const CONCURRENCY: usize = 200;
/// Tasks that each await their own push.
const TASKS: u64 = 1_000;
/// Messages from this number on only show that a worker is up: they never fail.
const WARM_UP: u64 = 900_000_000;
/// The attempt that succeeds when the others are to fail.
const LAST_ATTEMPT: u64 = 3;
const PAYLOAD_BYTES: usize = 100;

pub fn url() -> anyhow::Result<String> {
    std::env::var("PEER_URL").context("PEER_URL is not set")
}

#[expect(
    clippy::disallowed_methods,
    reason = "peers take due times by the client's clock"
)]
pub fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// 100 bytes of JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Body {
    pub id: String,
    pub pad: String,
}

impl Body {
    fn new(id: u64) -> Self {
        let id = format!("{id:010}");
        let pad = "x".repeat(PAYLOAD_BYTES - r#"{"id":"","pad":""}"#.len() - id.len());
        Self { id, pad }
    }

    pub fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string(self)?)
    }
}

/// A message to push, and when it is due; `None` = now.
pub struct Item {
    pub body: Body,
    pub due: Option<Duration>,
}

impl Item {
    /// The delay from now on; zero for a message that is due.
    pub fn delay(&self) -> Duration {
        self.due
            .map_or(Duration::ZERO, |due| due.saturating_sub(now()))
    }
}

/// What `push` was asked for.
#[derive(Debug, Clone, Default)]
pub struct Push {
    count: u64,
    first: u64,
    due: Option<Duration>,
    spread: Duration,
    /// One call a message from many tasks, instead of the best bulk way.
    pub each: bool,
}

impl Push {
    pub fn parse(mut args: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let count = args.next().context("how many?")?.parse()?;
        let mut push = Self {
            count,
            ..Self::default()
        };
        while let Some(option) = args.next() {
            if option == "--each" {
                push.each = true;
                continue;
            }
            let value: u64 = args
                .next()
                .context("the option's value is missing")?
                .parse()?;
            match option.as_str() {
                "--delay-until-ms" => push.due = Some(Duration::from_millis(value)),
                "--delay-ms" => push.due = Some(now() + Duration::from_millis(value)),
                "--spread-ms" => push.spread = Duration::from_millis(value),
                "--first-id" => push.first = value,
                other => anyhow::bail!("no option {other}"),
            }
        }
        Ok(push)
    }

    fn item(&self, index: u64) -> Item {
        let share = index as f64 / self.count as f64;
        let due = self.due.map(|due| due + self.spread.mul_f64(share));
        Item {
            body: Body::new(self.first + index),
            due,
        }
    }

    pub fn items(&self) -> Vec<Item> {
        (0..self.count).map(|index| self.item(index)).collect()
    }

    /// Whether all messages are due at the same time.
    pub fn at_once(&self) -> bool {
        self.spread.is_zero()
    }

    /// Pushes every message by itself from 1,000 tasks.
    pub async fn by_tasks<C, F, Fut>(&self, client: C, push_one: F) -> anyhow::Result<()>
    where
        C: Clone + Send + 'static,
        F: Fn(C, Item) -> Fut + Copy + Send + 'static,
        Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let next = Arc::new(AtomicU64::new(0));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..TASKS {
            let (next, client, push) = (Arc::clone(&next), client.clone(), self.clone());
            tasks.spawn(async move {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= push.count {
                        return anyhow::Ok(());
                    }
                    push_one(client.clone(), push.item(index)).await?;
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        Ok(())
    }

    /// Tells the harness how long it took, and when the first message is due.
    pub fn report(&self, started: Instant) {
        let seconds = started.elapsed().as_secs_f64();
        let due_ms = self.due.unwrap_or_default().as_millis();
        println!(r#"{{"seconds": {seconds:.6}, "due_ms": {due_ms}}}"#);
    }
}

/// What handlers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Succeed,
    /// Fail twice, then succeed.
    Retry,
    Hang,
}

/// What `work` was asked for.
#[derive(Debug, Clone)]
pub struct Work {
    log: Arc<File>,
    mode: Mode,
    /// Leases and timers as the peer ships them, instead of its fastest settings.
    pub defaults: bool,
}

impl Work {
    pub fn from_env() -> anyhow::Result<Self> {
        let path = std::env::var("PEER_LOG").context("PEER_LOG is not set")?;
        let log = OpenOptions::new().create(true).append(true).open(path)?;
        let mode = match std::env::var("PEER_MODE").as_deref() {
            Ok("retry") => Mode::Retry,
            Ok("hang") => Mode::Hang,
            _ => Mode::Succeed,
        };
        let defaults = std::env::var_os("PEER_DEFAULTS").is_some();
        Ok(Self {
            log: Arc::new(log),
            mode,
            defaults,
        })
    }

    /// The handler of every peer: one line by one write, then as the mode says. True = success.
    pub async fn handle(&self, id: &str, attempt: u64) -> bool {
        let line = format!("{:016} {id:>010} {attempt:04}\n", now().as_micros());
        let written = (&*self.log).write_all(line.as_bytes());
        assert!(written.is_ok(), "the log cannot be written");
        match self.mode {
            Mode::Succeed => true,
            Mode::Retry => attempt >= LAST_ATTEMPT || id.parse().is_ok_and(|id: u64| id >= WARM_UP),
            Mode::Hang => std::future::pending().await,
        }
    }
}

/// The worker's settings, for peers whose handler is a plain function.
pub static WORK: OnceLock<Work> = OnceLock::new();

/// Waits for the harness, which ends its drivers by a signal.
pub async fn until_stopped() -> anyhow::Result<()> {
    let mut signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    signal.recv().await;
    Ok(())
}
