//! The four counts, the lifetime counters and the heads, in one consistent picture.

use std::collections::HashMap;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::name::MessageId;
use crate::script::{Args, Call, Reply, Script, lua, next};

pub(crate) static SCRIPT: Script = lua!("counts", no_writes);

#[derive(Debug)]
pub(crate) struct Count;

/// A queue at one moment: how much it holds, and what ever happened to it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Counts {
    /// Deliverable now.
    pub ready: u64,
    /// Waiting for a first delay or a backoff to end.
    pub scheduled: u64,
    /// Delivered and not acknowledged.
    pub pending: u64,
    /// Dead letters.
    pub dead: u64,
    /// Records: equal to the sum of the four above, that is the law.
    pub messages: u64,
    /// Ever pushed, duplicates not counted.
    pub pushed: u64,
    /// Ever acknowledged.
    pub acked: u64,
    /// Failed and sent round again.
    pub retried: u64,
    /// Given back without a failure.
    pub released: u64,
    /// Declared hopeless by a handler.
    pub buried: u64,
    /// Moved from scheduled to ready when due.
    pub promoted: u64,
    /// Taken back after their lease ended.
    pub reclaimed: u64,
    /// Gone to the dead letters with their failures spent.
    pub died: u64,
    /// Removed by id.
    pub cancelled: u64,
    /// Brought back from the dead letters.
    pub redriven: u64,
    /// Removed from the dead letters on demand.
    pub purged: u64,
    /// Removed from the dead letters by retention.
    pub trimmed: u64,
    /// Ids found without a record, and dropped.
    pub ghosts: u64,
    /// Messages that left by no script: a repair found their records removed from outside.
    pub vanished: u64,
    /// Partitions that take pushes.
    pub partitions: u32,
    /// Whether nothing is handed out. Of a queue with several partitions it says that one of them at least
    /// stands still: a pause or a resume that failed halfway, or a hand, may leave the others at work.
    /// [`counts_by_partition`](crate::Queue::counts_by_partition) tells which, and
    /// [`resume`](crate::Queue::resume) goes to all.
    pub paused: bool,
    /// The cap on ready, if there is one.
    pub max_ready: Option<u64>,
    /// The cap on the memory of all records, in bytes, if there is one.
    pub max_bytes: Option<u64>,
    /// The server's clock, in ms since 1970.
    pub now_ms: u64,
    /// When the next scheduled message falls due.
    pub next_due_ms: Option<u64>,
    /// When the next lease ends.
    pub next_deadline_ms: Option<u64>,
    /// When the oldest dead letter died.
    pub oldest_dead_ms: Option<u64>,
    /// The message that the next claim hands out.
    pub ready_head: Option<MessageId>,
}

impl Counts {
    /// The law, both sides of it: every record is in exactly one state, and everything ever pushed
    /// is live or went out by a counted way.
    pub fn law_holds(&self) -> bool {
        self.ready + self.scheduled + self.pending + self.dead == self.messages
            && self.messages + self.gone() == self.pushed
    }

    /// Those of several partitions together, but for the caps: those are shares.
    pub(crate) fn sum(parts: Vec<Self>) -> Self {
        parts.into_iter().reduce(|sum, part| sum.and(&part)).unwrap_or_default()
    }

    /// Those of two partitions together.
    pub(crate) fn and(self, other: &Self) -> Self {
        fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
            one.into_iter().chain(other).min()
        }
        let add = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (Some(one), Some(other)) => Some(one.saturating_add(other)),
            (one, other) => one.or(other),
        };
        Self {
            ready: self.ready + other.ready,
            scheduled: self.scheduled + other.scheduled,
            pending: self.pending + other.pending,
            dead: self.dead + other.dead,
            messages: self.messages + other.messages,
            pushed: self.pushed + other.pushed,
            acked: self.acked + other.acked,
            retried: self.retried + other.retried,
            released: self.released + other.released,
            buried: self.buried + other.buried,
            promoted: self.promoted + other.promoted,
            reclaimed: self.reclaimed + other.reclaimed,
            died: self.died + other.died,
            cancelled: self.cancelled + other.cancelled,
            redriven: self.redriven + other.redriven,
            purged: self.purged + other.purged,
            trimmed: self.trimmed + other.trimmed,
            ghosts: self.ghosts + other.ghosts,
            vanished: self.vanished + other.vanished,
            partitions: self.partitions + other.partitions,
            paused: self.paused || other.paused,
            max_ready: add(self.max_ready, other.max_ready),
            max_bytes: add(self.max_bytes, other.max_bytes),
            now_ms: self.now_ms.max(other.now_ms),
            next_due_ms: least(self.next_due_ms, other.next_due_ms),
            next_deadline_ms: least(self.next_deadline_ms, other.next_deadline_ms),
            oldest_dead_ms: least(self.oldest_dead_ms, other.oldest_dead_ms),
            ready_head: least(self.ready_head, other.ready_head),
        }
    }

    /// What ever left the queue, by each counted way.
    pub fn gone(&self) -> u64 {
        self.acked + self.cancelled + self.purged + self.trimmed + self.vanished
    }

    /// Messages that some worker has still to see: all but the dead ones.
    pub fn outstanding(&self) -> u64 {
        self.ready + self.scheduled + self.pending
    }
}

impl Call for Count {
    type Reply = Counts;

    fn script(&self) -> &'static Script {
        &SCRIPT
    }

    fn write(&self, _: &mut Args<'_>) {}

    fn read(&self, reply: Reply) -> Result<Self::Reply> {
        let mut items = reply.list()?;
        let mut told = HashMap::new();
        let mut ready_head = None;
        while let Some(name) = items.next() {
            let name = name.text()?;
            let value = next(&SCRIPT, &mut items)?;
            if name == "ready_head" {
                ready_head = value.text().and_then(|id| id.parse()).ok();
            } else {
                told.insert(name, value.number::<u64>()?);
            }
        }
        let take = |name: &str| {
            told.get(name).copied().ok_or_else(|| Error::reply(SCRIPT.name, ("no", name)))
        };
        let some = |name: &str| take(name).map(|value| Some(value).filter(|value| *value > 0));
        Ok(Counts {
            ready: take("ready")?,
            scheduled: take("scheduled")?,
            pending: take("pending")?,
            dead: take("dead")?,
            messages: take("messages")?,
            pushed: take("pushed")?,
            acked: take("acked")?,
            retried: take("retried")?,
            released: take("released")?,
            buried: take("buried")?,
            promoted: take("promoted")?,
            reclaimed: take("reclaimed")?,
            died: take("died")?,
            cancelled: take("cancelled")?,
            redriven: take("redriven")?,
            purged: take("purged")?,
            trimmed: take("trimmed")?,
            ghosts: take("ghosts")?,
            vanished: take("vanished")?,
            partitions: 1,
            paused: take("paused")? > 0,
            max_ready: some("max_ready")?,
            max_bytes: some("max_bytes")?,
            now_ms: take("now")?,
            next_due_ms: some("next_due")?,
            next_deadline_ms: some("next_deadline")?,
            oldest_dead_ms: some("oldest_dead")?,
            ready_head,
        })
    }
}
