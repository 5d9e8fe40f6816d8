//! Producers, consumers and a poller at work through the library, and the book of what they were
//! told.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fastrand::Rng;
use redeliver::{Delivery, Message, MessageId, Poller, Pushed, Queue, Raw, Retried, Settled};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::syncs::SyncLog;

const PRODUCERS: u64 = 6;
const CONSUMERS: u64 = 3;

/// A push whose success was told to its producer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Confirmed {
    pub(crate) at: Instant,
    /// [`SyncLog::mark`] when the answer was there.
    pub(crate) mark: u64,
}

/// What was told, of every message that may still live.
#[derive(Default)]
pub(crate) struct Book {
    pushed: HashMap<MessageId, Confirmed>,
    /// Acks that were sent, and whether their success was told.
    acks: HashMap<MessageId, bool>,
}

impl Book {
    pub(crate) fn confirmed(&self) -> usize {
        self.pushed.len()
    }

    /// Holds it against what lives, and says which pushes were lost and how many messages came back
    /// after their ack. An ack that was undone counts no more: its message has to stay or to be
    /// acknowledged anew.
    pub(crate) fn close(&mut self, live: &HashSet<MessageId>) -> (Vec<Confirmed>, usize) {
        let undone: Vec<_> = self.acks.extract_if(|id, _| live.contains(id)).collect();
        let gone = self.pushed.extract_if(|id, _| !live.contains(id));
        let lost = gone.filter(|(id, _)| self.acks.remove(id).is_none());
        let lost = lost.map(|(_, confirmed)| confirmed).collect();
        (lost, undone.iter().filter(|(_, told)| *told).count())
    }

    /// Whether each message of the book was acknowledged.
    pub(crate) fn is_done(&self) -> bool {
        self.pushed.keys().all(|id| self.acks.get(id) == Some(&true))
    }
}

/// What all tasks share.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) queue: Queue<Raw>,
    pub(crate) book: Arc<Mutex<Book>>,
    pub(crate) syncs: Arc<SyncLog>,
}

impl Desk {
    async fn push(&self, random: &mut Rng) {
        let mut message = Message::new(Raw(vec![b'x'; random.usize(..200)]));
        if random.u8(..4) == 0 {
            message = message.delay(Duration::from_millis(random.u64(..100)));
        }
        let pushed = self.queue.push(message).await;
        if let Some(pushed) = pushed.ok().filter(|told| !matches!(told, Pushed::Unproven { .. })) {
            let confirmed = Confirmed { at: Instant::now(), mark: self.syncs.mark() };
            self.book.lock().unwrap().pushed.insert(pushed.id(), confirmed);
        }
    }

    async fn settle(&self, delivery: Delivery<Raw>, random: &mut Rng) {
        let delay = Duration::from_millis(random.u64(..50));
        let settled = match random.u8(..10) {
            0..6 => return self.ack(delivery).await,
            6 => delivery.retry_after(delay, "once more").await.map(Retried::settled),
            7 => delivery.release(delay).await,
            8 => delivery.bury("hopeless").await,
            // Nobody settles it: its lease ends.
            _ => return,
        };
        // The message lives whatever the answer, and that is all that counts here.
        drop(settled);
    }

    pub(crate) async fn ack(&self, delivery: Delivery<Raw>) {
        let id = delivery.id();
        self.book.lock().unwrap().acks.insert(id, false);
        if let Ok(Settled::Done) = delivery.ack().await {
            self.book.lock().unwrap().acks.insert(id, true);
        }
    }
}

/// Tasks that go on through the death of their server and end when they are told.
pub(crate) struct Traffic {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Traffic {
    pub(crate) fn start(desk: &Desk, random: &mut Rng) -> Self {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for _ in 0..PRODUCERS {
            let (desk, stop, mut random) = (desk.clone(), stop.clone(), random.fork());
            tasks.spawn(async move {
                while !stop.is_cancelled() {
                    desk.push(&mut random).await;
                }
            });
        }
        for _ in 0..CONSUMERS {
            let (desk, stop, mut random) = (desk.clone(), stop.clone(), random.fork());
            tasks.spawn(async move {
                while !stop.is_cancelled() {
                    let claimed = desk.queue.claim(8).await.unwrap_or_default();
                    if claimed.is_empty() {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    for delivery in claimed {
                        desk.settle(delivery, &mut random).await;
                    }
                }
            });
        }
        tasks.spawn(Poller::new(desk.queue.clone()).run(stop.clone().cancelled_owned()));
        Self { stop, tasks }
    }

    /// Lets each task end the calls that it has begun.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    pub(crate) async fn ended(self) {
        self.tasks.join_all().await;
    }
}
