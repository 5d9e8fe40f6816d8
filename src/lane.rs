//! The claiming side of a worker: one lane for each partition, and room that they share.

use std::marker::PhantomData;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::batch::MAX_BATCH;
use crate::claims::{Claimed, claim};
use crate::error::Result;
use crate::fault::{is_news, pause};
use crate::handling::{Handler, Handling};
use crate::message::Payload;
use crate::op::claim::Left;
use crate::partition::Partition;
use crate::together;
use crate::waiter::Waiter;

/// How long a claim keeps the room that it asks for, while others may need it. What comes later takes
/// what is free then, and the rest of it is released.
const PATIENCE: Duration = Duration::from_millis(250);

/// What all lanes of a worker share.
#[derive(Debug)]
pub(crate) struct Claiming<H> {
    slots: Arc<Semaphore>,
    concurrency: usize,
    /// Lanes that do not wait for their bell.
    busy: AtomicUsize,
    handling: Arc<Handling<H>>,
    tasks: Mutex<JoinSet<()>>,
}

impl<H> Claiming<H> {
    pub(crate) fn new(handling: Arc<Handling<H>>, concurrency: usize) -> Self {
        let slots = Arc::new(Semaphore::new(concurrency));
        Self { slots, concurrency, busy: AtomicUsize::new(0), handling, tasks: Mutex::default() }
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the handlers at work run in.
    pub(crate) fn take_tasks(&self) -> JoinSet<()> {
        std::mem::take(&mut *self.tasks())
    }

    /// Waits for one free slot, lane after lane, then takes a fair share of those that are free, up to
    /// what a short script hands out.
    async fn room(&self) -> Vec<OwnedSemaphorePermit> {
        let mut room = Vec::new();
        room.extend(Arc::clone(&self.slots).acquire_owned().await.ok());
        // One answer ends many handlers: those that are about to run leave their slots too.
        together::step_back().await;
        let fair = self.concurrency.div_ceil(self.busy.load(Ordering::Relaxed).max(1));
        self.fill(&mut room, fair.min(MAX_BATCH));
        let mut tasks = self.tasks();
        while tasks.try_join_next().is_some() {}
        room
    }

    fn fill(&self, room: &mut Vec<OwnedSemaphorePermit>, most: usize) {
        while room.len() < most {
            let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
                break;
            };
            room.push(slot);
        }
    }

    fn busy(&self) -> Busy<'_> {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(&self.busy)
    }
}

/// A lane that has something, or may have.
struct Busy<'a>(&'a AtomicUsize);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a lane does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Claim,
    Wait,
    Recover,
    End,
}

/// The claims of one partition.
#[derive(Debug)]
pub(crate) struct Lane<T, H> {
    claiming: Arc<Claiming<H>>,
    partition: Arc<Partition>,
    bell: Waiter,
    failures: u32,
    payload: PhantomData<fn() -> T>,
}

impl<T: Payload, H: Handler<T>> Lane<T, H> {
    pub(crate) fn new(claiming: &Arc<Claiming<H>>, partition: &Arc<Partition>) -> Self {
        let store = &partition.store;
        let bell = Waiter::new(store.route().clone(), store.keys().bell());
        let (claiming, partition) = (Arc::clone(claiming), Arc::clone(partition));
        Self { claiming, partition, bell, failures: 0, payload: PhantomData }
    }

    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let claiming = Arc::clone(&self.claiming);
        let mut then = Then::Claim;
        loop {
            let busy = claiming.busy();
            while then == Then::Claim {
                let Some(room) = stop.run_until_cancelled(claiming.room()).await else { return };
                then = self.claim(room, &stop).await;
            }
            drop(busy);
            if then == Then::End {
                return;
            }
            let waited = async {
                match then {
                    Then::Recover => self.recover().await,
                    _ => self.wait().await,
                }
            };
            if stop.run_until_cancelled(waited).await.is_none() {
                return;
            }
            then = Then::Claim;
        }
    }

    async fn claim(&mut self, room: Vec<OwnedSemaphorePermit>, stop: &CancellationToken) -> Then {
        let lease = self.claiming.handling.lease;
        let limit = u32::try_from(room.len()).unwrap_or(u32::MAX);
        let mut room = Some(room);
        let partition = Arc::clone(&self.partition);
        let mut claim = pin!(claim(&partition, limit, lease));
        let claimed = loop {
            tokio::select! {
                biased;
                claimed = &mut claim => break claimed,
                () = sleep(PATIENCE), if room.is_some() => room = None,
                () = stop.cancelled() => {
                    if let Ok(claimed) = claim.await {
                        claimed.release().await;
                    }
                    return Then::End;
                }
            }
        };
        self.take(claimed, room)
    }

    /// Starts a handler for each delivery that there is room for, and says what comes next.
    fn take(
        &mut self,
        claimed: Result<Claimed<T>>,
        room: Option<Vec<OwnedSemaphorePermit>>,
    ) -> Then {
        let claimed = match claimed {
            Ok(claimed) => claimed,
            Err(error) => {
                self.failed(&error);
                return Then::Recover;
            }
        };
        self.failures = 0;
        let mut room = room.unwrap_or_default();
        self.claiming.fill(&mut room, claimed.len());
        let (left, sent) = (claimed.left, claimed.sent);
        let mut tasks = self.claiming.tasks();
        for delivery in claimed.take(room.len()) {
            let (handling, slot) = (Arc::clone(&self.claiming.handling), room.pop());
            let care = handling.care(&delivery, sent);
            tasks.spawn(async move {
                handling.run(delivery, care).await;
                drop(slot);
            });
        }
        // Without room the bell is left to others: whoever takes its token has to claim.
        if left == Left::More || room.is_empty() { Then::Claim } else { Then::Wait }
    }

    /// Waits for the bell, without room: other lanes may need it. If there is none left when it rings,
    /// the bell is rung for somebody else.
    async fn wait(&mut self) {
        self.bell.rung().await;
        if self.claiming.slots.available_permits() == 0
            && let Err(error) = self.look().await
        {
            self.failed(&error);
        }
    }

    /// Asks again and again, without room, until there is an answer.
    async fn recover(&mut self) {
        loop {
            sleep(pause(self.failures)).await;
            match self.look().await {
                Ok(()) => return,
                Err(error) => self.failed(&error),
            }
        }
    }

    /// A claim of nothing, which rings the bell while something is ready.
    async fn look(&self) -> Result<()> {
        claim::<T>(&self.partition, 0, self.claiming.handling.lease).await.map(drop)
    }

    fn failed(&mut self, error: &crate::error::Error) {
        if is_news(self.failures) {
            let (queue, partition) = (&self.partition.name, self.partition.number);
            tracing::warn!(%queue, partition, %error, failures = self.failures, "claim failed");
        }
        self.failures = self.failures.saturating_add(1);
    }
}
