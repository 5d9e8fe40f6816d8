//! Dead letters grouped by what went wrong, and their export.

use std::collections::HashMap;

use redeliver::{MessageId, PARTITION_STRIDE, Queue, Raw, Snapshot, State};
use serde::Serialize;

/// Letters of one page; records of at most 2 MiB come with it.
const PAGE: u32 = 200;
/// Pages that one look at the groups reads: the newest 10,000 letters tell what goes wrong.
const MAX_PAGES: u32 = 50;
/// Groups that are told; more means that errors do not group well.
const MAX_GROUPS: usize = 50;

/// Some of the dead letters, by what they died of.
#[derive(Debug, Serialize)]
pub(super) struct Groups {
    /// How many were looked at.
    looked: u64,
    /// How many there are.
    dead: u64,
    /// The largest first.
    by_error: Vec<Group>,
    /// Letters in groups that are too many to tell.
    others: u64,
}

/// Dead letters that died of the same.
#[derive(Debug, Serialize)]
struct Group {
    error: String,
    count: u64,
    newest_ms: u64,
    oldest_ms: u64,
    /// The newest of them, and its error in full.
    id: MessageId,
    example: String,
}

impl Group {
    fn new(error: String, letter: &Snapshot) -> Self {
        let at_ms = letter.at_ms.unwrap_or(0);
        let example = letter.history.first().map(|failure| failure.error.clone());
        let (id, example) = (letter.id, example.unwrap_or_default());
        Self { error, count: 0, newest_ms: at_ms, oldest_ms: at_ms, id, example }
    }

    fn add(&mut self, letter: &Snapshot) {
        let at_ms = letter.at_ms.unwrap_or(0);
        self.count += 1;
        self.oldest_ms = self.oldest_ms.min(at_ms);
        if at_ms >= self.newest_ms {
            (self.newest_ms, self.id) = (at_ms, letter.id);
        }
    }
}

/// Looks at the newest dead letters, as many as a bounded look allows.
pub(super) async fn look(queue: &Queue<Raw>) -> redeliver::Result<Groups> {
    let partitions = queue.counts_by_partition().await;
    let partitions = partitions.into_iter().collect::<redeliver::Result<Vec<_>>>()?;
    let dead = partitions.iter().map(|counts| counts.dead).sum();
    let pages = MAX_PAGES.div_ceil(u32::try_from(partitions.len()).unwrap_or(MAX_PAGES));
    let mut groups: HashMap<String, Group> = HashMap::new();
    let mut looked = 0;
    // The newest of each partition.
    for (number, counts) in (0..).zip(&partitions) {
        let begin: u64 = number * PARTITION_STRIDE;
        let mut start = begin + counts.dead.saturating_sub(u64::from(PAGE * pages));
        for _ in 0..pages {
            let page = queue.peek(State::Dead, start, PAGE).await?;
            for letter in page.messages.iter().filter(|_| start < begin + PARTITION_STRIDE) {
                looked += 1;
                let error = letter.error_group();
                let group =
                    groups.entry(error.clone()).or_insert_with(|| Group::new(error, letter));
                group.add(letter);
            }
            match page.next {
                Some(next) if next < begin + PARTITION_STRIDE => start = next,
                _ => break,
            }
        }
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.error.cmp(&b.error)));
    let others = groups.iter().skip(MAX_GROUPS).map(|group| group.count).sum();
    groups.truncate(MAX_GROUPS);
    Ok(Groups { looked, dead, by_error: groups, others })
}
