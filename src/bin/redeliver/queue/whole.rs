//! What is done to a queue as a whole: pause, resume, destroy.

use anyhow::Result;
use clap::Args;
use redeliver::QueueName;
use serde_json::json;

use crate::args::{Global, QueueArgs};
use crate::exit_code::{Exit, fail};
use crate::output::many;
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
    session.queue(&args.queue)?.pause().await?;
    tell_paused(&session, &args.queue, true)
}

pub(crate) async fn resume(global: &Global, args: &QueueArgs) -> Result<Exit> {
    let session = Session::open(global).await?;
    session.queue(&args.queue)?.resume().await?;
    tell_paused(&session, &args.queue, false)
}

fn tell_paused(session: &Session, queue: &QueueName, paused: bool) -> Result<Exit> {
    let json = json!({"queue": queue.as_str(), "paused": paused});
    session.out.one(&json, || {
        let word = if paused { "paused" } else { "resumed" };
        format!("{queue} {word}")
    })?;
    Ok(Exit::Ok)
}
