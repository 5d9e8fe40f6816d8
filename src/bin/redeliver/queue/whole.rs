//! What is done to a queue as a whole: pause, resume, destroy.

use anyhow::Result;
use clap::Args;
use redeliver::{Queue, QueueName, Raw};
use serde_json::json;

use crate::args::{Global, QueueArgs};
use crate::exit_code::{Exit, fail};
use crate::output::{many, note};
use crate::server::Session;

/// `destroy`, `queue rm`.
#[derive(Debug, Args)]
pub(crate) struct DestroyArgs {
    /// The queue's name.
    queue: QueueName,
    /// Says that this is meant.
    #[arg(long)]
    yes: bool,
}

pub(crate) async fn destroy(global: &Global, args: &DestroyArgs) -> Result<Exit> {
    let queue = &args.queue;
    if !args.yes {
        let hint = format!("refused: this removes {queue} with every message in it; add --yes");
        return Err(fail(Exit::Refused, hint));
    }
    let session = Session::open(global).await?;
    let destroyed = session.queue(queue)?.destroy().await?;
    let json = json!({"queue": queue.as_str(), "destroyed": destroyed});
    session.out.one(&json, || format!("{queue} destroyed, with {}", many(destroyed, "message")))?;
    Ok(Exit::Ok)
}

pub(crate) async fn pause(global: &Global, args: &QueueArgs) -> Result<Exit> {
    let session = Session::open(global).await?;
    let queue = session.queue(&args.queue)?;
    queue.pause().await?;
    tell_paused(&session, &args.queue, true)?;
    introduce(global, &queue).await;
    Ok(Exit::Ok)
}

pub(crate) async fn resume(global: &Global, args: &QueueArgs) -> Result<Exit> {
    let session = Session::open(global).await?;
    session.queue(&args.queue)?.resume().await?;
    tell_paused(&session, &args.queue, false)
}

/// Has the queue listed, and says so if nothing was ever pushed to it: its name may be a slip. What
/// was asked for is done, so nothing here makes it fail.
pub(super) async fn introduce(global: &Global, queue: &Queue<Raw>) {
    let name = queue.name();
    if let Err(error) = queue.register().await {
        tracing::warn!(queue = %name, %error, "done, but `queue ls` may not list the queue");
    }
    match queue.counts().await {
        Ok(counts) if counts.pushed == 0 && !global.quiet => {
            note(&format!("{name}: nothing was ever pushed"));
        }
        Ok(_) => {}
        Err(error) => tracing::debug!(queue = %name, %error, "the queue cannot be read"),
    }
}

fn tell_paused(session: &Session, queue: &QueueName, paused: bool) -> Result<Exit> {
    let json = json!({"queue": queue.as_str(), "paused": paused});
    session.out.one(&json, || {
        let word = if paused { "paused" } else { "resumed" };
        format!("{queue} {word}")
    })?;
    Ok(Exit::Ok)
}
