//! `peek`: messages of one state, without taking them.

use anyhow::Result;
use clap::Args;
use redeliver::{Queue, QueueName, Raw, State};

use crate::args::Global;
use crate::exit_code::Exit;
use crate::message::Seen;
use crate::output::{many, note};
use crate::server::Session;

/// What one call of the library gives at most.
const MAX_PAGE: u64 = 1_000;

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
    range: Range,
}

/// Which messages of a state are shown.
#[derive(Debug, Args)]
pub(crate) struct Range {
    /// Shows at most this many messages.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Skips this many messages.
    #[arg(long, value_name = "N", default_value_t = 0)]
    start: u64,
}

pub(crate) async fn run(global: &Global, args: &PeekArgs) -> Result<Exit> {
    let session = Session::open(global).await?;
    list(&session, &args.queue, args.state, &args.range).await
}

/// Shows the messages of one state, and says where to go on.
pub(crate) async fn list(
    session: &Session,
    name: &QueueName,
    state: State,
    range: &Range,
) -> Result<Exit> {
    let queue = session.queue(name)?;
    let (seen, next) = collect(&queue, state, range).await?;
    session.out.list(&seen)?;
    if let Some(next) = next {
        note(&format!("{} shown, go on with --start {next}", many(seen.len() as u64, "message")));
    }
    Ok(Exit::Ok)
}

async fn collect(
    queue: &Queue<Raw>,
    state: State,
    range: &Range,
) -> Result<(Vec<Seen>, Option<u64>)> {
    let now_ms = queue.counts().await?.now_ms;
    let mut seen = Vec::new();
    let mut next = Some(range.start);
    while let Some(start) = next {
        let left = range.limit.saturating_sub(seen.len() as u64);
        if left == 0 {
            break;
        }
        let limit = u32::try_from(left.min(MAX_PAGE))?;
        let page = queue.peek(state, start, limit).await?;
        let messages = page.messages.into_iter();
        seen.extend(messages.map(|message| Seen { now_ms, message }));
        next = page.next;
    }
    Ok((seen, next))
}
