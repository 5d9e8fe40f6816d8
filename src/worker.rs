//! The worker: claims as much as it has room for, runs handlers, settles what they answer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

use crate::agents::Agents;
use crate::backoff::MAX_DELAY;
use crate::batch::MAX_BATCH;
use crate::claims::Claimed;
use crate::context::Context;
use crate::delivery::{Delivery, Settled};
use crate::error::{Error, Result};
use crate::fault::pause;
use crate::lease::{Care, Leases};
use crate::message::Payload;
use crate::metrics::Timer;
use crate::op::claim::Left;
use crate::outcome::{IntoOutcome, Outcome};
use crate::policy;
use crate::queue::Queue;
use crate::spans;
use crate::waiter::Waiter;

/// A job that runs longer than an hour is more likely hung than at work.
const DEFAULT_CAP: Duration = Duration::from_secs(60 * 60);
const DEFAULT_GRACE: Duration = Duration::from_secs(25);
const DEFAULT_CONCURRENCY: usize = 16;
/// Tasks and payloads of this many messages fit any machine.
const MAX_CONCURRENCY: usize = 100_000;
/// How long the release of what outlasted its grace may take.
const RELEASE_PATIENCE: Duration = Duration::from_secs(5);
/// How long a worker tries to settle what it has done before it leaves it to redelivery.
const SETTLE_PATIENCE: Duration = Duration::from_secs(60);

/// What handles messages: any `async fn(T, Context)` that returns `()`, an [`Outcome`] or a `Result`.
pub trait Handler<T>: Send + Sync + 'static {
    /// Handles one delivery. A panic counts as a failure.
    fn handle(&self, payload: T, context: Context) -> impl Future<Output = Outcome> + Send;
}

impl<T, F, Fut> Handler<T> for F
where
    T: Send,
    F: Fn(T, Context) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: IntoOutcome> + Send,
{
    fn handle(&self, payload: T, context: Context) -> impl Future<Output = Outcome> + Send {
        let handled = self(payload, context);
        async move { handled.await.into_outcome() }
    }
}

/// Runs a handler for each message of a queue, many at a time.
///
/// While a handler runs its lease is extended every third of it, from a thread of its own. Whoever
/// loses a lease all the same is told by [`Context::lost`]. When the process dies, its messages come
/// back as their leases end.
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
        let leases = Arc::new(Leases::default());
        let agents = Agents::start(&self.queue, &leases, (self.lease, self.cap), self.polls)?;
        let stop = CancellationToken::new();
        let handling =
            Handling { handler: self.handler, leases, lease: self.lease, cap: self.cap, stop };
        let handling = Arc::new(handling);
        let mut claiming = Claiming {
            bell: Waiter::new(self.queue.store().route().clone(), self.queue.store().keys().bell()),
            queue: self.queue,
            slots: Arc::new(Semaphore::new(self.concurrency)),
            handling: Arc::clone(&handling),
            tasks: JoinSet::new(),
            failures: 0,
        };
        claiming.until(shutdown).await;
        drain(&mut claiming.tasks, &handling.stop, self.grace).await;
        agents.stop().await;
        Ok(())
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

/// The claiming side: room, claims, the bell.
struct Claiming<T, H> {
    queue: Queue<T>,
    bell: Waiter,
    slots: Arc<Semaphore>,
    handling: Arc<Handling<H>>,
    tasks: JoinSet<()>,
    failures: u32,
}

impl<T: Payload, H: Handler<T>> Claiming<T, H> {
    async fn until(&mut self, shutdown: impl Future) {
        let mut shutdown = pin!(shutdown);
        loop {
            let room = tokio::select! {
                biased;
                _ = &mut shutdown => return,
                room = self.room() => room,
            };
            let sent = Instant::now();
            let limit = u32::try_from(room.len()).unwrap_or(u32::MAX);
            let (queue, lease) = (self.queue.clone(), self.handling.lease);
            let mut claim = pin!(queue.claim_under(limit, lease));
            let claimed = tokio::select! {
                biased;
                _ = &mut shutdown => {
                    if let Ok(claimed) = claim.await {
                        claimed.release().await;
                    }
                    return;
                }
                claimed = &mut claim => claimed,
            };
            let idle = self.take(claimed, room, sent);
            tokio::select! {
                biased;
                _ = &mut shutdown => return,
                () = self.wait(idle) => {}
            }
        }
    }

    /// Waits for one free slot, then takes all that are free, up to what a short script hands out.
    async fn room(&mut self) -> Vec<OwnedSemaphorePermit> {
        let mut room = Vec::new();
        room.extend(Arc::clone(&self.slots).acquire_owned().await.ok());
        while room.len() < MAX_BATCH {
            let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
                break;
            };
            room.push(slot);
        }
        while self.tasks.try_join_next().is_some() {}
        room
    }

    /// Starts a handler for each delivery, and says what to wait for before the next claim.
    fn take(
        &mut self,
        claimed: Result<Claimed<T>>,
        mut room: Vec<OwnedSemaphorePermit>,
        sent: Instant,
    ) -> Idle {
        let claimed = match claimed {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::warn!(queue = %self.queue.name(), %error, "claim failed");
                self.failures = self.failures.saturating_add(1);
                return Idle::Failed;
            }
        };
        self.failures = 0;
        let left = claimed.left;
        for delivery in claimed.take() {
            let (handling, slot) = (Arc::clone(&self.handling), room.pop());
            self.tasks.spawn(async move {
                handling.run(delivery, sent).await;
                drop(slot);
            });
        }
        // Without room the bell is left to others: whoever takes its token has to claim.
        if left == Left::More || room.is_empty() { Idle::No } else { Idle::Bell(room) }
    }

    async fn wait(&mut self, idle: Idle) {
        match idle {
            Idle::No => {}
            Idle::Bell(_room) => self.bell.rung().await,
            Idle::Failed => sleep(pause(self.failures)).await,
        }
    }
}

/// Why the next claim has to wait.
enum Idle {
    No,
    /// The room is kept for what the bell announces.
    Bell(Vec<OwnedSemaphorePermit>),
    Failed,
}

/// The handling side, shared by all tasks of a worker.
struct Handling<H> {
    handler: H,
    leases: Arc<Leases>,
    lease: Duration,
    cap: Duration,
    stop: CancellationToken,
}

impl<H> Handling<H> {
    async fn run<T: Payload>(&self, delivery: Delivery<T>, sent: Instant)
    where
        H: Handler<T>,
    {
        let span = delivery.span();
        self.handle(&delivery, sent, &span).instrument(span.clone()).await;
    }

    async fn handle<T: Payload>(&self, delivery: &Delivery<T>, sent: Instant, span: &Span)
    where
        H: Handler<T>,
    {
        let lost = self.leases.hold(delivery.receipt(), sent, self.lease);
        let care = Care::new(&self.leases, delivery.receipt());
        let handled = caught(async {
            match delivery.payload() {
                Ok(payload) => self.handler.handle(payload, Context::of(delivery, lost)).await,
                // No handler can read it, so no attempt can succeed; the dead letter keeps its bytes.
                Err(error) => {
                    tracing::warn!(id = %delivery.id(), %error, "buried unread");
                    Outcome::bury(reason(&error))
                }
            }
        });
        let timer = Timer::start();
        let outcome = tokio::select! {
            biased;
            outcome = handled => outcome,
            () = sleep(self.cap.saturating_sub(sent.elapsed())) => {
                Outcome::retry(format!("the handler ran for more than {:?}", self.cap))
            }
            () = self.stop.cancelled() => Outcome::release_after(Duration::ZERO),
        };
        delivery.meter().handled(&timer);
        drop(care);
        spans::answered(span, &outcome);
        settle(delivery, &outcome).await;
    }
}

/// An error with what it came from.
fn reason(error: &Error) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

/// Turns a panic into a failure.
async fn caught(handled: impl Future<Output = Outcome>) -> Outcome {
    let mut handled = pin!(handled);
    std::future::poll_fn(|context| {
        match catch_unwind(AssertUnwindSafe(|| handled.as_mut().poll(context))) {
            Ok(poll) => poll,
            Err(panic) => Poll::Ready(Outcome::retry(format!("panic: {}", told(&*panic)))),
        }
    })
    .await
}

fn told(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

async fn settle<T: Payload>(delivery: &Delivery<T>, outcome: &Outcome) {
    let given_up = Instant::now() + SETTLE_PATIENCE;
    loop {
        match settle_once(delivery, outcome).await {
            Ok(Settled::Done) => return,
            Ok(lost) => {
                let (id, attempt) = (delivery.id(), delivery.attempt());
                tracing::warn!(%id, attempt, ?outcome, ?lost, "the lease was lost before settling");
                return;
            }
            Err(error) if error.is_transient() && Instant::now() < given_up => {}
            Err(error) => {
                tracing::error!(id = %delivery.id(), ?outcome, %error, "could not be settled");
                return;
            }
        }
    }
}

async fn settle_once<T: Payload>(delivery: &Delivery<T>, outcome: &Outcome) -> Result<Settled> {
    match outcome {
        Outcome::Ack => delivery.settle_ack().await,
        Outcome::Retry { error, after } => {
            let after = after.map(|after| after.min(MAX_DELAY));
            Ok(delivery.settle_retry(after, error).await?.settled())
        }
        Outcome::Bury { reason } => delivery.settle_bury(reason).await,
        Outcome::Release { after } => delivery.settle_release((*after).min(MAX_DELAY)).await,
    }
}
