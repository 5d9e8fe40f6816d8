//! apalis-redis, with leases and events off and a heartbeat of 1 s; as it ships where defaults are asked for.

use std::time::{Duration, Instant, UNIX_EPOCH};

use apalis::prelude::*;
use apalis_redis::{Config, RedisStorage};
use futures::stream;

use crate::common::{Body, CONCURRENCY, Item, Push, WORK, Work, until_stopped, url};

/// A push of more in one script fails on the server's limit of `unpack`.
const BULK: usize = 500;
const FETCH: usize = 100;

fn config(defaults: bool) -> Config {
    let config = Config::default().queue("peers");
    if defaults {
        return config;
    }
    config
        .batch_size(FETCH)
        .heartbeat_interval(Duration::from_secs(1))
        .missed_heartbeats(30)
        .lock_tasks(false)
        .emit_events(false)
}

async fn storage(defaults: bool) -> anyhow::Result<RedisStorage<Body>> {
    let connection = apalis_redis::connect(url()?).await?;
    Ok(RedisStorage::new(connection).with_config(config(defaults)))
}

fn task(item: Item) -> Task<Body> {
    let task = TaskBuilder::new(item.body);
    match item.due {
        Some(due) => task.run_at_time(UNIX_EPOCH + due).build(),
        None => task.build(),
    }
}

async fn push_one(mut storage: RedisStorage<Body>, item: Item) -> anyhow::Result<()> {
    Ok(storage.push_task(task(item)).await?)
}

pub async fn push(push: Push) -> anyhow::Result<()> {
    let mut storage = storage(false).await?;
    let mut items = push.items();
    let started = Instant::now();
    if push.each {
        push.by_tasks(storage, push_one).await?;
    } else {
        while !items.is_empty() {
            let bulk: Vec<Item> = items.drain(..BULK.min(items.len())).collect();
            storage
                .push_all(stream::iter(bulk.into_iter().map(task)))
                .await?;
        }
    }
    push.report(started);
    Ok(())
}

async fn handler(body: Body, attempt: Attempt) -> Result<(), BoxDynError> {
    let work = WORK.get().ok_or("no settings")?;
    match work.handle(&body.id, attempt.current() as u64).await {
        true => Ok(()),
        false => Err("not yet".into()),
    }
}

pub async fn work(work: Work) -> anyhow::Result<()> {
    let storage = storage(work.defaults).await?;
    WORK.get_or_init(|| work);
    let worker = WorkerBuilder::new(format!("worker-{}", std::process::id()))
        .backend(storage)
        .concurrency(CONCURRENCY)
        .parallelize(tokio::spawn)
        .build(handler);
    tokio::select! {
        ended = worker.run() => Ok(ended?),
        stopped = until_stopped() => stopped,
    }
}
