//! `msg release`, `msg kill`: messages in other hands, by the attempt that is under way.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use redeliver::{MessageId, Queue, QueueName, Raw, Settled, Snapshot, State};
use serde_json::json;

use super::show::find;
use crate::args::Global;
use crate::backoff;
use crate::exit_code::{Exit, fail};
use crate::output::relative;
use crate::server::Session;

/// The end of the help of `msg release`.
pub(crate) const RELEASE_HELP: &str = "\
A pending message belongs to its holder until its lease ends. --attempt names the attempt that is
taken, as `msg show` tells it, and no later one. The holder's answer is lost then, but its work goes
on, and somebody else may be given the message meanwhile: release what a dead holder left behind.

Example:
  redeliver msg release emails 01JD0Z3N9Q6V2G7T8K4M5R1XYZ --attempt 3";
/// The end of the help of `msg kill`.
pub(crate) const KILL_HELP: &str = "\
A pending message belongs to its holder until its lease ends. --attempt names the attempt that is
taken, as `msg show` tells it, and no later one. The holder's answer is lost then, but its work goes
on. What is ready or scheduled is removed with `msg cancel`.

Example:
  redeliver msg kill emails 01JD0Z3N9Q6V2G7T8K4M5R1XYZ --attempt 3 --reason 'never ends'";

/// `msg release`.
#[derive(Debug, Args)]
pub(crate) struct ReleaseArgs {
    #[command(flatten)]
    held: HeldArgs,
    /// Delivers it this long from now, and not at once.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = backoff::duration)]
    delay: Duration,
}

/// `msg kill`.
#[derive(Debug, Args)]
pub(crate) struct KillArgs {
    #[command(flatten)]
    held: HeldArgs,
    /// Stands as the last error of the dead letter.
    #[arg(long, value_name = "TEXT", default_value = "killed by an operator")]
    reason: String,
}

#[derive(Debug, Args)]
struct HeldArgs {
    /// The queue's name.
    queue: QueueName,
    /// The message's id.
    id: MessageId,
    /// Takes it from the holder of this attempt.
    #[arg(long, value_name = "N")]
    attempt: Option<u64>,
}

pub(crate) async fn release(global: &Global, args: &ReleaseArgs) -> Result<Exit> {
    let session = Session::open(global).await?;
    let queue = session.queue(&args.held.queue)?;
    let held = taken(&queue, &args.held).await?;
    let settled = queue.release_held(&held, args.delay).await?;
    tell(&session, &args.held, settled, "released")
}

pub(crate) async fn kill(global: &Global, args: &KillArgs) -> Result<Exit> {
    let session = Session::open(global).await?;
    let queue = session.queue(&args.held.queue)?;
    let held = taken(&queue, &args.held).await?;
    let settled = queue.bury_held(&held, &args.reason).await?;
    tell(&session, &args.held, settled, "killed")
}

/// The message, if it is held under the attempt that was named.
async fn taken(queue: &Queue<Raw>, args: &HeldArgs) -> Result<Snapshot> {
    let id = args.id;
    let held = find(queue, id).await?;
    let attempt = held.attempt;
    if held.state != State::Pending {
        return Err(fail(Exit::Failure, format!("{id} is {}: nobody holds it", held.state)));
    }
    match args.attempt {
        Some(named) if named == attempt => Ok(held),
        Some(named) => {
            let told = format!("attempt {named} of {id} is over: attempt {attempt} is under way");
            Err(fail(Exit::Failure, told))
        }
        None => {
            let now_ms = queue.counts().await?.now_ms;
            let ends = held.at_ms.map(|at_ms| relative(now_ms, at_ms)).unwrap_or_default();
            let told = format!(
                "refused: {id} is held, its lease ends {ends}; to take it from its holder all the \
                same, name the attempt: --attempt {attempt}"
            );
            Err(fail(Exit::Refused, told))
        }
    }
}

fn tell(session: &Session, args: &HeldArgs, settled: Settled, done: &str) -> Result<Exit> {
    let HeldArgs { queue, id, .. } = args;
    let lost = || format!("that attempt of {id} has ended by itself; nothing was changed");
    match settled {
        Settled::Lost => return Err(fail(Exit::Failure, lost())),
        Settled::Done | Settled::Unknown => {}
    }
    let json = json!({"queue": queue.as_str(), "id": id, "outcome": done});
    session.out.one(&json, || format!("{id} {done}"))?;
    Ok(Exit::Ok)
}
