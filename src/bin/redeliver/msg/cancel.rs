//! `msg cancel`, `cancel`, `queue purge`: messages removed by id or by what they have in common.

use std::collections::HashSet;

use anyhow::Result;
use clap::Args;
use redeliver::{Cancelled, MessageId, Queue, QueueName, Raw, State};
use serde_json::json;

use crate::args::Global;
use crate::bulk::{Done, Words, each_step, tell_dry};
use crate::exit_code::{Exit, fail};
use crate::filter::FilterArgs;
use crate::output::{many, note};
use crate::server::Session;
use crate::signals::Signals;

/// How it is used, for the end of its help.
pub(crate) const EXAMPLES: &str = "\
Examples:
  redeliver msg cancel emails 01JD0Z3N9Q6V2G7T8K4M5R1XYZ
  redeliver msg cancel emails --kind mail --older-than 1h --dry-run
  redeliver msg cancel emails --state ready --all";
/// The same for `queue purge`.
pub(crate) const PURGE_EXAMPLES: &str = "\
Examples:
  redeliver queue purge emails --all --dry-run
  redeliver queue purge emails --state scheduled --kind mail";

/// Where messages wait for a worker: what falls due meanwhile is seen twice rather than not at all.
const WAITING: [State; 2] = [State::Scheduled, State::Ready];

/// `msg cancel`, `cancel`.
#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// The queue's name.
    queue: QueueName,
    /// The messages' ids.
    #[arg(value_name = "ID", conflicts_with_all = ["all", "filter", "state", "dry_run"])]
    ids: Vec<MessageId>,
    #[command(flatten)]
    which: Which,
}

/// `queue purge`.
#[derive(Debug, Args)]
pub(crate) struct PurgeArgs {
    /// The queue's name.
    queue: QueueName,
    #[command(flatten)]
    which: Which,
}

/// Many messages.
#[derive(Debug, Args)]
struct Which {
    /// Takes every ready and every scheduled message that is there when the command starts; with
    /// --state those of this state.
    #[arg(long, conflicts_with = "filter")]
    all: bool,
    /// Takes messages of this state: ready, scheduled, pending or dead. If not given, ready and
    /// scheduled ones: never pending or dead ones. The holder of a pending one is not told before it
    /// answers.
    #[arg(long)]
    state: Option<State>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Says how many would go, and does nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Exits with 4 when one of the messages was not there.
pub(crate) async fn run(global: &Global, args: &CancelArgs) -> Result<Exit> {
    if args.ids.is_empty() {
        return many_of(global, &args.queue, &args.which, "cancelled").await;
    }
    let session = Session::open(global).await?;
    let outcomes = session.queue(&args.queue)?.cancel(&args.ids).await?;
    let of = |wanted: Cancelled| -> Vec<_> {
        let told = args.ids.iter().zip(&outcomes).filter(|(_, outcome)| **outcome == wanted);
        told.map(|(id, _)| id).collect()
    };
    let [cancelled, missing, unknown] =
        [Cancelled::Done, Cancelled::Missing, Cancelled::Unknown].map(of);
    let json = json!({"queue": args.queue.as_str(), "cancelled": cancelled, "missing": missing,
        "unknown": unknown});
    session.out.one(&json, || {
        let count = many(cancelled.len() as u64, "message");
        let lost = match unknown.len() {
            0 => String::new(),
            n => format!(", {n} gone, most likely by a first try whose answer was lost"),
        };
        format!("{count} cancelled, {} not found{lost}", missing.len())
    })?;
    Ok(if missing.is_empty() { Exit::Ok } else { Exit::NotFound })
}

pub(crate) async fn purge(global: &Global, args: &PurgeArgs) -> Result<Exit> {
    many_of(global, &args.queue, &args.which, "purged").await
}

async fn many_of(
    global: &Global,
    name: &QueueName,
    which: &Which,
    done: &'static str,
) -> Result<Exit> {
    if !which.all && which.filter.is_empty() {
        let hint = "refused: filter the messages, or take every one with --all";
        return Err(fail(Exit::Refused, hint));
    }
    let words = Words { done, noun: "message" };
    let states = which.state.map_or(WAITING.to_vec(), |state| vec![state]);
    let mut signals = Signals::catch()?;
    let session = Session::open(global).await?;
    let queue = session.queue(name)?;
    let (mut ids, mut seen) = (Vec::new(), HashSet::new());
    for state in states {
        let Some(found) = which.filter.ids(&queue, state, &mut signals).await? else {
            return Done::INTERRUPTED.tell(&session, name, words);
        };
        ids.extend(found.into_iter().filter(|id| seen.insert(*id)));
    }
    if ids.is_empty() && which.state.is_none() && !global.quiet {
        note("nothing that waits is meant; dead and pending messages are taken only with --state");
    }
    if which.dry_run {
        return tell_dry(&session, name, words, ids.len() as u64);
    }
    let remove = async |ids: &[MessageId]| remove(&queue, which.state, ids).await;
    each_step(&ids, words, &mut signals, remove).await?.tell(&session, name, words)
}

/// Dead letters are purged: so it is counted, and one that came back to life meanwhile stays.
async fn remove(
    queue: &Queue<Raw>,
    state: Option<State>,
    ids: &[MessageId],
) -> redeliver::Result<u64> {
    if state == Some(State::Dead) {
        return queue.dead().purge(ids).await;
    }
    let gone = queue.cancel(ids).await?;
    Ok(gone.into_iter().filter(|gone| *gone == Cancelled::Done).count() as u64)
}
