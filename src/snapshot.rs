//! Messages as somebody sees them who does not hold them.

use std::time::Duration;

use crate::attempt::{AttemptLine, Failure};
use crate::backoff::MAX_DELAY;
use crate::error::{Error, Result};
use crate::message::Header;
use crate::name::{MessageId, State};
use crate::op::find::{Find, Found};
use crate::op::forecast::{Ahead, Forecast};
use crate::op::peek::{Peek, Peeked};
use crate::record::Record;
use crate::script::{MAX_FOUND, MAX_TIMES, within};
use crate::shared::Shared;
use crate::store::Store;
use crate::together::all;

/// A message at one moment: where it is, what it carries, what it has been through.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Snapshot {
    /// Its id.
    pub id: MessageId,
    /// Which partition holds it.
    pub partition: u32,
    /// Where it is.
    pub state: State,
    /// When it falls due, when its lease ends, or when it died: ms since 1970 by the server's clock.
    /// Ready messages have none.
    pub at_ms: Option<u64>,
    /// Which delivery comes next, or is under way, counted from 1.
    pub attempt: u64,
    /// Failures since its push or its last redrive.
    pub failures: u64,
    /// Failures after which it dies; 0 = never.
    pub max_attempts: u32,
    /// Its last failures, newest first.
    pub history: Vec<Failure>,
    /// Kind, content type and the user's headers.
    pub header: Header,
    /// The payload's bytes; all bytes of a record that cannot be read.
    pub payload: Vec<u8>,
}

/// What separates the places of one partition from those of the next, for pages: the messages of
/// partition `n` stand from `n` times this on. No list is that long, and all places are exact in JSON.
pub const PARTITION_STRIDE: u64 = 1 << 40;

/// A page of [`Queue::peek`](crate::Queue::peek); it never holds messages of two partitions.
#[derive(Debug)]
#[non_exhaustive]
pub struct Page {
    /// Where the next page starts, if there is one; after the last message of a partition, at the
    /// beginning of the next one.
    pub next: Option<u64>,
    /// The messages, in the order of their state.
    pub messages: Vec<Snapshot>,
}

impl Snapshot {
    /// The [group](Failure::group) of its newest error; an empty one if none is known.
    pub fn error_group(&self) -> String {
        self.history.first().map(Failure::group).unwrap_or_default()
    }

    fn of_peeked(state: State, peeked: Peeked) -> Self {
        Self::assemble(peeked.id, state, peeked.at_ms, peeked.line, &peeked.record)
    }

    fn of_found(id: MessageId, found: Found) -> Self {
        Self::assemble(id, found.state, found.at_ms, found.line, &found.record)
    }

    fn in_partition(self, partition: u32) -> Self {
        Self { partition, ..self }
    }

    fn assemble(
        id: MessageId,
        state: State,
        at_ms: Option<u64>,
        line: AttemptLine,
        record: &Record,
    ) -> Self {
        Self {
            id,
            partition: 0,
            state,
            at_ms,
            attempt: line.deliveries + 1,
            failures: line.failures,
            max_attempts: record.max,
            history: line.history,
            header: record.header.clone(),
            payload: record.payload().to_vec(),
        }
    }
}

/// Records of one claim or page: a reply that no client chokes on, a copy that no server notices.
pub(crate) const REPLY_BYTES: u64 = 2 * 1024 * 1024;

pub(crate) async fn page(store: &Store, state: State, start: u64, limit: u32) -> Result<Page> {
    let limit = within("page of", limit)?;
    let page = store.run(&Peek { state, start, limit, bytes: REPLY_BYTES }).await?.reply;
    let messages = page.messages.into_iter().map(|peeked| Snapshot::of_peeked(state, peeked));
    Ok(Page { next: page.next, messages: messages.collect() })
}

async fn find(store: &Store, ids: &[MessageId]) -> Result<Vec<Option<Snapshot>>> {
    let mut found = Vec::with_capacity(ids.len());
    for ids in ids.chunks(MAX_FOUND) {
        let snapshots = ids.iter().zip(store.run(&Find(ids)).await?.reply);
        found.extend(snapshots.map(|(id, it)| it.map(|it| Snapshot::of_found(*id, it))));
    }
    Ok(found)
}

/// A page of the queue: what stands in one partition from a place on.
pub(crate) async fn page_of(shared: &Shared, state: State, start: u64, limit: u32) -> Result<Page> {
    let partitions = shared.all().await;
    let mut number = usize::try_from(start / PARTITION_STRIDE).unwrap_or(usize::MAX);
    let mut start = start % PARTITION_STRIDE;
    let mut found = Page { next: None, messages: Vec::new() };
    while let Some(partition) = partitions.get(number) {
        let page = page(&partition.store, state, start, limit).await?;
        let messages = page.messages.into_iter();
        found.messages = messages.map(|it| it.in_partition(partition.number)).collect();
        let after =
            (number + 1 < partitions.len()).then_some((number as u64 + 1) * PARTITION_STRIDE);
        found.next = page.next.map(|next| number as u64 * PARTITION_STRIDE + next).or(after);
        if page.next.is_some() || !found.messages.is_empty() {
            break;
        }
        (number, start) = (number + 1, 0);
    }
    Ok(found)
}

/// Asks all partitions; an id is in one of them.
pub(crate) async fn find_in(shared: &Shared, ids: &[MessageId]) -> Result<Vec<Option<Snapshot>>> {
    find_all(&shared.stores().await, ids).await
}

pub(crate) async fn find_all(stores: &[Store], ids: &[MessageId]) -> Result<Vec<Option<Snapshot>>> {
    let mut merged = vec![None; ids.len()];
    for (number, found) in (0..).zip(all(stores.iter().map(|store| find(store, ids))).await?) {
        for (place, found) in merged.iter_mut().zip(found) {
            *place = place.take().or(found.map(|it| it.in_partition(number)));
        }
    }
    Ok(merged)
}

pub(crate) async fn forecast(shared: &Shared, ahead: &[Duration]) -> Result<Forecast> {
    if ahead.len() > MAX_TIMES {
        let limit = format!("at most {MAX_TIMES} times");
        return Err(Error::invalid("forecast of", &ahead.len().to_string(), limit));
    }
    if let Some(beyond) = ahead.iter().find(|ahead| **ahead > MAX_DELAY) {
        let limit = "at most ten years ahead";
        return Err(Error::invalid("forecast", &format!("{beyond:?}"), limit));
    }
    let partitions = shared.all().await;
    let asked = partitions.iter().map(async |it| Ok(it.store.run(&Ahead(ahead)).await?.reply));
    Ok(Forecast::sum(all(asked).await?))
}
