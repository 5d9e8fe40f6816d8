//! `msg ls`, `peek`, `dead ls`: messages without taking them.

use anyhow::Result;
use clap::Args;
use redeliver::{Queue, QueueName, Raw, State};

use crate::args::Global;
use crate::exit_code::Exit;
use crate::filter::{Filter, FilterArgs};
use crate::message::Seen;
use crate::output::{many, note};
use crate::server::Session;

/// What one call of the library gives at most.
const MAX_PAGE: u64 = 1_000;

/// How it is used, for the end of its help.
pub(crate) const EXAMPLES: &str = "\
Examples:
  redeliver msg ls emails
  redeliver msg ls emails --state scheduled --older-than 1h
  redeliver msg ls emails --state dead --error timeout --kind mail --limit 5 -o json";

/// `msg ls`.
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// The queue's name.
    queue: QueueName,
    /// Looks at this state: ready, scheduled, pending or dead; at all of them if not given.
    #[arg(long)]
    state: Option<State>,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    range: Range,
}

/// `peek`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  redeliver peek emails\n  redeliver peek emails --state scheduled --limit 5 -o json"
)]
pub(crate) struct PeekArgs {
    /// The queue's name.
    queue: QueueName,
    /// Looks at this state: ready, scheduled, pending or dead.
    #[arg(long, default_value = "ready")]
    state: State,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    range: Range,
}

/// `dead ls`.
#[derive(Debug, Args)]
pub(crate) struct DeadLsArgs {
    /// The queue's name.
    queue: QueueName,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    range: Range,
}

/// Which messages of a state are shown.
#[derive(Debug, Args)]
struct Range {
    /// Shows at most this many messages.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Skips this many messages of the state.
    #[arg(long, value_name = "N", default_value_t = 0)]
    start: u64,
}

pub(crate) async fn run(global: &Global, args: &LsArgs) -> Result<Exit> {
    let states = args.state.map_or(State::ALL.to_vec(), |state| vec![state]);
    list(global, &args.queue, &states, (&args.filter, &args.range)).await
}

pub(crate) async fn peek(global: &Global, args: &PeekArgs) -> Result<Exit> {
    list(global, &args.queue, &[args.state], (&args.filter, &args.range)).await
}

pub(crate) async fn dead(global: &Global, args: &DeadLsArgs) -> Result<Exit> {
    list(global, &args.queue, &[State::Dead], (&args.filter, &args.range)).await
}

/// Shows what matches in these states, and says where to go on.
async fn list(
    global: &Global,
    name: &QueueName,
    states: &[State],
    (filter, range): (&FilterArgs, &Range),
) -> Result<Exit> {
    let session = Session::open(global).await?;
    let queue = session.queue(name)?;
    let filter = filter.at(queue.counts().await?.now_ms);
    let mut seen = Vec::new();
    for state in states {
        if let Some(next) = collect(&queue, *state, range, (&filter, &mut seen)).await? {
            let of = if states.len() > 1 { format!("--state {state} ") } else { String::new() };
            let shown = many(seen.len() as u64, "message");
            note(&format!("{shown} shown, go on with {of}--start {next}"));
            break;
        }
    }
    session.out.list(&seen)?;
    Ok(Exit::Ok)
}

/// Adds what matches in one state up to the limit, and says where the rest begins.
async fn collect(
    queue: &Queue<Raw>,
    state: State,
    range: &Range,
    (filter, seen): (&Filter, &mut Vec<Seen>),
) -> Result<Option<u64>> {
    let mut next = Some(range.start);
    while let Some(start) = next {
        let left = range.limit.saturating_sub(seen.len() as u64);
        if left == 0 {
            return Ok(next);
        }
        let limit = if filter.takes_all() { left.min(MAX_PAGE) } else { MAX_PAGE };
        let page = queue.peek(state, start, u32::try_from(limit)?).await?;
        next = page.next;
        let looked = page.messages.len() as u64;
        for (message, after) in page.messages.into_iter().zip(start + 1..) {
            if filter.takes(&message) {
                seen.push(Seen { now_ms: filter.now_ms(), message });
            }
            if seen.len() as u64 == range.limit && after < start + looked {
                return Ok(Some(after));
            }
        }
    }
    Ok(next)
}
