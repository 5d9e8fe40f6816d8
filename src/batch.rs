//! Natural batching: whatever waits goes out together, and nothing waits for company.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::attempt::Receipt;
use crate::error::{Error, Result};
use crate::op::ack::{Ack, Acked};
use crate::op::bury::{Buried, Bury, BuryItem};
use crate::op::extend::{Extend, ExtendItem, Extended};
use crate::op::push::{Placed, Push, Routed};
use crate::op::release::{Release, ReleaseItem, Released};
use crate::op::retry::{Failed, Retry, RetryItem};
use crate::store::{CALL_PATIENCE, Ran, Store};
use crate::together;

/// Items of one call: beyond it a script gains little and blocks others longer.
pub(crate) const MAX_BATCH: usize = 512;
/// Bytes of one call, before its last item.
pub(crate) const MAX_BATCH_BYTES: usize = 1024 * 1024;
/// One call is executed while the next one is on its way.
const MAX_CALLS: usize = 2;
/// Items that wait in memory, before callers wait in turn.
const MAX_WAITING: usize = 16 * MAX_BATCH;
/// KiB that wait in memory, before callers wait in turn.
const MAX_WAITING_KIB: u32 = 16 * 1024;

/// A list of items that travel together, each with an outcome of its own.
pub(crate) trait Batched: Sized + Send + Sync + 'static {
    type Item: Send + 'static;
    type Outcome: Send + Copy + 'static;
    const ITEMS: usize = MAX_BATCH;
    const BYTES: usize = MAX_BATCH_BYTES;
    /// How many are on their way at a time.
    const CALLS: usize = MAX_CALLS;
    fn collect(items: Vec<Self::Item>) -> Self;
    fn weight(item: &Self::Item) -> usize;
    fn run(
        &self,
        store: &Store,
        given_up: Instant,
    ) -> impl Future<Output = Result<Ran<Vec<Self::Outcome>>>> + Send;
}

macro_rules! batched {
    ($call:ident, $item:ty, $outcome:ty, $weight:expr) => {
        impl Batched for $call {
            type Item = $item;
            type Outcome = $outcome;

            fn collect(items: Vec<Self::Item>) -> Self {
                Self(items)
            }

            fn weight(item: &Self::Item) -> usize {
                let weight: fn(&$item) -> usize = $weight;
                weight(item)
            }

            async fn run(&self, store: &Store, given_up: Instant) -> Result<Ran<Vec<$outcome>>> {
                store.run_until(self, given_up).await
            }
        }
    };
}

/// What a receipt and its lengths cost on the wire, roughly.
const RECEIPT: usize = 48;

batched!(Push, Routed, Placed, |item| {
    RECEIPT + item.message.record.len() + item.message.key.len()
});
batched!(Ack, Receipt, Acked, |_| RECEIPT);
batched!(Retry, RetryItem, Failed, |item| RECEIPT + item.line.len());
batched!(Bury, BuryItem, Buried, |item| RECEIPT + item.line.len());
batched!(Release, ReleaseItem, Released, |item| RECEIPT + item.line.len());
batched!(Extend, ExtendItem, Extended, |_| RECEIPT);

type Answer<B> = Result<Ran<<B as Batched>::Outcome>>;

struct Entry<B: Batched> {
    item: B::Item,
    answer: oneshot::Sender<Answer<B>>,
    room: OwnedSemaphorePermit,
    /// When its caller may hear of trouble: who waited behind a dead server has waited enough.
    given_up: Instant,
}

/// The driver of one verb. Its task owns the calls: a caller that goes away does not undo them.
pub(crate) struct Driver<B: Batched> {
    store: Store,
    inbox: Mutex<Option<mpsc::Sender<Entry<B>>>>,
    room: Arc<Semaphore>,
    turn: Turn,
}

impl<B: Batched> std::fmt::Debug for Driver<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").field("room", &self.room).finish_non_exhaustive()
    }
}

impl<B: Batched> Driver<B> {
    pub(crate) fn new(store: Store) -> Self {
        let room = Arc::new(Semaphore::new(MAX_WAITING_KIB as usize));
        Self { store, inbox: Mutex::default(), room, turn: Turn::default() }
    }

    /// KiB whose outcome nobody knows yet.
    pub(crate) fn under_way(&self) -> usize {
        MAX_WAITING_KIB as usize - self.room.available_permits()
    }

    /// Sends one item with the next call, and waits for its own outcome.
    pub(crate) async fn submit(&self, item: B::Item) -> Answer<B> {
        let given_up = Instant::now() + CALL_PATIENCE;
        let kib = u32::try_from(B::weight(&item).div_ceil(1024)).unwrap_or(MAX_WAITING_KIB);
        let room = Arc::clone(&self.room).acquire_many_owned(kib.min(MAX_WAITING_KIB)).await;
        let (answer, outcome) = oneshot::channel();
        let entry = Entry { item, answer, room: room.map_err(|_| stopped())?, given_up };
        self.inbox().send(entry).await.map_err(|_| stopped())?;
        outcome.await.map_err(|_| stopped())?
    }

    /// Sends many items without waiting for others.
    pub(crate) async fn run(&self, items: Vec<B::Item>) -> Result<Ran<Vec<B::Outcome>>> {
        let (store, queued) = (self.store.clone(), Arc::clone(&self.turn));
        let given_up = Instant::now() + CALL_PATIENCE;
        if B::CALLS > 1 {
            return B::collect(items).run(&store, given_up).await;
        }
        // A caller that goes away does not end its turn: the server is still at it.
        let call = async move {
            let _turn = turn::<B>(&queued).await;
            B::collect(items).run(&store, given_up).await
        };
        tokio::spawn(call).await.map_err(|_| stopped())?
    }

    /// The driver's task lives in the runtime of its first caller; when that one ends, the next
    /// caller starts another.
    fn inbox(&self) -> mpsc::Sender<Entry<B>> {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        match &*inbox {
            Some(sender) if !sender.is_closed() => sender.clone(),
            _ => {
                let (sender, receiver) = mpsc::channel(MAX_WAITING);
                tokio::spawn(drive::<B>(self.store.clone(), receiver, Arc::clone(&self.turn)));
                inbox.insert(sender).clone()
            }
        }
    }
}

/// Held by each call of a verb that has one on its way at a time.
type Turn = Arc<tokio::sync::Mutex<()>>;

async fn turn<B: Batched>(turn: &Turn) -> Option<tokio::sync::MutexGuard<'_, ()>> {
    if B::CALLS == 1 { Some(turn.lock().await) } else { None }
}

fn stopped() -> Error {
    Error::Ambiguous { reason: "the runtime that carried the call has ended".into() }
}

async fn drive<B: Batched>(store: Store, mut inbox: mpsc::Receiver<Entry<B>>, turn: Turn) {
    let mut calls = JoinSet::new();
    while let Some(first) = inbox.recv().await {
        // One answer wakes many callers: those that are about to run come along.
        together::step_back().await;
        while calls.try_join_next().is_some() {}
        if calls.len() >= B::CALLS {
            calls.join_next().await;
        }
        calls.spawn(send(store.clone(), fill(first, &mut inbox), Arc::clone(&turn)));
    }
    calls.join_all().await;
}

fn fill<B: Batched>(first: Entry<B>, inbox: &mut mpsc::Receiver<Entry<B>>) -> Vec<Entry<B>> {
    let mut bytes = B::weight(&first.item);
    let mut batch = vec![first];
    while batch.len() < B::ITEMS && bytes < B::BYTES {
        let Ok(entry) = inbox.try_recv() else { break };
        bytes += B::weight(&entry.item);
        batch.push(entry);
    }
    batch
}

async fn send<B: Batched>(store: Store, batch: Vec<Entry<B>>, queued: Turn) {
    let _turn = turn::<B>(&queued).await;
    // The one that came last: nobody's call is repeated for less than its time.
    let given_up = batch.iter().map(|entry| entry.given_up).max().unwrap_or_else(Instant::now);
    let (items, answers): (Vec<_>, Vec<_>) =
        batch.into_iter().map(|entry| (entry.item, (entry.answer, entry.room))).unzip();
    let outcomes = B::collect(items).run(&store, given_up).await;
    for (index, (answer, _room)) in answers.into_iter().enumerate() {
        let outcome = match &outcomes {
            Ok(Ran { reply, repeated }) => reply
                .get(index)
                .map(|outcome| Ran { reply: *outcome, repeated: *repeated })
                .ok_or_else(|| Error::reply("a batch", "too few outcomes")),
            Err(error) => Err(error.clone()),
        };
        // A caller that is gone has left its outcome to us: it happened all the same.
        answer.send(outcome).ok();
    }
}

/// Cuts a list into calls of as many items and bytes as one may have.
pub(crate) fn cut<B: Batched>(items: Vec<B::Item>) -> Vec<Vec<B::Item>> {
    let mut batches: Vec<Vec<B::Item>> = Vec::new();
    let mut bytes = B::BYTES;
    for item in items {
        match batches.last_mut() {
            Some(batch) if batch.len() < B::ITEMS && bytes < B::BYTES => {
                bytes += B::weight(&item);
                batch.push(item);
            }
            _ => {
                bytes = B::weight(&item);
                batches.push(vec![item]);
            }
        }
    }
    batches
}
