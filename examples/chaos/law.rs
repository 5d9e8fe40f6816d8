//! The law, sampled all the while over a connection of its own.

use std::time::Duration;

use anyhow::Result;
use redeliver::{Counts, Queue, Raw, Server};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::agent::QUEUE;

/// 20 a second.
const EVERY: Duration = Duration::from_millis(50);

/// What the samples showed.
#[derive(Debug, Default)]
pub(crate) struct Law {
    pub(crate) samples: u64,
    pub(crate) broken: u64,
    /// The first sample that broke it.
    pub(crate) first: Option<Counts>,
}

pub(crate) fn queue(url: &str) -> Result<Queue<Raw>> {
    Ok(Server::open(url)?.queue(QUEUE)?)
}

/// Samples until told to stop. A server that does not answer gives no sample.
pub(crate) async fn sample(url: String, stop: CancellationToken) -> Result<Law> {
    let queue = queue(&url)?;
    let mut law = Law::default();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let Ok(counts) = queue.counts().await else { continue };
        law.samples += 1;
        if !counts.law_holds() {
            law.broken += 1;
            law.first.get_or_insert(counts);
        }
    }
    Ok(law)
}
