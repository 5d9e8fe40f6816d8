//! `dead`: what was given up.

use anyhow::Result;
use clap::{Args, Subcommand};
use redeliver::{MessageId, Queue, QueueName, Raw, State, Swept};
use serde_json::json;

use crate::args::Global;
use crate::exit_code::{Exit, fail};
use crate::message::Seen;
use crate::output::{many, note, progress};
use crate::peek::{self, Range};
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
    #[command(after_help = "Example:\n  redeliver dead redrive emails --all")]
    Redrive(SweepArgs),
    /// Removes dead letters for good.
    #[command(after_help = "Example:\n  redeliver dead purge emails 01JD0Z3N9Q6V2G7T8K4M5R1XYZ")]
    Purge(SweepArgs),
}

/// Which dead letters are moved.
#[derive(Debug, Args)]
pub(crate) struct SweepArgs {
    /// The queue's name.
    queue: QueueName,
    /// The messages' ids.
    #[arg(value_name = "ID")]
    ids: Vec<MessageId>,
    /// Takes every message that is dead when the command starts.
    #[arg(long, conflicts_with = "ids")]
    all: bool,
}

/// Where dead letters go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sweep {
    Redrive,
    Purge,
}

impl Sweep {
    fn done(self) -> &'static str {
        match self {
            Self::Redrive => "redriven",
            Self::Purge => "purged",
        }
    }

    async fn these(self, queue: &Queue<Raw>, ids: &[MessageId]) -> redeliver::Result<u64> {
        match self {
            Self::Redrive => queue.dead().redrive(ids).await,
            Self::Purge => queue.dead().purge(ids).await,
        }
    }

    async fn step(self, queue: &Queue<Raw>, before_ms: u64) -> redeliver::Result<Swept> {
        match self {
            Self::Redrive => queue.dead().redrive_oldest(STEP, before_ms).await,
            Self::Purge => queue.dead().purge_oldest(STEP, before_ms).await,
        }
    }
}

pub(crate) async fn run(global: &Global, command: DeadCommand) -> Result<Exit> {
    match command {
        DeadCommand::Ls { queue, range } => {
            let session = Session::open(global).await?;
            peek::list(&session, &queue, State::Dead, &range).await
        }
        DeadCommand::Show { queue, id } => show(global, &queue, id).await,
        DeadCommand::Redrive(args) => sweep(global, &args, Sweep::Redrive).await,
        DeadCommand::Purge(args) => sweep(global, &args, Sweep::Purge).await,
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

async fn sweep(global: &Global, args: &SweepArgs, sweep: Sweep) -> Result<Exit> {
    if args.ids.is_empty() && !args.all {
        let hint = "refused: name the ids of dead letters, or take every one with --all";
        return Err(fail(Exit::Refused, hint));
    }
    let session = Session::open(global).await?;
    let queue = session.queue(&args.queue)?;
    let swept = if args.all {
        sweep_all(&queue, sweep).await?
    } else {
        sweep.these(&queue, &args.ids).await?
    };
    let json = json!({"queue": args.queue.as_str(), sweep.done(): swept});
    let told = || format!("{} {}", many(swept, "dead letter"), sweep.done());
    session.out.one(&json, told)?;
    let missing = !args.all && swept < args.ids.len() as u64;
    Ok(if missing { Exit::NotFound } else { Exit::Ok })
}

/// Takes what is dead by now, and not what dies while this runs.
async fn sweep_all(queue: &Queue<Raw>, sweep: Sweep) -> Result<u64> {
    let mut signals = Signals::catch()?;
    let before_ms = queue.counts().await?.now_ms;
    let bar = progress(sweep.done());
    let mut done = 0;
    loop {
        let swept = tokio::select! {
            () = signals.next() => {
                note("interrupted, the rest stays dead");
                break;
            }
            swept = sweep.step(queue, before_ms) => swept?,
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
