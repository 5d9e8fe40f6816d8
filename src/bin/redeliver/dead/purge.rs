//! `dead purge`: dead letters removed for good.

use anyhow::Result;
use clap::Args;
use redeliver::{MessageId, Queue, QueueName, Raw, State};
use serde_json::json;

use super::named::Named;
use crate::args::Global;
use crate::bulk::{Done, Words, each_step, purge_some, tell_dry};
use crate::exit_code::{Exit, fail};
use crate::filter::FilterArgs;
use crate::output::{many, progress};
use crate::server::Session;
use crate::signals::Signals;

/// How it is used, for the end of its help.
pub(crate) const EXAMPLES: &str = "\
Examples:
  redeliver dead purge emails 01JD0Z3N9Q6V2G7T8K4M5R1XYZ
  redeliver dead purge emails --error 'no such user' --older-than 7d --dry-run
  redeliver dead purge emails --all";

const WORDS: Words = Words { done: "purged", noun: "dead letter" };

/// Which dead letters go.
#[derive(Debug, Args)]
pub(crate) struct PurgeArgs {
    /// The queue's name.
    queue: QueueName,
    /// The messages' ids.
    #[arg(value_name = "ID", conflicts_with_all = ["all", "filter", "dry_run"])]
    ids: Vec<MessageId>,
    /// Takes every message that is dead when the command starts.
    #[arg(long, conflicts_with = "filter")]
    all: bool,
    #[command(flatten)]
    filter: FilterArgs,
    /// Says how many would go, and does nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(global: &Global, args: &PurgeArgs) -> Result<Exit> {
    if args.ids.is_empty() && !args.all && args.filter.is_empty() {
        let hint =
            "refused: name the ids of dead letters, filter them, or take every one with --all";
        return Err(fail(Exit::Refused, hint));
    }
    let session = Session::open(global).await?;
    let queue = session.queue(&args.queue)?;
    if !args.ids.is_empty() {
        return these(&session, &queue, &args.ids).await;
    }
    if args.dry_run {
        let matching = queue.dead().count_matching(&args.filter.filter()).await?;
        return tell_dry(&session, &args.queue, WORDS, matching);
    }
    let mut signals = Signals::catch()?;
    let done = if args.all {
        all(&queue, &mut signals).await?
    } else if let Some(ids) = args.filter.ids(&queue, State::Dead, &mut signals).await? {
        let purge = async |ids: &[MessageId]| queue.dead().purge(ids).await;
        each_step(&ids, WORDS, &mut signals, purge).await?
    } else {
        Done::INTERRUPTED
    };
    done.tell(&session, &args.queue, WORDS)
}

async fn these(session: &Session, queue: &Queue<Raw>, ids: &[MessageId]) -> Result<Exit> {
    let named = Named::of(queue, ids).await?;
    let purged = queue.dead().purge(&named.ids).await?;
    let json = json!({"queue": queue.name().as_str(), "purged": purged});
    session.out.one(&json, || format!("{} purged", many(purged, "dead letter")))?;
    Ok(named.tell(purged))
}

/// Takes what is dead by now, and not what dies while this runs.
async fn all(queue: &Queue<Raw>, signals: &mut Signals) -> Result<Done> {
    let before_ms = queue.counts().await?.now_ms;
    let bar = progress("purged");
    let mut done = Done::default();
    loop {
        let swept = purge_some(queue, before_ms).await?;
        done.count += swept.done;
        done.left = swept.left;
        bar.set_length(done.count + done.left);
        bar.set_position(done.count);
        done.interrupted = done.left > 0 && signals.came();
        if done.left == 0 || done.interrupted {
            bar.finish_and_clear();
            return Ok(done);
        }
    }
}
