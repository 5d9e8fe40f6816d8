//! bullmq-official: BullMQ's Rust client by its own makers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bullmq::options::RedisConnectionOptions;
use bullmq::types::{BackoffStrategy, RemoveOnFinish};
use bullmq::worker::CancellationToken;
use bullmq::{BulkJob, Error, Job, JobOptions, Queue, QueueOptions, Worker, WorkerOptions};

use crate::common::{Body, CONCURRENCY, Item, Push, Work, until_stopped, url};

const BULK: usize = 1_000;

fn options(item: &Item) -> JobOptions {
    let options = JobOptions::new()
        .attempts(5)
        .backoff(BackoffStrategy::Fixed(1))
        .remove_on_complete(RemoveOnFinish::Bool(true));
    match item.due {
        Some(_) => options.delay(item.delay()),
        None => options,
    }
}

async fn push_one(queue: Arc<Queue>, item: Item) -> anyhow::Result<()> {
    queue.add("job", &item.body).options(options(&item)).await?;
    Ok(())
}

pub async fn push(push: Push) -> anyhow::Result<()> {
    let connection = RedisConnectionOptions::new().url(url()?);
    let queue = Queue::with_options("peers", QueueOptions::new().connection(connection)).await?;
    let items = push.items();
    let started = Instant::now();
    if push.each {
        push.by_tasks(Arc::new(queue), push_one).await?;
    } else {
        for items in items.chunks(BULK) {
            let job = |item: &Item| BulkJob::with_options("job", &item.body, options(item));
            queue.add_bulk(items.iter().map(job).collect()).await?;
        }
    }
    push.report(started);
    Ok(())
}

pub async fn work(work: Work) -> anyhow::Result<()> {
    let options = WorkerOptions::new()
        .connection(RedisConnectionOptions::new().url(url()?))
        .concurrency(CONCURRENCY)
        .remove_on_complete(RemoveOnFinish::Bool(true));
    let processor = move |job: Job, _: CancellationToken| {
        let work = work.clone();
        async move {
            let body: Body = serde_json::from_value(job.data().clone())?;
            match work
                .handle(&body.id, u64::from(job.attempts_made()) + 1)
                .await
            {
                true => Ok(serde_json::Value::Null),
                false => Err(Error::ProcessingError("not yet".into())),
            }
        }
    };
    let worker = Worker::with_options("peers", processor, options).await?;
    until_stopped().await?;
    worker
        .close(Duration::from_secs(2).as_millis() as u64)
        .await?;
    Ok(())
}
