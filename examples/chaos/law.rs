//! The law, sampled all the while over a connection of its own.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use redeliver::{Counts, Queue, Raw, Server};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::agent::QUEUE;
use crate::heartbeat;
use crate::history::trouble::TROUBLES;
use crate::history::{Log, Trouble};

/// 20 a second.
const EVERY: Duration = Duration::from_millis(50);
/// With more than that in ready a message waits for its turn, not for a wake-up.
const BUSY: u64 = 100;

/// What the samples showed.
#[derive(Debug, Default)]
pub(crate) struct Law {
    pub(crate) samples: u64,
    pub(crate) broken: u64,
    /// The first sample that broke it.
    pub(crate) first: Option<Counts>,
    /// Samples that found more in ready than is handed out at once.
    pub(crate) busy: u64,
}

pub(crate) fn queue(url: &str) -> Result<Queue<Raw>> {
    Ok(Server::open(url)?.queue(QUEUE)?)
}

/// Samples until told to stop. A server that does not answer gives no sample.
pub(crate) async fn sample(
    url: String,
    histories: impl AsRef<Path>,
    stop: CancellationToken,
) -> Result<Law> {
    let queue = queue(&url)?;
    let log = Log::open(&histories.as_ref().join("law").with_extension(TROUBLES))?;
    let (mut law, mut before) = (Law::default(), Counts::default());
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let asked = Instant::now();
        let Ok(counts) = queue.counts().await else { continue };
        heartbeat::note(&log, asked.elapsed());
        law.samples += 1;
        if !counts.law_holds() {
            law.broken += 1;
            law.first.get_or_insert(counts.clone());
        }
        // A queue that stands still with messages in ready is not busy but stuck.
        if counts.ready > BUSY && counts.acked > before.acked {
            law.busy += 1;
            log.note(&Trouble::Busy { from: before.now_ms, until: counts.now_ms })?;
        }
        before = counts;
    }
    Ok(law)
}
