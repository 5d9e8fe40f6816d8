//! `stats`: how much queues hold, how fast they go, and what is late.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use redeliver::QueueName;
use serde::Serialize;
use tokio::time::sleep;

use crate::args::Global;
use crate::counts::{self, All, Counted};
use crate::exit_code::Exit;
use crate::output::{Row, rfc3339, span};
use crate::rates::{Rates, Sample};
use crate::server::Session;
use crate::watch::{self, WatchArgs};

/// What rates of a single look span.
const SPAN: Duration = Duration::from_secs(1);

/// `stats`.
#[derive(Debug, Args)]
#[command(after_help = "\
Rates are per second, between two looks: one second apart, or as far apart as --watch says. The
oldest ready message is the one that is handed out next, by the time of its push; late is for how
long the first due message or ended lease has waited for a poller.

Examples:
  redeliver stats
  redeliver stats emails --watch 1s")]
pub(crate) struct StatsArgs {
    /// The queue's name; all queues if not given.
    queue: Option<QueueName>,
    #[command(flatten)]
    watch: WatchArgs,
}

/// A queue between two looks.
#[derive(Debug, Serialize)]
struct Stats {
    queue: String,
    at: Option<String>,
    ready: u64,
    scheduled: u64,
    pending: u64,
    dead: u64,
    per_second: Rates,
    oldest_ready_ms: u64,
    late_ms: u64,
    paused: bool,
}

impl Stats {
    fn of(earlier: Option<&Sample>, counted: &Counted) -> Self {
        let (counts, now) = (&counted.counts, Sample::of(&counted.counts, 0));
        Self {
            queue: counted.queue.to_string(),
            at: rfc3339(counts.now_ms),
            ready: counts.ready,
            scheduled: counts.scheduled,
            pending: counts.pending,
            dead: counts.dead,
            per_second: earlier
                .map_or_else(Rates::default, |earlier| Rates::between(earlier, &now)),
            oldest_ready_ms: now.wait_ms,
            late_ms: now.late_ms,
            paused: counts.paused,
        }
    }
}

impl Row for Stats {
    const HEADINGS: &'static [&'static str] = &[
        "queue",
        "ready",
        "scheduled",
        "pending",
        "dead",
        "pushed/s",
        "acked/s",
        "retried/s",
        "died/s",
        "oldest ready",
        "late",
        "paused",
    ];

    fn cells(&self) -> Vec<String> {
        let rates = &self.per_second;
        let some = |ms| if ms == 0 { String::new() } else { span(Duration::from_millis(ms)) };
        let mut cells = vec![self.queue.clone()];
        let numbers = [self.ready, self.scheduled, self.pending, self.dead];
        cells.extend(numbers.map(|number| number.to_string()));
        let rates = [rates.pushed, rates.acked, rates.retried, rates.died];
        cells.extend(rates.map(|rate| format!("{rate:.1}")));
        cells.extend([some(self.oldest_ready_ms), some(self.late_ms)]);
        cells.push(if self.paused { "yes" } else { "" }.to_owned());
        cells
    }
}

pub(crate) async fn run(global: &Global, args: &StatsArgs) -> Result<Exit> {
    let session = Session::open(global).await?;
    let mut earlier = BTreeMap::new();
    watch::repeat(args.watch.every, session.out, async || {
        if earlier.is_empty() {
            note(&mut earlier, &looked(&session, args).await?.counted);
            sleep(SPAN).await;
        }
        let all = looked(&session, args).await?;
        let stats =
            all.counted.iter().map(|counted| Stats::of(earlier.get(&counted.queue), counted));
        session.out.list(&stats.collect::<Vec<_>>())?;
        note(&mut earlier, &all.counted);
        Ok(all.tell_unreadable())
    })
    .await
}

async fn looked(session: &Session, args: &StatsArgs) -> Result<All> {
    match args.queue.clone() {
        Some(queue) => {
            let counts = session.queue(&queue)?.counts().await?;
            Ok(All::one(Counted { queue, counts }))
        }
        None => counts::all(session).await,
    }
}

fn note(earlier: &mut BTreeMap<QueueName, Sample>, counted: &[Counted]) {
    earlier.extend(counted.iter().map(|it| (it.queue.clone(), Sample::of(&it.counts, 0))));
}
