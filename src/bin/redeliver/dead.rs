//! `dead`: what was given up.

use anyhow::Result;
use clap::{Args, Subcommand};
use redeliver::{MessageId, Queue, QueueName, Raw, State};
use serde_json::json;

use crate::args::Global;
use crate::exit_code::{Exit, fail};
use crate::message::Seen;
use crate::output::{many, note, progress};
use crate::peek::{self, Range};
use crate::redrive::{self, RedriveArgs};
use crate::server::Session;
use crate::signals::Signals;

/// What one call of the library moves at most.
const STEP: u32 = 1_000;

/// `dead`.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadCommand {
    /// Lists dead letters, oldest first.
    #[command(after_help = "Example:\n  redeliver dead ls emails --limit 100")]
    Ls {
        /// The queue's name.
        queue: QueueName,
        #[command(flatten)]
        range: Range,
    },
    /// Shows everything about one message, with its history and payload.
    #[command(after_help = "Example:\n  redeliver dead show emails 01JD0Z3N9Q6V2G7T8K4M5R1XYZ")]
    Show {
        /// The queue's name.
        queue: QueueName,
        /// The message's id.
        id: MessageId,
    },
    /// Brings dead letters back to ready, with their failures forgotten.
    #[command(after_help = redrive::EXAMPLES)]
    Redrive(RedriveArgs),
    /// Removes dead letters for good.
    #[command(after_help = "Example:\n  redeliver dead purge emails 01JD0Z3N9Q6V2G7T8K4M5R1XYZ")]
    Purge(PurgeArgs),
}

/// Which dead letters go.
#[derive(Debug, Args)]
pub(crate) struct PurgeArgs {
    /// The queue's name.
    queue: QueueName,
    /// The messages' ids.
    #[arg(value_name = "ID")]
    ids: Vec<MessageId>,
    /// Takes every message that is dead when the command starts.
    #[arg(long, conflicts_with = "ids")]
    all: bool,
}

pub(crate) async fn run(global: &Global, command: DeadCommand) -> Result<Exit> {
    match command {
        DeadCommand::Ls { queue, range } => {
            let session = Session::open(global).await?;
            peek::list(&session, &queue, State::Dead, &range).await
        }
        DeadCommand::Show { queue, id } => show(global, &queue, id).await,
        DeadCommand::Redrive(args) => redrive::run(global, &args).await,
        DeadCommand::Purge(args) => purge(global, &args).await,
    }
}

async fn show(global: &Global, name: &QueueName, id: MessageId) -> Result<Exit> {
    let session = Session::open(global).await?;
    let queue = session.queue(name)?;
    let now_ms = queue.counts().await?.now_ms;
    let found = queue.find(&[id]).await?.into_iter().flatten().next();
    let Some(message) = found else {
        return Err(fail(Exit::NotFound, format!("{name} has no message {id}")));
    };
    let seen = Seen { now_ms, message };
    session.out.one(&seen, || seen.in_full())?;
    Ok(Exit::Ok)
}

async fn purge(global: &Global, args: &PurgeArgs) -> Result<Exit> {
    if args.ids.is_empty() && !args.all {
        let hint = "refused: name the ids of dead letters, or take every one with --all";
        return Err(fail(Exit::Refused, hint));
    }
    let session = Session::open(global).await?;
    let queue = session.queue(&args.queue)?;
    let purged =
        if args.all { purge_all(&queue).await? } else { queue.dead().purge(&args.ids).await? };
    let json = json!({"queue": args.queue.as_str(), "purged": purged});
    session.out.one(&json, || format!("{} purged", many(purged, "dead letter")))?;
    let missing = !args.all && purged < args.ids.len() as u64;
    Ok(if missing { Exit::NotFound } else { Exit::Ok })
}

/// Takes what is dead by now, and not what dies while this runs.
async fn purge_all(queue: &Queue<Raw>) -> Result<u64> {
    let mut signals = Signals::catch()?;
    let before_ms = queue.counts().await?.now_ms;
    let dead = queue.dead();
    let bar = progress("purged");
    let mut done = 0;
    loop {
        let swept = tokio::select! {
            () = signals.next() => {
                note("interrupted, the rest stays dead");
                break;
            }
            swept = dead.purge_oldest(STEP, before_ms) => swept?,
        };
        done += swept.done;
        bar.set_length(done + swept.left);
        bar.set_position(done);
        if swept.left == 0 {
            break;
        }
    }
    bar.finish_and_clear();
    Ok(done)
}
