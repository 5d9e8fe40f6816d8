//! Lateness: from a message's due time, by the server's clock, to the start of its handler.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use redeliver::{Context, Message, Outcome, Raw, Worker};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Bench;

/// How long an idle worker is watched.
const IDLE: Duration = Duration::from_secs(20);
/// Due messages a second in the sparse phase.
const SPARSE_PER_S: u32 = 25;
/// The burst is due this long after its push began, so that all of it is there.
const BURST_DELAY_MS: i64 = 3000;
/// A minute is far beyond what any phase should see.
const MAX_US: u64 = 60_000_000;

/// A histogram of microseconds.
#[derive(Debug, Clone)]
pub(super) struct Lateness(Histogram<u64>);

impl Lateness {
    fn new() -> anyhow::Result<Self> {
        Ok(Self(Histogram::new_with_bounds(1, MAX_US, 3)?))
    }

    /// Milliseconds at this quantile.
    pub(super) fn ms(&self, quantile: f64) -> f64 {
        let us = u32::try_from(self.0.value_at_quantile(quantile)).unwrap_or(u32::MAX);
        f64::from(us) / 1e3
    }
}

/// A worker that notes how late each message is.
pub(super) struct Watched {
    seen: Arc<Mutex<Lateness>>,
    stop: CancellationToken,
    worker: JoinHandle<redeliver::Result<()>>,
}

impl Watched {
    pub(super) async fn start(bench: &Bench<'_>) -> anyhow::Result<Self> {
        let seen = Arc::new(Mutex::new(Lateness::new()?));
        let (probe, noted) = (bench.probe.clone(), Arc::clone(&seen));
        let handler = move |payload: Raw, _: Context| {
            let late = due_us(&payload).map(|due| (probe.server_us() - due).max(1));
            let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
            noted.0.saturating_record(late.map_or(MAX_US, i64::unsigned_abs));
            std::future::ready(Outcome::Ack)
        };
        let stop = CancellationToken::new();
        let worker = Worker::new(bench.queue.clone(), handler);
        let worker = worker.concurrency(bench.args.concurrency as usize);
        let worker = tokio::spawn(worker.run(stop.clone().cancelled_owned()));
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(Self { seen, stop, worker })
    }

    pub(super) async fn idle_commands_per_s(&self, bench: &Bench<'_>) -> anyhow::Result<f64> {
        let before = bench.probe.client_commands().await?;
        tokio::time::sleep(IDLE).await;
        let sent = bench.probe.client_commands().await? - before;
        Ok(sent / IDLE.as_secs_f64())
    }

    /// Messages that fall due one by one.
    pub(super) async fn sparse(&self, bench: &Bench<'_>) -> anyhow::Result<Lateness> {
        let count = i64::from(bench.args.sparse_seconds * SPARSE_PER_S);
        let start = bench.probe.server_us() / 1000 + 500;
        let dues = (0..count).map(|i| start + i * 1000 / i64::from(SPARSE_PER_S));
        self.watch(bench, dues.collect()).await
    }

    /// Messages that fall due at the same moment.
    pub(super) async fn burst(&self, bench: &Bench<'_>) -> anyhow::Result<Lateness> {
        let due = bench.probe.server_us() / 1000 + BURST_DELAY_MS;
        self.watch(bench, vec![due; bench.args.burst as usize]).await
    }

    async fn watch(&self, bench: &Bench<'_>, dues_ms: Vec<i64>) -> anyhow::Result<Lateness> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Lateness::new()?;
        let last_ms = dues_ms.iter().copied().max().unwrap_or_default();
        bench.queue.push_all(dues_ms.into_iter().map(message)).await?;
        let wait_us = (last_ms * 1000 - bench.probe.server_us()).max(0);
        tokio::time::sleep(Duration::from_micros(wait_us.unsigned_abs())).await;
        while bench.queue.counts().await?.messages > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        Ok(self.worker.await??)
    }
}

fn message(due_ms: i64) -> Message<Raw> {
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(due_ms.unsigned_abs());
    Message::new(Raw(due_ms.to_string().into_bytes())).at(at)
}

fn due_us(payload: &Raw) -> Option<i64> {
    std::str::from_utf8(&payload.0).ok()?.parse::<i64>().ok().map(|ms| ms * 1000)
}
