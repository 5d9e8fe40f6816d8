//! Throughput, server CPU and memory.

use std::time::{Duration, Instant};

use redeliver::{Context, Message, Outcome, Raw, Worker};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Bench, MEMORY_MESSAGES};

/// Calls in flight while server CPU is measured, so that the server never waits.
const IN_FLIGHT: u32 = 4;
/// How often a phase looks whether the queue is empty: it costs the server nothing that shows.
const LOOK: Duration = Duration::from_millis(5);

fn payload(bench: &Bench<'_>) -> Raw {
    Raw(vec![b'x'; bench.args.payload as usize])
}

/// Pushes a second when each of many tasks awaits its own.
pub(super) async fn push(bench: &Bench<'_>) -> anyhow::Result<f64> {
    let tasks = bench.args.concurrency;
    let each = bench.args.messages.div_ceil(tasks);
    let started = Instant::now();
    let mut pushing = JoinSet::new();
    for _ in 0..tasks {
        let (queue, payload) = (bench.queue.clone(), payload(bench));
        pushing.spawn(async move {
            for _ in 0..each {
                queue.push(payload.clone()).await?;
            }
            redeliver::Result::<()>::Ok(())
        });
    }
    while let Some(pushed) = pushing.join_next().await {
        pushed??;
    }
    Ok(f64::from(each * tasks) / started.elapsed().as_secs_f64())
}

/// Runs a worker until the queue is empty.
async fn drain<F, Fut>(bench: &Bench<'_>, handler: F) -> anyhow::Result<Duration>
where
    F: Fn(Raw, Context) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Outcome> + Send + 'static,
{
    let started = Instant::now();
    let stop = CancellationToken::new();
    let worker = Worker::new(bench.queue.clone(), handler);
    let worker = worker.concurrency(bench.args.concurrency as usize);
    let worker = tokio::spawn(worker.run(stop.clone().cancelled_owned()));
    while bench.queue.counts().await?.messages > 0 {
        tokio::time::sleep(LOOK).await;
    }
    let took = started.elapsed();
    stop.cancel();
    worker.await??;
    Ok(took)
}

/// Messages a second that are claimed, handled and acked one by one.
pub(super) async fn work(bench: &Bench<'_>) -> anyhow::Result<f64> {
    let waiting = bench.queue.counts().await?.messages;
    let took = drain(bench, |_, _| async { Outcome::Ack }).await?;
    let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
    Ok(f64::from(waiting) / took.as_secs_f64())
}

/// Server CPU for push, claim and ack of a message, in batches of this size, several in flight.
pub(super) async fn server_us(bench: &Bench<'_>, batch: u32) -> anyhow::Result<f64> {
    let rounds = bench.args.messages.div_ceil(batch * IN_FLIGHT);
    let before = bench.probe.cpu().await?;
    let mut clients = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let (queue, payload) = (bench.queue.clone(), payload(bench));
        clients.spawn(async move {
            for _ in 0..rounds {
                queue.push_all((0..batch).map(|_| payload.clone())).await?;
            }
            for _ in 0..rounds {
                let mut acking = JoinSet::new();
                for delivery in queue.claim(batch).await? {
                    acking.spawn(async move { delivery.ack().await });
                }
                while let Some(acked) = acking.join_next().await {
                    let _done = acked??;
                }
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = clients.join_next().await {
        done??;
    }
    let used = bench.probe.cpu().await? - before;
    Ok(used * 1e6 / f64::from(rounds * batch * IN_FLIGHT))
}

/// Server CPU for a message that fails, fails and succeeds, its push included.
pub(super) async fn retry_server_us(bench: &Bench<'_>) -> anyhow::Result<f64> {
    let count = bench.args.messages.div_ceil(4);
    let before = bench.probe.cpu().await?;
    bench.queue.push_all((0..count).map(|_| payload(bench))).await?;
    drain(bench, |_, cx| async move {
        if cx.attempt() < 3 {
            return Outcome::retry_after(Duration::from_millis(1), "not yet");
        }
        Outcome::Ack
    })
    .await?;
    Ok((bench.probe.cpu().await? - before) * 1e6 / f64::from(count))
}

/// Bytes a message that waits in the queue.
pub(super) async fn bytes(bench: &Bench<'_>, delay: Duration) -> anyhow::Result<f64> {
    bench.queue.destroy().await?;
    bench.queue.push(payload(bench)).await?;
    let before = bench.probe.memory().await?;
    let message = || Message::new(payload(bench)).delay(delay);
    bench.queue.push_all((0..MEMORY_MESSAGES).map(|_| message())).await?;
    let used = bench.probe.memory().await? - before;
    bench.queue.destroy().await?;
    Ok(used / f64::from(MEMORY_MESSAGES))
}
