//! `counts`: how much a queue holds, and what ever happened to it.

use anyhow::Result;
use redeliver::{Counts, QueueName};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::args::{CountsArgs, Global};
use crate::exit_code::Exit;
use crate::output::{Row, relative, rfc3339, table};
use crate::server::Session;
use crate::watch;

/// The counts of one queue.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) queue: QueueName,
    pub(crate) counts: Counts,
}

impl Row for Counted {
    const HEADINGS: &'static [&'static str] = &[
        "queue",
        "ready",
        "scheduled",
        "pending",
        "dead",
        "pushed",
        "acked",
        "retried",
        "reclaimed",
        "paused",
    ];

    fn cells(&self) -> Vec<String> {
        let counts = &self.counts;
        let numbers = [
            counts.ready,
            counts.scheduled,
            counts.pending,
            counts.dead,
            counts.pushed,
            counts.acked,
            counts.retried,
            counts.reclaimed,
        ];
        let mut cells = vec![self.queue.to_string()];
        cells.extend(numbers.map(|number| number.to_string()));
        cells.push(if counts.paused { "yes" } else { "" }.to_owned());
        cells
    }
}

/// The queue first, then [`ORDER`], with times as RFC 3339.
impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let queue = ("queue", self.queue.as_str().into());
        let numbers = ordered(&self.counts).map(|(name, value)| match name.strip_suffix("_ms") {
            Some(name) => (name, value.as_u64().and_then(rfc3339).into()),
            None => (name, value),
        });
        serializer.collect_map(std::iter::once(queue).chain(numbers))
    }
}

fn ordered(counts: &Counts) -> impl Iterator<Item = (&'static str, Value)> {
    let mut fields = serde_json::to_value(counts).unwrap_or_default();
    let field = move |name| (name, fields.get_mut(name).map(Value::take).unwrap_or_default());
    ORDER.into_iter().map(field)
}

/// One line for each number; the server's clock is left to JSON.
pub(crate) fn in_full(counts: &Counts) -> String {
    let shown = ordered(counts).filter(|(name, _)| *name != "now_ms");
    let rows = shown.map(|(name, value)| {
        let text = match (name.strip_suffix("_ms"), &value) {
            (_, Value::Null) => "none".to_owned(),
            (Some(_), at) => relative(counts.now_ms, at.as_u64().unwrap_or_default()),
            (None, Value::String(text)) => text.clone(),
            (None, other) => other.to_string(),
        };
        let heading = name.strip_suffix("_ms").unwrap_or(name).replace('_', " ");
        vec![heading, text]
    });
    table(&[], &rows.collect::<Vec<_>>())
}

/// The order of a message's life.
const ORDER: [&str; 28] = [
    "ready",
    "scheduled",
    "pending",
    "dead",
    "messages",
    "partitions",
    "paused",
    "max_ready",
    "max_bytes",
    "pushed",
    "acked",
    "retried",
    "released",
    "buried",
    "promoted",
    "reclaimed",
    "died",
    "redriven",
    "cancelled",
    "purged",
    "trimmed",
    "vanished",
    "ghosts",
    "ready_head",
    "next_due_ms",
    "next_deadline_ms",
    "oldest_dead_ms",
    "now_ms",
];

pub(crate) async fn run(global: &Global, args: &CountsArgs) -> Result<Exit> {
    let session = Session::open(global).await?;
    watch::repeat(args.watch.every, session.out, async || look(&session, args).await).await
}

async fn look(session: &Session, args: &CountsArgs) -> Result<()> {
    if let Some(queue) = args.queue.clone() {
        let counts = session.queue(&queue)?.counts().await?;
        let counted = Counted { queue, counts };
        return Ok(session.out.one(&counted, || in_full(&counted.counts))?);
    }
    Ok(session.out.list(&all(session).await?)?)
}

/// The counts of all queues, by name.
pub(crate) async fn all(session: &Session) -> Result<Vec<Counted>> {
    let mut all = Vec::new();
    for queue in session.server.queues().await? {
        let counts = session.queue(&queue)?.counts().await?;
        all.push(Counted { queue, counts });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_shown() {
        let Ok(Value::Object(fields)) = serde_json::to_value(Counts::default()) else {
            unreachable!("counts are an object");
        };
        assert!(fields.keys().all(|name| ORDER.contains(&name.as_str())));
        assert_eq!(fields.len(), ORDER.len());
    }
}
