//! A walk through all messages of one state, page by page, while the queue is at work.

use redeliver::{MessageId, PARTITION_STRIDE, Queue, Raw, Result, Snapshot, State};

/// Messages of one call.
const PAGE: u32 = 1_000;

/// Where the walk stands.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    queue: &'a Queue<Raw>,
    state: State,
    next: Option<u64>,
    /// The last message that was given; ready messages have no time, and so no place in an order.
    last: Option<(u64, MessageId)>,
}

fn place(message: &Snapshot) -> Option<(u64, MessageId)> {
    message.at_ms.map(|at_ms| (at_ms, message.id))
}

impl<'a> Walk<'a> {
    pub(crate) fn new(queue: &'a Queue<Raw>, state: State) -> Self {
        Self { queue, state, next: Some(0), last: None }
    }

    /// The next messages; `None` after the last.
    ///
    /// What leaves lets the rest move up. So a page of a state with times begins with the last
    /// message of the page before; where it does not, the walk goes back, and nothing is left out.
    pub(crate) async fn page(&mut self) -> Result<Option<Vec<Snapshot>>> {
        while let Some(next) = self.next {
            // Each partition has an order of its own.
            if next.is_multiple_of(PARTITION_STRIDE) {
                self.last = None;
            }
            let start = next.saturating_sub(self.last.map_or(0, |_| 1));
            let page = self.queue.peek(self.state, start, PAGE).await?;
            let first = page.messages.first().and_then(place);
            let has_moved = self.last.is_some() && (first.is_none() || first > self.last);
            if has_moved && !start.is_multiple_of(PARTITION_STRIDE) {
                let begin = start - start % PARTITION_STRIDE;
                self.next = Some(start.saturating_sub(PAGE.into()).max(begin));
                continue;
            }
            let mut messages = page.messages;
            messages.retain(|message| self.last.is_none() || place(message) > self.last);
            self.next = page.next;
            self.last = messages.last().and_then(place).or(self.last);
            if !messages.is_empty() {
                return Ok(Some(messages));
            }
        }
        Ok(None)
    }
}
