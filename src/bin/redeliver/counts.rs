//! `counts`: how much a queue holds, and what ever happened to it.

use anyhow::Result;
use redeliver::{Counts, Error, QueueName};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::args::{CountsArgs, Global};
use crate::exit_code::Exit;
use crate::message::visible;
use crate::output::{Row, note, relative, rfc3339, table};
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

async fn look(session: &Session, args: &CountsArgs) -> Result<Exit> {
    if let Some(queue) = args.queue.clone() {
        let counts = session.queue(&queue)?.counts().await?;
        let counted = Counted { queue, counts };
        session.out.one(&counted, || in_full(&counted.counts))?;
        return Ok(Exit::Ok);
    }
    let all = all(session).await?;
    session.out.list(&all.counted)?;
    Ok(all.tell_unreadable())
}

/// Whether the server is at fault, and not the one queue that was asked for.
pub(crate) fn is_outage(error: &Error) -> bool {
    matches!(error, Error::Unavailable { .. } | Error::Ambiguous { .. } | Error::Denied { .. })
}

/// All queues, by name.
#[derive(Debug, Default)]
pub(crate) struct All {
    pub(crate) counted: Vec<Counted>,
    /// Those that are damaged or of a later version, and what is wrong with them.
    unreadable: Vec<(QueueName, Error)>,
}

impl All {
    /// One queue that was named: a fault of it ends the command.
    pub(crate) fn one(counted: Counted) -> Self {
        Self { counted: vec![counted], unreadable: Vec::new() }
    }

    /// Tells of each queue that has no row, and how the program ends because of them.
    pub(crate) fn tell_unreadable(&self) -> Exit {
        for (queue, error) in &self.unreadable {
            note(&visible(&format!("{queue}: cannot be read: {error}")));
        }
        if self.unreadable.is_empty() { Exit::Ok } else { Exit::Failure }
    }
}

/// The counts of all queues that can be read.
pub(crate) async fn all(session: &Session) -> Result<All> {
    let mut all = All::default();
    for queue in session.server.queues().await? {
        match session.queue(&queue)?.counts().await {
            Ok(counts) => all.counted.push(Counted { queue, counts }),
            Err(error) if is_outage(&error) => return Err(error.into()),
            Err(error) => all.unreadable.push((queue, error)),
        }
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
