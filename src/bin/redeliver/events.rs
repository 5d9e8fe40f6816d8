//! `events`: what changed in a queue, as far as its counters tell.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use redeliver::{Counts, QueueName};
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval};

use crate::args::Global;
use crate::exit_code::Exit;
use crate::output::{Row, rfc3339};
use crate::server::Session;
use crate::signals::Signals;
use crate::watch::interval_of;

/// `events`.
#[derive(Debug, Args)]
#[command(after_help = "\
These are differences of the queue's counters between two looks, one line for each counter that
changed, and one for each pause and resume. The server keeps no log of single messages: lines have no
ids, and their order within a look says nothing. No change is missed, since counters only grow; what
was destroyed in between starts again at 0.

Examples:
  redeliver events emails --follow
  redeliver events emails --follow --every 5s | jq 'select(.event == \"died\")'")]
pub(crate) struct EventsArgs {
    /// The queue's name.
    queue: QueueName,
    /// Goes on until it is interrupted; otherwise it tells one interval and ends.
    #[arg(short, long)]
    follow: bool,
    /// Looks this often.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = interval_of)]
    every: Duration,
}

/// What happened so often between two looks.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Change {
    at: Option<String>,
    queue: String,
    event: &'static str,
    count: u64,
}

impl Row for Change {
    const HEADINGS: &'static [&'static str] = &[];

    fn cells(&self) -> Vec<String> {
        let at = self.at.clone().unwrap_or_default();
        vec![at, self.queue.clone(), self.event.to_owned(), self.count.to_string()]
    }
}

pub(crate) async fn run(global: &Global, args: &EventsArgs) -> Result<Exit> {
    let session = Session::open(global).await?;
    let queue = session.queue(&args.queue)?;
    let mut signals = Signals::catch()?;
    let mut ticks = interval(args.every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut before = queue.counts().await?;
    loop {
        tokio::select! {
            () = signals.next() => return Ok(Exit::Ok),
            _ = ticks.tick() => {}
        }
        let now = queue.counts().await?;
        let events = between(&args.queue, &before, &now);
        if !events.is_empty() {
            session.out.stream(&events)?;
        }
        before = now;
        if !args.follow {
            return Ok(Exit::Ok);
        }
    }
}

/// The counters of a message's life, in its order.
fn counters(counts: &Counts) -> [(&'static str, u64); 14] {
    [
        ("pushed", counts.pushed),
        ("promoted", counts.promoted),
        ("acked", counts.acked),
        ("retried", counts.retried),
        ("released", counts.released),
        ("reclaimed", counts.reclaimed),
        ("buried", counts.buried),
        ("died", counts.died),
        ("redriven", counts.redriven),
        ("cancelled", counts.cancelled),
        ("purged", counts.purged),
        ("trimmed", counts.trimmed),
        ("ghosts", counts.ghosts),
        ("vanished", counts.vanished),
    ]
}

fn between(queue: &QueueName, before: &Counts, now: &Counts) -> Vec<Change> {
    // A queue that was destroyed has begun anew.
    let is_new = now.pushed < before.pushed;
    let nothing = Counts::default();
    let before = if is_new { &nothing } else { before };
    let event =
        |event, count| Change { at: rfc3339(now.now_ms), queue: queue.to_string(), event, count };
    let pairs = counters(before).into_iter().zip(counters(now));
    let grown = pairs.map(|((name, before), (_, now))| (name, now.saturating_sub(before)));
    let turned = match (before.paused, now.paused) {
        (false, true) => Some(("paused", 1)),
        (true, false) => Some(("resumed", 1)),
        _ => None,
    };
    let destroyed = is_new.then_some(("destroyed", 1));
    let all = destroyed.into_iter().chain(grown.filter(|(_, count)| *count > 0)).chain(turned);
    all.map(|(name, count)| event(name, count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grew_is_told_and_a_queue_that_begins_anew_is_told_first() {
        let queue = QueueName::new("q").unwrap();
        let counts = |pushed, acked, paused| {
            let mut counts = Counts::default();
            (counts.pushed, counts.acked, counts.paused) = (pushed, acked, paused);
            counts
        };
        let told = |before: &Counts, now: &Counts| -> Vec<_> {
            between(&queue, before, now).iter().map(|it| (it.event, it.count)).collect()
        };
        let before = counts(5, 1, false);
        assert_eq!(told(&before, &before), []);
        let now = counts(7, 2, true);
        assert_eq!(told(&before, &now), [("pushed", 2), ("acked", 1), ("paused", 1)]);
        assert_eq!(told(&now, &counts(1, 0, false)), [("destroyed", 1), ("pushed", 1)]);
    }
}
