//! The worker: claims as much as it has room for, from every partition, and runs handlers.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::agents::Agents;
use crate::error::{Error, Result};
use crate::handling::{Handler, Handling};
use crate::lane::{Claiming, Lane};
use crate::lease::Leases;
use crate::message::Payload;
use crate::policy;
use crate::queue::Queue;
use crate::routing::MAX_PARTITIONS;
use crate::serving::serve;
use crate::shared::Shared;

/// A job that runs longer than an hour is more likely hung than at work.
const DEFAULT_CAP: Duration = Duration::from_secs(60 * 60);
const DEFAULT_GRACE: Duration = Duration::from_secs(25);
const DEFAULT_CONCURRENCY: usize = 16;
/// Tasks and payloads of this many messages fit any machine.
const MAX_CONCURRENCY: usize = 100_000;
/// How long the release of what outlasted its grace may take.
const RELEASE_PATIENCE: Duration = Duration::from_secs(5);

/// Runs a handler for each message of a queue, many at a time.
///
/// A lease is extended every third of it, from its claim until its settlement is answered, by a thread
/// of its own: handlers that block the runtime cost none. Whoever loses a lease all the same is told
/// by [`Context::lost`](crate::Context::lost). When the process dies, its messages come back as their
/// leases end.
///
/// Its handlers are shared by all partitions of the queue that have something, in turn; one that does
/// not answer keeps none of them.
///
/// ```no_run
/// use std::time::Duration;
/// use redeliver::{Context, Queue, Worker};
///
/// # async fn send(email: &str) -> std::io::Result<()> { Ok(()) }
/// # async fn run(queue: Queue<String>) -> redeliver::Result<()> {
/// Worker::new(queue, async |email: String, cx: Context| {
///     println!("attempt {} of {}", cx.attempt(), cx.id());
///     send(&email).await
/// })
/// .concurrency(100)
/// .lease(Duration::from_secs(10))
/// .run(tokio::signal::ctrl_c())
/// .await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Worker<T, H> {
    queue: Queue<T>,
    handler: H,
    concurrency: usize,
    lease: Duration,
    cap: Duration,
    grace: Duration,
    polls: bool,
}

impl<T: Payload, H: Handler<T>> Worker<T, H> {
    /// A worker with 16 handlers at a time, the policy's lease, a cap of one hour on its extension,
    /// 25 s of grace at shutdown, and a poller.
    pub fn new(queue: Queue<T>, handler: H) -> Self {
        let lease = queue.policy().lease;
        Self {
            queue,
            handler,
            concurrency: DEFAULT_CONCURRENCY,
            lease,
            cap: DEFAULT_CAP,
            grace: DEFAULT_GRACE,
            polls: true,
        }
    }

    /// How many handlers run at a time; 1 to 100,000.
    #[must_use]
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// The lease under which messages are claimed; 1 ms to 12 h. It is extended while a handler
    /// runs, so it says how soon the messages of a dead worker come back.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How long a handler may run in all. Then it is dropped at its next await, and its attempt
    /// has failed; one that never awaits loses its lease.
    #[must_use]
    pub fn max_runtime(mut self, cap: Duration) -> Self {
        self.cap = cap;
        self
    }

    /// How long running handlers may go on after the shutdown began.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Leaves redelivery to pollers elsewhere.
    #[must_use]
    pub fn without_poller(mut self) -> Self {
        self.polls = false;
        self
    }

    /// Works until the given future resolves, then shuts down: claims nothing more, lets handlers
    /// finish within the grace period, releases the rest without spending a failure.
    ///
    /// Dropping this future stops at once: what was in hand comes back as its leases end.
    pub async fn run(self, shutdown: impl Future) -> Result<()> {
        policy::lease(self.lease)?;
        if self.concurrency == 0 || self.concurrency > MAX_CONCURRENCY {
            let limit = format!("it takes 1 to {MAX_CONCURRENCY}");
            return Err(Error::invalid("concurrency", &self.concurrency.to_string(), limit));
        }
        let leases: Arc<[Arc<Leases>]> = (0..MAX_PARTITIONS).map(|_| Arc::default()).collect();
        let agents = Agents::start(&self.queue, &leases, (self.lease, self.cap), self.polls)?;
        let stop = CancellationToken::new();
        let handling = Handling {
            handler: self.handler,
            leases,
            lease: self.lease,
            cap: self.cap,
            stop: stop.clone(),
        };
        let claiming = Arc::new(Claiming::new(Arc::new(handling), self.concurrency));
        let begun = claim::<T, H>(self.queue.shared(), &claiming, shutdown).await;
        drain(&mut claiming.take_tasks(), &stop, self.grace.saturating_sub(begun.elapsed())).await;
        agents.stop().await;
        Ok(())
    }
}

/// Claims from all partitions until the shutdown, and releases what comes after it; says when it
/// began.
async fn claim<T: Payload, H: Handler<T>>(
    shared: &Shared,
    claiming: &Arc<Claiming<H>>,
    shutdown: impl Future,
) -> Instant {
    let stop = CancellationToken::new();
    let start = |number, stop| Lane::<T, H>::new(claiming, shared.partition(number)).run(stop);
    let mut serving = Box::pin(serve(shared, stop.clone(), start));
    tokio::select! {
        biased;
        () = &mut serving => Instant::now(),
        _ = shutdown => {
            let begun = Instant::now();
            stop.cancel();
            serving.await;
            begun
        }
    }
}

/// Lets handlers finish, then makes the rest release what they hold, then leaves those behind that
/// do not even await: their leases end.
async fn drain(tasks: &mut JoinSet<()>, stop: &CancellationToken, grace: Duration) {
    for patience in [grace, RELEASE_PATIENCE] {
        let all = async { while tasks.join_next().await.is_some() {} };
        if timeout(patience, all).await.is_ok() {
            return;
        }
        tracing::info!(handlers = tasks.len(), "handlers outlast their grace");
        stop.cancel();
    }
    tasks.abort_all();
}
