//! Commands on a queue as a whole, and `cancel`.

use anyhow::Result;
use clap::Args;
use redeliver::{MessageId, QueueName};
use serde_json::json;

use crate::args::{Global, QueueArgs};
use crate::exit_code::{Exit, fail};
use crate::output::many;
use crate::server::Session;

/// `cancel`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  redeliver cancel emails 01JD0Z3N9Q6V2G7T8K4M5R1XYZ")]
pub(crate) struct CancelArgs {
    /// The queue's name.
    queue: QueueName,
    /// The messages' ids.
    #[arg(required = true, value_name = "ID")]
    ids: Vec<MessageId>,
}

/// Exits with 4 when one of the messages was not there.
pub(crate) async fn cancel(global: &Global, args: &CancelArgs) -> Result<Exit> {
    let session = Session::open(global).await?;
    let outcomes = session.queue(&args.queue)?.cancel(&args.ids).await?;
    let (mut cancelled, mut missing) = (Vec::new(), Vec::new());
    for (id, was_there) in args.ids.iter().zip(outcomes) {
        if was_there {
            cancelled.push(id);
        } else {
            missing.push(id);
        }
    }
    let json = json!({"queue": args.queue.as_str(), "cancelled": cancelled, "missing": missing});
    session.out.one(&json, || {
        let count = many(cancelled.len() as u64, "message");
        format!("{count} cancelled, {} not found", missing.len())
    })?;
    Ok(if missing.is_empty() { Exit::Ok } else { Exit::NotFound })
}

/// `destroy`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  redeliver destroy emails --yes")]
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
