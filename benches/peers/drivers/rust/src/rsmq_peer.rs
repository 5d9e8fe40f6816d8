//! rsmq_async by its batch calls; its own worker takes one message a round trip.

use std::time::{Duration, Instant};

use futures::future::try_join_all;
use rsmq_async::{Rsmq, RsmqConnection, RsmqMessage, RsmqOptions};

use crate::common::{Body, Item, Push, Work, until_stopped, url};

const QUEUE: &str = "peers";
const SEND_BATCH: usize = 500;
const RECEIVE_BATCH: u32 = 100;
/// The default of the crate's own worker.
const POLL: Duration = Duration::from_secs(1);
const BACKOFF: Duration = Duration::from_millis(1);

async fn connect() -> anyhow::Result<Rsmq> {
    let url = url()?;
    let (host, port) = url
        .trim_start_matches("redis://")
        .split_once(':')
        .unwrap_or(("", "0"));
    let port = port.trim_end_matches("/0").parse()?;
    let options = RsmqOptions {
        host: host.into(),
        port,
        ..RsmqOptions::default()
    };
    let mut rsmq = Rsmq::new(options).await?;
    if !rsmq.list_queues().await?.iter().any(|name| name == QUEUE) {
        rsmq.create_queue(QUEUE, None, None, None).await?;
    }
    Ok(rsmq)
}

async fn push_one(mut rsmq: Rsmq, item: Item) -> anyhow::Result<()> {
    rsmq.send_message(QUEUE, item.body.json()?, Some(item.delay()))
        .await?;
    Ok(())
}

pub async fn push(push: Push) -> anyhow::Result<()> {
    let mut rsmq = connect().await?;
    let items = push.items();
    let started = Instant::now();
    if push.each || !push.at_once() {
        push.by_tasks(rsmq, push_one).await?;
    } else {
        for items in items.chunks(SEND_BATCH) {
            let bodies: Result<Vec<String>, _> =
                items.iter().map(|item| item.body.json()).collect();
            rsmq.send_message_batch(QUEUE, bodies?, Some(items[0].delay()))
                .await?;
        }
    }
    push.report(started);
    Ok(())
}

async fn one(mut rsmq: Rsmq, work: Work, message: RsmqMessage<String>) -> anyhow::Result<()> {
    let body: Body = serde_json::from_str(&message.message)?;
    if work.handle(&body.id, message.rc).await {
        rsmq.delete_message(QUEUE, &message.id).await?;
    } else {
        rsmq.change_message_visibility(QUEUE, &message.id, BACKOFF)
            .await?;
    }
    Ok(())
}

async fn take(work: Work) -> anyhow::Result<()> {
    let mut rsmq = connect().await?;
    loop {
        let messages = rsmq
            .receive_message_batch(QUEUE, None, RECEIVE_BATCH)
            .await?;
        if messages.is_empty() {
            tokio::time::sleep(POLL).await;
        }
        try_join_all(
            messages
                .into_iter()
                .map(|message| one(rsmq.clone(), work.clone(), message)),
        )
        .await?;
    }
}

pub async fn work(work: Work) -> anyhow::Result<()> {
    tokio::select! {
        ended = take(work) => ended,
        stopped = until_stopped() => stopped,
    }
}
