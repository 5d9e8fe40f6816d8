//! This repository's library.

use std::time::{Duration, Instant, UNIX_EPOCH};

use redeliver::{Backoff, Context, Message, Outcome, Policy, Queue, Worker};

use crate::common::{Body, CONCURRENCY, Item, Push, Work, until_stopped, url};

async fn queue() -> anyhow::Result<Queue<Body>> {
    let policy = Policy::default().backoff(Backoff::fixed(Duration::from_millis(1)));
    Ok(Queue::connect(&url()?, "peers")
        .await?
        .with_policy(policy)?)
}

fn message(item: Item) -> Message<Body> {
    let message = Message::new(item.body);
    match item.due {
        Some(due) => message.at(UNIX_EPOCH + due),
        None => message,
    }
}

async fn push_one(queue: Queue<Body>, item: Item) -> anyhow::Result<()> {
    queue.push(message(item)).await?;
    Ok(())
}

pub async fn push(push: Push) -> anyhow::Result<()> {
    let queue = queue().await?;
    let items = push.items();
    let started = Instant::now();
    if push.each {
        push.by_tasks(queue, push_one).await?;
    } else {
        queue.push_all(items.into_iter().map(message)).await?;
    }
    push.report(started);
    Ok(())
}

pub async fn work(work: Work) -> anyhow::Result<()> {
    let handler = move |body: Body, context: Context| {
        let work = work.clone();
        async move {
            match work.handle(&body.id, context.attempt()).await {
                true => Outcome::Ack,
                false => Outcome::retry("not yet"),
            }
        }
    };
    let worker = Worker::new(queue().await?, handler).concurrency(CONCURRENCY);
    Ok(worker.run(until_stopped()).await?)
}
