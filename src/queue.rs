//! The queue: one method for each verb.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::Instrument as _;

use crate::batch::cut;
use crate::by_id;
use crate::claims::{self, Claimed};
use crate::dead_letters::DeadLetters;
use crate::delivery::Delivery;
use crate::error::Result;
use crate::message::{Due, Message, Payload, Prepared};
use crate::name::{MessageId, QueueName, State};
use crate::op::claim::Claim;
use crate::op::counts::{Count, Counts};
use crate::op::destroy::Destroy;
use crate::op::forecast::Forecast;
use crate::op::limit::{Limit, Limits};
use crate::op::pause::Pause;
use crate::op::push::Push;
use crate::op::redeliver::{Redeliver, Redelivered};
use crate::op::reschedule::Rescheduled;
use crate::op::resume::Resume;
use crate::policy::Policy;
use crate::proven::ProvenPush;
use crate::pushed::Pushed;
use crate::script::within;
use crate::server::Server;
use crate::shared::Shared;
use crate::snapshot::{self, Page, REPLY_BYTES, Snapshot};
use crate::spans;
use crate::store::{Ran, Store};

/// A named queue of messages with payloads of type `T`. Cheap to clone; clones share everything.
///
/// Calls from many tasks travel together in few round trips, each with its own outcome. A call is
/// repeated by itself for up to 10 s when the connection breaks or the server is not ready. What
/// waited that long behind others is tried once more, and then told.
///
/// The tasks that send live in the runtime of their first caller: use a queue in a runtime that is
/// driven for as long as somebody waits, and another queue in another runtime.
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
    shared: Arc<Shared>,
    payload: PhantomData<fn(T) -> T>,
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), payload: PhantomData }
    }
}

impl<T> std::fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("name", &self.shared.name).finish_non_exhaustive()
    }
}

impl Server {
    /// A queue on this server; it comes into being with its first push.
    pub fn queue<T: Payload>(&self, name: &str) -> Result<Queue<T>> {
        let name = QueueName::new(name)?;
        let store = self.store(&name);
        let shared = Shared::new(self.clone(), name, store, Policy::default());
        Ok(Queue { shared: Arc::new(shared), payload: PhantomData })
    }
}

impl<T: Payload> Queue<T> {
    /// Connects to a server for this one queue; [`Server`] shares a connection among several.
    pub async fn connect(url: &str, name: &str) -> Result<Self> {
        Server::connect(url).await?.queue(name)
    }

    /// The same queue under another policy.
    pub fn with_policy(self, policy: Policy) -> Result<Self> {
        policy.validate()?;
        let Shared { server, name, store, .. } = &*self.shared;
        let shared = Shared::new(server.clone(), name.clone(), store.clone(), policy);
        Ok(Self { shared: Arc::new(shared), payload: PhantomData })
    }

    /// The queue's name.
    pub fn name(&self) -> &QueueName {
        &self.shared.name
    }

    /// The policy that holds where a message does not say otherwise.
    pub fn policy(&self) -> &Policy {
        &self.shared.policy
    }

    /// The server that the queue lives on.
    pub fn server(&self) -> &Server {
        &self.shared.server
    }

    /// Pushes one message. From the moment this returns it is delivered at least once, for as long as
    /// the server keeps what it took: see [`Durability`](crate::Durability).
    ///
    /// Many tasks that push at the same time share calls. A dropped future may have pushed.
    pub async fn push(&self, message: impl Into<Message<T>>) -> Result<Pushed> {
        let span = spans::send(&self.shared.name, 1);
        let mut message = message.into();
        spans::carry(&span, message.header_mut());
        let prepared = message.prepare(&self.shared.policy)?;
        let id = prepared.id;
        spans::sent(&span, id);
        let pushed = async {
            self.shared.register().await;
            if prepared.proof.is_wanted() {
                return Pushed::proven(id, self.shared.proven.submit(prepared).await?);
            }
            Pushed::of(id, self.shared.push.submit(prepared).await?)
        };
        pushed.instrument(span.clone()).await.inspect_err(|_| spans::failed(&span))
    }

    /// Pushes many messages in calls of 512, in order; every message is checked before the first
    /// call is sent. After an error some may have been pushed; with [ids](Message::id) of your own
    /// the whole list can be pushed again. So it is when the queue [is full](crate::Error::Limited): the
    /// call that met the cap is the last one that is sent.
    pub async fn push_all<M: Into<Message<T>>>(
        &self,
        messages: impl IntoIterator<Item = M>,
    ) -> Result<Vec<Pushed>> {
        let messages: Vec<Message<T>> = messages.into_iter().map(Into::into).collect();
        let span = spans::send(&self.shared.name, messages.len());
        let prepared = messages.into_iter().map(|mut message| {
            spans::carry(&span, message.header_mut());
            message.prepare(&self.shared.policy)
        });
        let prepared = prepared.collect::<Result<_>>()?;
        let pushed = self.push_prepared(prepared).instrument(span.clone()).await;
        pushed.inspect_err(|_| spans::failed(&span))
    }

    async fn push_prepared(&self, prepared: Vec<Prepared>) -> Result<Vec<Pushed>> {
        self.shared.register().await;
        let mut pushed = Vec::with_capacity(prepared.len());
        if prepared.iter().any(|item| item.proof.is_wanted()) {
            for batch in cut::<ProvenPush>(prepared) {
                let ids: Vec<_> = batch.iter().map(|item| item.id).collect();
                let Ran { reply, repeated } = self.shared.proven.run(batch).await?;
                for (id, reply) in ids.into_iter().zip(reply) {
                    pushed.push(Pushed::proven(id, Ran { reply, repeated })?);
                }
            }
            return Ok(pushed);
        }
        for batch in cut::<Push>(prepared) {
            let ids: Vec<_> = batch.iter().map(|item| item.id).collect();
            let Ran { reply, repeated } = self.shared.store.run(&Push(batch)).await?;
            let outcomes = reply.into_iter().map(|reply| Ran { reply, repeated });
            for (id, ran) in ids.into_iter().zip(outcomes) {
                pushed.push(Pushed::of(id, ran)?);
            }
        }
        Ok(pushed)
    }

    /// Takes up to `limit` (1 to 1,000) ready messages, oldest first, under the policy's lease; none
    /// when none is ready or the queue is paused. Records of more than 2 MiB in all come one by one.
    ///
    /// When this future is dropped, what it claimed is released at once.
    pub async fn claim(&self, limit: u32) -> Result<Vec<Delivery<T>>> {
        Ok(self.claim_under(limit, self.shared.policy.lease).await?.take())
    }

    pub(crate) async fn claim_under(&self, limit: u32, lease: Duration) -> Result<Claimed<T>> {
        let claim = Claim { limit: within("claim of", limit)?, bytes: REPLY_BYTES, lease };
        claims::claim(&self.shared, claim).await
    }

    /// One pass of redelivery over at most `limit` (1 to 1,000) due and as many overdue messages.
    /// A [`Poller`](crate::Poller) calls it at the right moments.
    pub async fn redeliver(&self, limit: u32) -> Result<Redelivered> {
        self.redeliver_as(limit, "").await
    }

    /// A poller with a name counts among those that watch the next deadline.
    pub(crate) async fn redeliver_as(&self, limit: u32, poller: &str) -> Result<Redelivered> {
        let limit = within("redelivery of", limit)?;
        Ok(self.shared.store.run(&Redeliver { limit, poller }).await?.reply)
    }

    /// Removes messages wherever they are, and says for each whether it was there. A ready one costs
    /// a walk through the ready list; a holder's ack is lost.
    pub async fn cancel(&self, ids: &[MessageId]) -> Result<Vec<bool>> {
        by_id::cancel(&self.shared.store, ids).await
    }

    /// Gives waiting messages another due time. A ready one costs a walk through the ready list.
    pub async fn reschedule(&self, ids: &[MessageId], due: Due) -> Result<Vec<Rescheduled>> {
        by_id::reschedule(&self.shared.store, ids, &due.argument()?).await
    }

    /// The dead letters.
    pub fn dead(&self) -> DeadLetters<'_> {
        DeadLetters::new(&self.shared)
    }

    /// The four counts, the lifetime counters and the heads, in one consistent picture.
    pub async fn counts(&self) -> Result<Counts> {
        Ok(self.shared.store.run(&Count).await?.reply)
    }

    /// A page of one state from the given index on, at most `limit` (1 to 1,000) messages and 2 MiB.
    pub async fn peek(&self, state: State, start: u64, limit: u32) -> Result<Page> {
        snapshot::page(&self.shared.store, state, start, limit).await
    }

    /// Looks up messages by id; `None` where there is none.
    pub async fn find(&self, ids: &[MessageId]) -> Result<Vec<Option<Snapshot>>> {
        snapshot::find(&self.shared.store, ids).await
    }

    /// How many messages fall due, and how many leases end, up to each of these times from now, at
    /// most 128 of them: what the server counts, whatever the queue holds.
    ///
    /// ```no_run
    /// # async fn run(queue: redeliver::Queue<String>) -> redeliver::Result<()> {
    /// use std::time::Duration;
    /// let minute = queue.forecast(&[Duration::ZERO, Duration::from_secs(60)]).await?;
    /// println!("{} fall due within a minute", minute.scheduled[1] - minute.scheduled[0]);
    /// # Ok(()) }
    /// ```
    pub async fn forecast(&self, ahead: &[Duration]) -> Result<Forecast> {
        snapshot::forecast(&self.shared.store, ahead).await
    }

    /// Stops handing out messages; pushes, settling and redelivery go on.
    pub async fn pause(&self) -> Result<()> {
        self.shared.store.run(&Pause).await?;
        Ok(())
    }

    /// Hands out messages again.
    pub async fn resume(&self) -> Result<()> {
        self.shared.store.run(&Resume).await?;
        Ok(())
    }

    /// Sets the caps from which on pushes are refused with [`Error::Limited`](crate::Error::Limited), and says how they
    /// hold now, 0 meaning no cap. They hold for all producers, and for whatever is new: a push
    /// of a message that lives already is answered as ever, and what comes back comes back.
    ///
    /// `max_ready` refuses what would be deliverable at once; a delayed message is taken, and is
    /// ready when it is due. `max_bytes` refuses every new message.
    pub async fn limit(&self, limits: Limits) -> Result<Limits> {
        Ok(self.shared.store.run(&Limit(limits.validated()?)).await?.reply)
    }

    /// Removes the whole queue, whatever it holds, and says how many messages went.
    pub async fn destroy(&self) -> Result<u64> {
        let destroyed = self.shared.store.run(&Destroy).await?.reply;
        self.shared.registered.store(false, Ordering::Relaxed);
        self.shared.server.unregister(&self.shared.name).await;
        Ok(destroyed)
    }

    pub(crate) fn store(&self) -> &Store {
        &self.shared.store
    }

    /// The same queue over a link of its own, for a thread with a runtime of its own.
    pub(crate) fn apart(&self) -> Self {
        let Shared { server, name, policy, .. } = &*self.shared;
        let server = server.apart();
        let store = server.store(name);
        let shared = Shared::new(server, name.clone(), store, policy.clone());
        Self { shared: Arc::new(shared), payload: PhantomData }
    }
}
