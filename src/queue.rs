//! The queue: one method for each verb.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument as _;

use crate::by_id;
use crate::claims;
use crate::dead_letters::DeadLetters;
use crate::delivery::Delivery;
use crate::error::Result;
use crate::message::{Due, Message, Payload, Prepared};
use crate::name::{MessageId, QueueName, State};
use crate::op::cancel::Cancelled;
use crate::op::counts::Counts;
use crate::op::forecast::Forecast;
use crate::op::limit::Limits;
use crate::op::redeliver::Redelivered;
use crate::op::reschedule::Rescheduled;
use crate::policy::Policy;
use crate::pushed::{self, Pushed};
use crate::repartition::Partitions;
use crate::script::within;
use crate::server::Server;
use crate::shared::Shared;
use crate::snapshot::{self, Page, Snapshot};
use crate::spans;

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
        let shared = Shared::new(self.clone(), QueueName::new(name)?, Policy::default());
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
        Ok(Self { shared: Arc::new(self.shared.under(policy)), payload: PhantomData })
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
        let mut prepared = message.prepare(&self.shared.policy)?;
        self.shared.avoid_the_slow(&mut prepared);
        let id = prepared.id;
        spans::sent(&span, id);
        let pushed = self.shared.push(prepared).instrument(span.clone()).await;
        let pushed = pushed.and_then(|ran| Pushed::proven(id, ran));
        pushed.inspect_err(|_| spans::failed(&span))
    }

    /// Pushes many messages in calls of 512, in order; every message is checked before the first
    /// call is sent. After an error some may have been pushed; with [ids](Message::id) of your own
    /// the whole list can be pushed again. So it is when the queue [is full](crate::Error::Limited): the
    /// call that met the cap is the last one that is sent.
    pub async fn push_all<M: Into<Message<T>>>(
        &self,
        messages: impl IntoIterator<Item = M>,
    ) -> Result<Vec<Pushed>> {
        self.push_each(messages).await?.into_iter().collect()
    }

    /// The same for whoever wants to know of each message what became of it, in their order. Only a
    /// full queue refuses some of them: those have [`Error::Limited`](crate::Error), and so have those
    /// that were not sent any more.
    pub async fn push_each<M: Into<Message<T>>>(
        &self,
        messages: impl IntoIterator<Item = M>,
    ) -> Result<Vec<Result<Pushed>>> {
        let messages: Vec<Message<T>> = messages.into_iter().map(Into::into).collect();
        let span = spans::send(&self.shared.name, messages.len());
        let prepared = messages.into_iter().map(|mut message| {
            spans::carry(&span, message.header_mut());
            message.prepare(&self.shared.policy)
        });
        let prepared = prepared.collect::<Result<Vec<Prepared>>>()?;
        let ids: Vec<_> = prepared.iter().map(|item| item.id).collect();
        let placed = self.shared.push_many(prepared).instrument(span.clone()).await;
        let told = placed.map(|placed| pushed::each(ids, placed));
        if told.as_ref().is_ok_and(|told| told.iter().all(Result::is_ok)) {
            return told;
        }
        spans::failed(&span);
        told
    }

    /// Takes up to `limit` (1 to 1,000) ready messages, oldest first, under the policy's lease; none
    /// when none is ready or the queue is paused. Records of more than 2 MiB in all come one by one.
    ///
    /// Of several partitions each time another one comes first, and one that does not answer is passed
    /// over. When this future is dropped, what it claimed is released at once; on a Cluster or behind
    /// sentinels only if the answer took less than 1 s, since another master may have taken over in
    /// more, and else its lease ends.
    pub async fn claim(&self, limit: u32) -> Result<Vec<Delivery<T>>> {
        let limit = within("claim of", limit)?.get();
        claims::gather(&self.shared, limit, self.shared.policy.lease).await
    }

    /// One pass of redelivery over at most `limit` (1 to 1,000) due and as many overdue messages of each
    /// partition.
    /// A [`Poller`](crate::Poller) calls it at the right moments.
    pub async fn redeliver(&self, limit: u32) -> Result<Redelivered> {
        let limit = within("redelivery of", limit)?;
        self.shared.redeliver(limit).await
    }

    /// Removes messages wherever they are. A ready one costs a walk through the ready list; a holder's
    /// ack is lost.
    pub async fn cancel(&self, ids: &[MessageId]) -> Result<Vec<Cancelled>> {
        by_id::cancel_in(&self.shared, ids).await
    }

    /// Gives waiting messages another due time. A ready one costs a walk through the ready list.
    pub async fn reschedule(&self, ids: &[MessageId], due: Due) -> Result<Vec<Rescheduled>> {
        by_id::reschedule_in(&self.shared, ids, &due.argument()?).await
    }

    /// The dead letters.
    pub fn dead(&self) -> DeadLetters<'_> {
        DeadLetters::new(&self.shared)
    }

    /// The four counts, the lifetime counters and the heads, in one consistent picture of each
    /// partition, summed up.
    pub async fn counts(&self) -> Result<Counts> {
        self.shared.counts().await
    }

    /// The same for each partition on its own, from 0 on: one that fails keeps nobody from the others.
    pub async fn counts_by_partition(&self) -> Vec<Result<Counts>> {
        self.shared.counts_by_partition().await
    }

    /// A page of one state from the given index on, at most `limit` (1 to 1,000) messages and 2 MiB.
    /// One partition follows the other, see [`PARTITION_STRIDE`](crate::PARTITION_STRIDE).
    pub async fn peek(&self, state: State, start: u64, limit: u32) -> Result<Page> {
        snapshot::page_of(&self.shared, state, start, limit).await
    }

    /// Looks up messages by id; `None` where there is none.
    pub async fn find(&self, ids: &[MessageId]) -> Result<Vec<Option<Snapshot>>> {
        snapshot::find_in(&self.shared, ids).await
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
        snapshot::forecast(&self.shared, ahead).await
    }

    /// Stops handing out messages; pushes, settling and redelivery go on.
    pub async fn pause(&self) -> Result<()> {
        self.shared.pause().await
    }

    /// Hands out messages again.
    pub async fn resume(&self) -> Result<()> {
        self.shared.resume().await
    }

    /// Sets the caps from which on pushes are refused with [`Error::Limited`](crate::Error::Limited), and says how they
    /// hold now, 0 meaning no cap. They hold for all producers, and for whatever is new: a push
    /// of a message that lives already is answered as ever, and what comes back comes back.
    ///
    /// `max_ready` refuses what would be deliverable at once; a delayed message is taken, and is
    /// ready when it is due. `max_bytes` refuses every new message. Each partition has its share of a
    /// cap, 1 at least, and refuses by itself.
    pub async fn limit(&self, limits: Limits) -> Result<Limits> {
        self.shared.limit(limits.validated()?).await
    }

    /// Makes sure that [`Server::queues`] lists the queue, and so that whoever serves all queues finds
    /// it. The first push writes it down too, but waits no longer than 0.5 s for the registry, and a
    /// later one tries again: a program that ends after a few pushes calls this. It is repeated for up
    /// to 10 s; without a server that answers, or a right to write there, it fails, and nothing else
    /// about the queue changes.
    pub async fn register(&self) -> Result<()> {
        self.shared.register().await
    }

    /// Removes the whole queue, whatever it holds, and says how many messages went.
    ///
    /// Before a queue that was ever partitioned is destroyed and made anew under the same name, **stop
    /// all its clients**, in all processes. The new one counts the changes of its partitions from 0 again. A
    /// client that knows a later one of the old queue takes it for the latest and tells the new queue: its
    /// number of partitions changes back, and messages in partitions beyond it are no longer taken.
    pub async fn destroy(&self) -> Result<u64> {
        self.shared.destroy().await
    }

    /// How many partitions the queue has, and which ones beyond that are not drained yet.
    pub async fn partitions(&self) -> Result<Partitions> {
        self.shared.partitions().await
    }

    /// Gives the queue another number of partitions, 1 to 64, while it is at work.
    ///
    /// More of them take pushes at once, and workers find them within 5 s. Fewer: those beyond take
    /// no more pushes and are served until nothing is in them, dead letters included. No message
    /// moves, none is lost, and deduplication holds all the time; the order of messages is kept within
    /// a partition only. Clients that know no partitions refuse the queue from then on.
    ///
    /// An error may come after the change; then it holds, and asking again finishes it.
    pub async fn set_partitions(&self, count: u32) -> Result<Partitions> {
        self.shared.set_partitions(count).await
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}
