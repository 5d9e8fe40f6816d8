//! The queue: one method for each verb.

use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::backoff::millis;
use crate::batch::{Driver, cut};
use crate::dead_letters::DeadLetters;
use crate::delivery::Delivery;
use crate::error::{Error, Result};
use crate::message::{Due, Message, Payload, Prepared};
use crate::name::{MessageId, QueueName, State};
use crate::op::ack::Ack;
use crate::op::bury::Bury;
use crate::op::cancel::{Cancel, Cancelled};
use crate::op::claim::{Claim, Left};
use crate::op::counts::{Count, Counts};
use crate::op::destroy::Destroy;
use crate::op::extend::Extend;
use crate::op::find::Find;
use crate::op::pause::Pause;
use crate::op::peek::Peek;
use crate::op::push::{Placed, Push};
use crate::op::redeliver::{Redeliver, Redelivered};
use crate::op::release::Release;
use crate::op::reschedule::{Reschedule, Rescheduled};
use crate::op::resume::Resume;
use crate::op::retry::Retry;
use crate::policy::{self, Policy};
use crate::script::{MAX_FOUND, MAX_ITEMS};
use crate::server::Server;
use crate::snapshot::Snapshot;
use crate::store::{Ran, Store};

/// Records of one claim or page: a reply that no client chokes on, a copy that no server notices.
const REPLY_BYTES: u64 = 2 * 1024 * 1024;

/// What became of a pushed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It is deliverable now.
    Ready(MessageId),
    /// It waits for its time.
    Scheduled(MessageId),
    /// Nothing was pushed: a message with this key, or this very id, lives already.
    Duplicate {
        /// The id of the message that lives.
        id: MessageId,
        /// Where it is.
        state: State,
    },
}

impl Pushed {
    /// The id under which the message lives.
    pub fn id(self) -> MessageId {
        match self {
            Self::Ready(id) | Self::Scheduled(id) | Self::Duplicate { id, .. } => id,
        }
    }

    /// A repeated call that finds its own message has pushed it by its first try.
    fn of(id: MessageId, placed: Ran<Placed>) -> Self {
        match placed.reply {
            Placed::Ready => Self::Ready(id),
            Placed::Scheduled => Self::Scheduled(id),
            Placed::Duplicate { id: first, state } if placed.repeated && first == id => match state
            {
                State::Scheduled => Self::Scheduled(id),
                _ => Self::Ready(id),
            },
            Placed::Duplicate { id, state } => Self::Duplicate { id, state },
        }
    }
}

/// A page of [`Queue::peek`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Page {
    /// Where the next page starts, if there is one.
    pub next: Option<u64>,
    /// The messages, in the order of their state.
    pub messages: Vec<Snapshot>,
}

/// A named queue of messages with payloads of type `T`. Cheap to clone; clones share everything.
///
/// Calls from many tasks travel together in few round trips, each with its own outcome. A call is
/// repeated by itself for up to 10 s when the connection breaks or the server is not ready.
///
/// ```no_run
/// use std::time::Duration;
/// use redeliver::{Backoff, Message, Queue};
///
/// # async fn run() -> redeliver::Result<()> {
/// let queue: Queue<String> = Queue::connect("redis://127.0.0.1", "emails").await?;
/// queue.push("now".to_owned()).await?;
/// queue.push(Message::new("later".to_owned()).delay(Duration::from_secs(30))).await?;
/// for delivery in queue.claim(10).await? {
///     println!("{}", delivery.payload()?);
///     let _settled = delivery.ack().await?;
/// }
/// # Ok(()) }
/// ```
pub struct Queue<T> {
    core: Arc<Core>,
    payload: PhantomData<fn(T) -> T>,
}

/// What all clones of a queue, and its deliveries, share.
#[derive(Debug)]
pub(crate) struct Core {
    server: Server,
    name: QueueName,
    pub(crate) store: Store,
    pub(crate) policy: Policy,
    registered: AtomicBool,
    pub(crate) push: Driver<Push>,
    pub(crate) ack: Driver<Ack>,
    pub(crate) retry: Driver<Retry>,
    pub(crate) bury: Driver<Bury>,
    pub(crate) release: Driver<Release>,
    pub(crate) extend: Driver<Extend>,
}

impl Core {
    fn new(server: Server, name: QueueName, store: Store, policy: Policy) -> Self {
        Self {
            server,
            name,
            policy,
            registered: AtomicBool::new(false),
            push: Driver::new(store.clone()),
            ack: Driver::new(store.clone()),
            retry: Driver::new(store.clone()),
            bury: Driver::new(store.clone()),
            release: Driver::new(store.clone()),
            extend: Driver::new(store.clone()),
            store,
        }
    }

    async fn register(&self) {
        if !self.registered.swap(true, Ordering::Relaxed) {
            self.server.register(&self.name).await;
        }
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            payload: PhantomData,
        }
    }
}

impl<T> std::fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue")
            .field("name", &self.core.name)
            .finish_non_exhaustive()
    }
}

/// A claim's deliveries, and whether there is more to claim.
#[derive(Debug)]
pub(crate) struct Batch<T> {
    pub(crate) left: Left,
    pub(crate) deliveries: Vec<Delivery<T>>,
}

impl<T: Payload> Queue<T> {
    /// Connects to a server for this one queue; [`Server`] shares a connection among several.
    pub async fn connect(url: &str, name: &str) -> Result<Self> {
        Server::connect(url).await?.queue(name)
    }

    pub(crate) fn new(server: Server, name: QueueName, store: Store) -> Self {
        let core = Core::new(server, name, store, Policy::default());
        Self {
            core: Arc::new(core),
            payload: PhantomData,
        }
    }

    /// The same queue under another policy.
    pub fn with_policy(self, policy: Policy) -> Result<Self> {
        policy.validate()?;
        let Core {
            server,
            name,
            store,
            ..
        } = &*self.core;
        let core = Core::new(server.clone(), name.clone(), store.clone(), policy);
        Ok(Self {
            core: Arc::new(core),
            payload: PhantomData,
        })
    }

    /// The queue's name.
    pub fn name(&self) -> &QueueName {
        &self.core.name
    }

    /// The policy that holds where a message does not say otherwise.
    pub fn policy(&self) -> &Policy {
        &self.core.policy
    }

    /// The server that the queue lives on.
    pub fn server(&self) -> &Server {
        &self.core.server
    }

    /// Pushes one message. From the moment this returns it is delivered at least once.
    ///
    /// Many tasks that push at the same time share calls. A dropped future may have pushed.
    pub async fn push(&self, message: impl Into<Message<T>>) -> Result<Pushed> {
        let prepared = message.into().prepare(&self.core.policy)?;
        self.core.register().await;
        let id = prepared.id;
        Ok(Pushed::of(id, self.core.push.submit(prepared).await?))
    }

    /// Pushes many messages in calls of 512, in order; every message is checked before the first
    /// call is sent. After an error some may have been pushed; with [ids](Message::id) of your own
    /// the whole list can be pushed again.
    pub async fn push_all<M: Into<Message<T>>>(
        &self,
        messages: impl IntoIterator<Item = M>,
    ) -> Result<Vec<Pushed>> {
        let prepared = messages
            .into_iter()
            .map(|message| message.into().prepare(&self.core.policy));
        let prepared: Vec<Prepared> = prepared.collect::<Result<_>>()?;
        self.core.register().await;
        let mut pushed = Vec::with_capacity(prepared.len());
        for batch in cut::<Push>(prepared) {
            let ids: Vec<_> = batch.iter().map(|item| item.id).collect();
            let Ran { reply, repeated } = self.core.store.run(&Push(batch)).await?;
            let outcomes = reply.into_iter().map(|reply| Ran { reply, repeated });
            pushed.extend(
                ids.into_iter()
                    .zip(outcomes)
                    .map(|(id, ran)| Pushed::of(id, ran)),
            );
        }
        Ok(pushed)
    }

    /// Takes up to `limit` (1 to 1,000) ready messages, oldest first, under the policy's lease; none
    /// when none is ready or the queue is paused. Records of more than 2 MiB in all come one by one.
    ///
    /// When this future is dropped, what it claimed is released at once.
    pub async fn claim(&self, limit: u32) -> Result<Vec<Delivery<T>>> {
        Ok(self
            .claim_under(limit, self.core.policy.lease)
            .await?
            .deliveries)
    }

    pub(crate) async fn claim_under(&self, limit: u32, lease: Duration) -> Result<Batch<T>> {
        let most = u32::try_from(MAX_ITEMS).unwrap_or(u32::MAX);
        let limit = NonZeroU32::new(limit)
            .filter(|limit| limit.get() <= most)
            .ok_or_else(|| {
                Error::invalid(
                    "claim of",
                    &limit.to_string(),
                    format!("it takes 1 to {most}"),
                )
            })?;
        let (sender, receiver) = oneshot::channel();
        let queue = self.clone();
        tokio::spawn(async move {
            let claimed = queue
                .claim_now(Claim {
                    limit,
                    bytes: REPLY_BYTES,
                    lease,
                })
                .await;
            if let Err(Ok(unwanted)) = sender.send(claimed) {
                release_all(unwanted.deliveries).await;
            }
        });
        let stopped = |_| Error::Ambiguous {
            reason: "the runtime has ended".into(),
        };
        receiver.await.map_err(stopped)?
    }

    async fn claim_now(&self, claim: Claim) -> Result<Batch<T>> {
        let claimed = self.core.store.run(&claim).await?.reply;
        let claimed_ms = claimed.deadline_ms.saturating_sub(millis(claim.lease));
        let deliver = |message| Delivery::new(&self.core, message, claimed_ms);
        let deliveries = claimed.messages.into_iter().map(deliver).collect();
        Ok(Batch {
            left: claimed.left,
            deliveries,
        })
    }

    /// One pass of redelivery over at most `limit` (1 to 1,000) due and as many overdue messages.
    /// A [`Poller`](crate::Poller) calls it at the right moments.
    pub async fn redeliver(&self, limit: u32) -> Result<Redelivered> {
        self.redeliver_as(limit, "by-hand").await
    }

    pub(crate) async fn redeliver_as(&self, limit: u32, poller: &str) -> Result<Redelivered> {
        let most = u32::try_from(MAX_ITEMS).unwrap_or(u32::MAX);
        let limit = NonZeroU32::new(limit.clamp(1, most)).unwrap_or(NonZeroU32::MIN);
        Ok(self
            .core
            .store
            .run(&Redeliver { limit, poller })
            .await?
            .reply)
    }

    /// Removes messages wherever they are, and says for each whether it was there. A ready one costs
    /// a walk through the ready list; a holder's ack is lost.
    pub async fn cancel(&self, ids: &[MessageId]) -> Result<Vec<bool>> {
        let mut cancelled = vec![false; ids.len()];
        let mut open: Vec<usize> = (0..ids.len()).collect();
        while !open.is_empty() {
            let step: Vec<usize> = open.drain(..open.len().min(MAX_ITEMS)).collect();
            let asked: Vec<_> = step.iter().map(|index| ids[*index]).collect();
            let Ran { reply, repeated } = self.core.store.run(&Cancel(&asked)).await?;
            for (index, outcome) in step.into_iter().zip(reply) {
                match outcome {
                    Cancelled::Deferred => open.push(index),
                    Cancelled::Cancelled => cancelled[index] = true,
                    // The first try may have removed it: gone either way, and most likely by us.
                    Cancelled::Missing => cancelled[index] |= repeated,
                }
            }
        }
        Ok(cancelled)
    }

    /// Gives waiting messages another due time. A ready one costs a walk through the ready list.
    pub async fn reschedule(&self, ids: &[MessageId], due: Due) -> Result<Vec<Rescheduled>> {
        let due = due.argument()?;
        let mut outcomes = vec![Rescheduled::Missing; ids.len()];
        let mut open: Vec<usize> = (0..ids.len()).collect();
        while !open.is_empty() {
            let step: Vec<usize> = open.drain(..open.len().min(MAX_ITEMS)).collect();
            let asked: Vec<_> = step.iter().map(|index| ids[*index]).collect();
            let call = Reschedule {
                ids: &asked,
                due: due.clone(),
            };
            for (index, outcome) in step
                .into_iter()
                .zip(self.core.store.run(&call).await?.reply)
            {
                match outcome {
                    Rescheduled::Deferred => open.push(index),
                    outcome => outcomes[index] = outcome,
                }
            }
        }
        Ok(outcomes)
    }

    /// The dead letters.
    pub fn dead(&self) -> DeadLetters<'_, T> {
        DeadLetters::new(self)
    }

    /// The four counts, the lifetime counters and the heads, in one consistent picture.
    pub async fn counts(&self) -> Result<Counts> {
        Ok(self.core.store.run(&Count).await?.reply)
    }

    /// A page of one state from the given index on, at most `limit` (1 to 1,000) messages and 2 MiB.
    pub async fn peek(&self, state: State, start: u64, limit: usize) -> Result<Page> {
        let call = Peek {
            state,
            start,
            limit,
            bytes: REPLY_BYTES,
        };
        let page = self.core.store.run(&call).await?.reply;
        let messages = page
            .messages
            .into_iter()
            .map(|peeked| Snapshot::of_peeked(state, peeked));
        Ok(Page {
            next: page.next,
            messages: messages.collect(),
        })
    }

    /// Looks up messages by id; `None` where there is none.
    pub async fn find(&self, ids: &[MessageId]) -> Result<Vec<Option<Snapshot>>> {
        let mut found = Vec::with_capacity(ids.len());
        for ids in ids.chunks(MAX_FOUND) {
            let reply = self.core.store.run(&Find(ids)).await?.reply;
            let snapshots = ids.iter().zip(reply);
            found.extend(snapshots.map(|(id, it)| it.map(|it| Snapshot::of_found(*id, it))));
        }
        Ok(found)
    }

    /// Stops handing out messages; pushes, settling and redelivery go on.
    pub async fn pause(&self) -> Result<()> {
        Ok(self.core.store.run(&Pause).await?.reply)
    }

    /// Hands out messages again.
    pub async fn resume(&self) -> Result<()> {
        Ok(self.core.store.run(&Resume).await?.reply)
    }

    /// Removes the whole queue, whatever it holds, and says how many messages went.
    pub async fn destroy(&self) -> Result<u64> {
        let destroyed = self.core.store.run(&Destroy).await?.reply;
        self.core.registered.store(false, Ordering::Relaxed);
        self.core.server.unregister(&self.core.name).await?;
        Ok(destroyed)
    }

    pub(crate) fn store(&self) -> &Store {
        &self.core.store
    }

    /// The same queue over a link of its own, for a thread with a runtime of its own.
    pub(crate) fn apart(&self) -> Self {
        let Core {
            server,
            name,
            store,
            policy,
            ..
        } = &*self.core;
        let core = Core::new(server.clone(), name.clone(), store.apart(), policy.clone());
        Self {
            core: Arc::new(core),
            payload: PhantomData,
        }
    }

    /// Checks a lease for an agent that is being configured.
    pub(crate) fn lease(lease: Duration) -> Result<Duration> {
        policy::lease(lease)
    }
}

/// Puts deliveries back at the head of the queue; one that fails comes back when its lease ends.
pub(crate) async fn release_all<T: Payload>(deliveries: Vec<Delivery<T>>) {
    let mut releases = JoinSet::new();
    for delivery in deliveries {
        releases.spawn(async move {
            if let Err(error) = delivery.release(Duration::ZERO).await {
                tracing::warn!(%error, "a delivery could not be released");
            }
        });
    }
    releases.join_all().await;
}
