//! The poller: drives `redeliver` exactly when the next message falls due.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::dead_letters::trim;
use crate::error::Result;
use crate::message::Payload;
use crate::name::QueueName;
use crate::op::redeliver::{Redeliver, Redelivered};
use crate::partition::Partition;
use crate::queue::Queue;
use crate::serving::serve;
use crate::shared::Shared;
use crate::sweep::{self, Next, Sweep};
use crate::waiter::Waiter;

/// The longest any poller sleeps; `MAX_IDLE_MS` of the scripts, which ring only for nearer times.
const MAX_IDLE: Duration = Duration::from_secs(5);
/// Messages of each kind a pass moves: a script of about a millisecond.
const PASS_LIMIT: NonZeroU32 = NonZeroU32::new(250).unwrap();
/// Retention is no hurry.
const TRIM_INTERVAL: Duration = Duration::from_secs(60);

/// Moves what is due to ready, takes back what nobody acknowledged, and trims dead letters.
///
/// It serves all partitions of the queue, each at its own times. Any number may run, in any process; a
/// queue needs one. Every [`Worker`](crate::Worker) brings its
/// own unless told not to. Nothing is lost when all of them die: the next one finds what is due.
///
/// ```no_run
/// # async fn run(queue: redeliver::Queue<String>) -> redeliver::Result<()> {
/// redeliver::Poller::new(queue).run(tokio::signal::ctrl_c()).await;
/// # Ok(()) }
/// ```
pub struct Poller<T> {
    queue: Queue<T>,
    observer: Option<Observer>,
}

/// Is told of each pass.
pub(crate) type Observer = Box<dyn FnMut(&Result<Redelivered>) + Send>;

impl<T> std::fmt::Debug for Poller<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Poller").field("queue", &self.queue).finish_non_exhaustive()
    }
}

impl<T: Payload> Poller<T> {
    /// A poller for one queue.
    pub fn new(queue: Queue<T>) -> Self {
        Self { queue, observer: None }
    }

    /// Tells the observer what each pass did, from the poller's own task: keep it short.
    #[must_use]
    pub fn observed(mut self, observer: impl FnMut(&Result<Redelivered>) + Send + 'static) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Runs until the future that it is given resolves. Faults of any kind are logged and outlived.
    pub async fn run(self, shutdown: impl Future) {
        let stop = CancellationToken::new();
        let _stopped_when_dropped = stop.clone().drop_guard();
        tokio::select! {
            biased;
            _ = shutdown => {}
            () = self.until(stop.clone()) => {}
        }
    }

    async fn until(self, stop: CancellationToken) {
        let Self { queue, observer } = self;
        let observer = observer.map(|observer| Arc::new(Mutex::new(observer)));
        let shared = Arc::clone(queue.shared());
        let start = |number: u32, stop: CancellationToken| {
            sweep::run(Pass::new(&shared, number, observer.clone()), stop)
        };
        serve(&shared, stop, start).await;
    }
}

/// What the poller's loop of one partition carries from pass to pass.
pub(crate) struct Pass {
    shared: Arc<Shared>,
    partition: Arc<Partition>,
    observer: Option<Arc<Mutex<Observer>>>,
    /// Tells this poller from the others that watch the same deadline.
    name: String,
    alarm: Arc<Notify>,
    _listener: AbortOnDropHandle<()>,
    trimmed: Option<Instant>,
    /// When the next message falls due or the next lease ends, as the last pass told.
    due: Option<Instant>,
}

impl Pass {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        number: u32,
        observer: Option<Arc<Mutex<Observer>>>,
    ) -> Self {
        let alarm = Arc::new(Notify::new());
        let (shared, partition) = (Arc::clone(shared), Arc::clone(shared.partition(number)));
        let store = &partition.store;
        let waiter = Waiter::new(store.route().clone(), store.keys().alarm());
        let listener = AbortOnDropHandle::new(tokio::spawn(listen(waiter, Arc::clone(&alarm))));
        let name = format!("{:016x}", fastrand::u64(..));
        Self {
            shared,
            partition,
            observer,
            name,
            alarm,
            _listener: listener,
            trimmed: None,
            due: None,
        }
    }

    /// How late this pass came for the earliest message that it moved, and what the next one may
    /// expect. A later due time than the longest sleep is not told by the server.
    fn lateness(&mut self, now: Instant, done: &Redelivered) -> Option<Duration> {
        let moved = done.promoted + done.reclaimed + done.died > 0;
        let late = self.due.filter(|_| moved).map(|due| now.saturating_duration_since(due));
        self.due = if done.more {
            // The rest has been due for as long as what was moved.
            Some(self.due.map_or(now, |due| due.min(now)))
        } else {
            (done.next < MAX_IDLE).then(|| now + done.next)
        };
        late
    }

    async fn trim(&mut self) -> Result<bool> {
        if self.trimmed.is_some_and(|at| at.elapsed() < TRIM_INTERVAL) {
            return Ok(false);
        }
        let (trimmed, more) = trim(&self.shared, &self.partition).await?;
        if trimmed > 0 {
            tracing::info!(queue = %self.shared.name, trimmed, "dead letters beyond retention");
        }
        if !more {
            self.trimmed = Some(Instant::now());
        }
        Ok(more)
    }
}

impl Sweep for Pass {
    const NAME: &'static str = "poller";

    fn queue(&self) -> &QueueName {
        &self.shared.name
    }

    async fn pass(&mut self) -> Result<Next> {
        let call = Redeliver { limit: PASS_LIMIT, poller: &self.name };
        let mut done = self.partition.store.run(&call).await.map(|ran| ran.reply);
        if let Ok(done) = &mut done {
            done.late = self.lateness(Instant::now(), done);
            let meter = self.shared.meter();
            meter.passed();
            done.late.into_iter().for_each(|late| meter.late(late));
        }
        if let Some(observer) = &self.observer {
            (observer.lock().unwrap_or_else(PoisonError::into_inner))(&done);
        }
        let done = done?;
        if done.reclaimed + done.died + done.ghosts > 0 {
            let (name, partition) = (&self.shared.name, self.partition.number);
            tracing::info!(queue = %name, partition, reclaimed = done.reclaimed, died = done.died, "redelivered");
        }
        if done.more || self.trim().await? {
            return Ok(Next::Now);
        }
        // Pollers that watch nothing must not come back in step.
        let idle = MAX_IDLE.mul_f64(0.8 + 0.2 * fastrand::f64());
        Ok(Next::After(if done.next < MAX_IDLE { done.next } else { idle }))
    }

    async fn hint(&mut self) {
        self.alarm.notified().await;
    }
}

/// A task of its own: a read that is given up half-way would swallow the alarm.
async fn listen(mut waiter: Waiter, alarm: Arc<Notify>) {
    loop {
        waiter.rung().await;
        alarm.notify_one();
    }
}
