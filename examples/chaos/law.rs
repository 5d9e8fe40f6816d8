//! The law, sampled all the while over connections of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use redeliver::{Counts, Queue, Raw, Server};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::agent::QUEUE;
use crate::heartbeat::{self, by_host};
use crate::history::trouble::TROUBLES;
use crate::history::{Log, Trouble};

/// 20 a second.
const EVERY: Duration = Duration::from_millis(50);
/// With more than that in ready a message waits for its turn, not for a wake-up.
const BUSY: u64 = 100;

/// So many samples may wait for a server that does not answer, each of them for 10 s at most.
const UNDER_WAY: usize = 200;

/// What the samples of single partitions showed.
#[derive(Debug, Default)]
pub(crate) struct Law {
    pub(crate) samples: u64,
    pub(crate) broken: u64,
    /// The first sample that broke it.
    pub(crate) first: Option<Counts>,
    /// Samples that found more in ready than is handed out at once.
    pub(crate) busy: u64,
    /// The latest of each partition.
    latest: BTreeMap<usize, Sample>,
}

#[derive(Debug, Default)]
struct Sample {
    at: u64,
    acked: u64,
}

impl Law {
    fn note(&mut self, partition: usize, counts: &Counts, log: &Log) -> Result<()> {
        self.samples += 1;
        if !counts.law_holds() {
            self.broken += 1;
            self.first.get_or_insert_with(|| counts.clone());
        }
        let now = by_host(counts.now_ms);
        let before = self.latest.entry(partition).or_default();
        // Samples that waited for another partition come out of order.
        if now <= before.at {
            return Ok(());
        }
        // A queue that stands still with messages in ready is not busy but stuck.
        if counts.ready > BUSY && counts.acked > before.acked {
            self.busy += 1;
            log.note(&Trouble::Busy { from: before.at, until: now })?;
        }
        *before = Sample { at: now, acked: counts.acked };
        Ok(())
    }
}

pub(crate) fn queue(url: &str) -> Result<Queue<Raw>> {
    Ok(Server::open(url)?.queue(QUEUE)?)
}

/// Samples until told to stop. A partition whose server does not answer gives no sample, and keeps no
/// other one from being sampled.
pub(crate) async fn sample(
    url: String,
    histories: impl AsRef<Path>,
    stop: CancellationToken,
) -> Result<Law> {
    let queue = queue(&url)?;
    let log = Arc::new(Log::open(&histories.as_ref().join("law").with_extension(TROUBLES))?);
    let (mut law, mut under_way) = (Law::default(), JoinSet::new());
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if under_way.len() < UNDER_WAY {
            under_way.spawn(counts(queue.clone(), Arc::clone(&log)));
        }
        while let Some(sampled) = under_way.try_join_next() {
            for (partition, counts) in sampled? {
                law.note(partition, &counts, &log)?;
            }
        }
    }
    Ok(law)
}

/// Of each partition that answers.
async fn counts(queue: Queue<Raw>, log: Arc<Log>) -> Vec<(usize, Counts)> {
    let asked = Instant::now();
    let counted = queue.counts_by_partition().await;
    if counted.iter().all(Result::is_ok) {
        heartbeat::note(&log, asked.elapsed());
    }
    let partitions = counted.into_iter().enumerate();
    partitions.filter_map(|(partition, counts)| Some((partition, counts.ok()?))).collect()
}
