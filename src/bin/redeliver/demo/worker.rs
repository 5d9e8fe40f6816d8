//! A worker process of the demo: it delivers webhooks until its stdin ends, or until it is killed.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use fastrand::Rng;
use redeliver::{Context, Outcome, QueueName, Worker};
use tokio::io::AsyncReadExt as _;
use tokio::time::sleep;

use super::log::{self, Log};
use super::webhook::Webhook;
use crate::args::Global;
use crate::exit_code::Exit;
use crate::server::Session;

/// Short, so that the messages of the killed worker come back while one watches.
const LEASE: Duration = Duration::from_secs(1);
pub(super) const CONCURRENCY: usize = 8;
/// A handler that hangs is not waited for.
const GRACE: Duration = Duration::from_secs(1);
const NAP_MS: std::ops::Range<u64> = 4..25;
/// Longer than any demo.
const STALL: Duration = Duration::from_secs(600);

/// `demo-worker`.
#[derive(Debug, Args)]
pub(crate) struct DemoWorkerArgs {
    /// The queue's name.
    queue: QueueName,
    /// Notes what its handlers do in this file.
    #[arg(long)]
    log: PathBuf,
    /// Takes receivers as mended once this file exists.
    #[arg(long)]
    mended: PathBuf,
    /// Draws how long its handlers take from this seed.
    #[arg(long)]
    seed: u64,
    /// Makes its handlers take this many times longer.
    #[arg(long)]
    pace: u64,
    /// Hangs in every delivery after this many.
    #[arg(long)]
    stall_after: Option<u64>,
}

pub(crate) async fn run(global: &Global, args: DemoWorkerArgs) -> Result<Exit> {
    let session = Session::open(global).await?;
    let queue = session.server.queue::<Webhook>(args.queue.as_str())?;
    let deliverer = Arc::new(Deliverer {
        log: Log::open(&args.log)?,
        rng: Mutex::new(Rng::with_seed(args.seed)),
        mended: args.mended,
        pace: args.pace,
        handled: AtomicU64::new(0),
        stall_after: args.stall_after.unwrap_or(u64::MAX),
    });
    let handler = move |webhook: Webhook, context: Context| {
        let deliverer = Arc::clone(&deliverer);
        async move { deliverer.deliver(webhook, context).await }
    };
    Worker::new(queue, handler)
        .concurrency(CONCURRENCY)
        .lease(LEASE)
        .grace(GRACE)
        .run(end_of_stdin())
        .await?;
    Ok(Exit::Ok)
}

/// The parent holds the other end, so it comes also when the parent is killed.
async fn end_of_stdin() {
    let mut rest = Vec::new();
    let _broken = tokio::io::stdin().read_to_end(&mut rest).await;
}

struct Deliverer {
    log: Log,
    rng: Mutex<Rng>,
    mended: PathBuf,
    pace: u64,
    handled: AtomicU64,
    stall_after: u64,
}

impl Deliverer {
    async fn deliver(&self, webhook: Webhook, context: Context) -> Result<Outcome> {
        let (id, attempt) = (context.id(), context.attempt());
        self.log.note(id, attempt, log::Outcome::Started)?;
        if self.handled.fetch_add(1, Ordering::Relaxed) >= self.stall_after {
            sleep(STALL).await;
        }
        sleep(self.nap()).await;
        Ok(match webhook.answer(attempt, self.mended.exists()) {
            Ok(()) => {
                self.log.note(id, attempt, log::Outcome::Succeeded)?;
                Outcome::Ack
            }
            Err(error) => {
                self.log.note(id, attempt, log::Outcome::Failed(error.to_owned()))?;
                Outcome::retry(error)
            }
        })
    }

    fn nap(&self) -> Duration {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        Duration::from_millis(self.pace * rng.u64(NAP_MS))
    }
}
