//! `msg show`, `dead show`: everything about one message.

use anyhow::Result;
use clap::Args;
use redeliver::{MessageId, Queue, QueueName, Raw, Snapshot};

use crate::args::Global;
use crate::exit_code::{Exit, fail};
use crate::message::Seen;
use crate::server::Session;

/// `msg show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The queue's name.
    queue: QueueName,
    /// The message's id.
    id: MessageId,
}

pub(crate) async fn run(global: &Global, args: &ShowArgs) -> Result<Exit> {
    let session = Session::open(global).await?;
    let queue = session.queue(&args.queue)?;
    let now_ms = queue.counts().await?.now_ms;
    let seen = Seen { now_ms, message: find(&queue, args.id).await? };
    session.out.one(&seen, || seen.in_full())?;
    Ok(Exit::Ok)
}

/// The message, or exit code 4.
pub(crate) async fn find(queue: &Queue<Raw>, id: MessageId) -> Result<Snapshot> {
    let found = queue.find(&[id]).await?.into_iter().flatten().next();
    let missing = || fail(Exit::NotFound, format!("{} has no message {id}", queue.name()));
    found.ok_or_else(missing)
}
