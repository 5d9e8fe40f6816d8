//! `demo`: a worker is killed with messages in hand, and nothing is lost.

mod crew;
mod log;
mod stage;
mod webhook;
pub(crate) mod worker;

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use redeliver::{Backoff, Counts, Message, MessageId, Queue, QueueName, Raw};
use serde::Serialize;

use crate::args::Global;
use crate::exit_code::{Exit, fail};
use crate::output::{Format, Output, many};
use crate::server::Session;
use crate::signals::Signals;
use crew::Crew;
use stage::Stage;

/// What the killed worker delivers before it hangs.
const STALL_AFTER: u64 = 24;
const MAX_ATTEMPTS: u32 = 3;
const BACKOFF: Duration = Duration::from_millis(300);
const STEP: u32 = 1_000;

/// `demo`.
#[derive(Debug, Args)]
#[command(after_help = "\
It runs on a private server of its own that is removed at the end, or on the server of --url in a
queue of its own that is destroyed at the end.

Examples:
  redeliver demo
  redeliver demo --json --seed 7")]
pub(crate) struct DemoArgs {
    /// Writes the result as one JSON object on the last line of stdout.
    #[arg(long)]
    json: bool,
    /// Draws the order of the messages and how long each delivery takes from this seed.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// What the handlers and the server saw.
#[derive(Debug, Serialize)]
struct Summary {
    pushed: u64,
    acked: u64,
    dead: u64,
    retried: u64,
    reclaimed: u64,
    redriven: u64,
    lost: u64,
    law: &'static str,
}

impl Summary {
    fn in_words(&self) -> String {
        format!(
            "{} pushed, {} acknowledged, {} retried, {} reclaimed from the killed worker, {} \
             redriven from the dead letters, {} lost; the law {}.",
            self.pushed,
            self.acked,
            self.retried,
            self.reclaimed,
            self.redriven,
            self.lost,
            self.law
        )
    }
}

pub(crate) async fn run(global: &Global, args: &DemoArgs) -> Result<Exit> {
    let mut signals = Signals::catch()?;
    let dir = tempfile::Builder::new().prefix("redeliver-demo-").tempdir()?;
    let session = match global.url()? {
        Some(_) => Session::open(global).await?,
        None => Session::open(&global.with_data_dir(dir.path())).await?,
    };
    let name = QueueName::new(format!("demo-{}", MessageId::generate()))?;
    let queue = session.queue(&name)?;
    let mut crew = Crew::new(&session, global, &name, dir.path(), args.seed);
    let stage = Stage::new(queue.clone());
    let played = tokio::select! {
        played = play(&stage, &queue, &mut crew, args.seed) => played,
        () = signals.next() => Err(fail(Exit::Failure, "the demo was interrupted")),
    };
    stage.clear();
    crew.dismiss().await;
    queue.destroy().await?;
    let out = session.out;
    session.leave().await?;
    let summary = played?;
    let out = if args.json { Output::new(Some(Format::Ndjson)) } else { out };
    out.one(&summary, || summary.in_words())?;
    Ok(if summary.lost == 0 && summary.law == "holds" { Exit::Ok } else { Exit::Failure })
}

async fn play(stage: &Stage, queue: &Queue<Raw>, crew: &mut Crew, seed: u64) -> Result<Summary> {
    let pushed = push(queue, seed).await?;
    stage.say(&format!(
        "1. {} pushed, each with {MAX_ATTEMPTS} attempts.",
        many(pushed.len() as u64, "webhook")
    ));

    let doomed = crew.hire(Some(STALL_AFTER))?;
    crew.begun(doomed, STALL_AFTER).await?;
    crew.hire(None)?;
    stage.say("2. Two worker processes deliver them; some receivers are flaky, some are gone.");
    let held = crew.hung(doomed).await?;
    crew.kill(doomed).await?;
    let in_hand = many(held as u64, "webhook");
    stage.say(&format!("3. SIGKILL hits one of them with {in_hand} in hand."));
    crew.hire(None)?;

    stage.until(|counts| counts.outstanding() == 0).await?;
    let before = queue.counts().await?;
    stage.say(&format!(
        "4. A third worker took over: {} reclaimed when the leases had ended.",
        many(before.reclaimed, "webhook")
    ));
    stage.say(&format!("5. {} with their attempts spent:", many(before.dead, "dead letter")));
    for (error, count) in dead_by_error(queue).await? {
        stage.say(&format!("   {count:>3} × {error}"));
    }

    crew.mend()?;
    let redriven = redrive(queue, &before).await?;
    stage.say(&format!("6. The receivers are mended: {} redriven.", many(redriven, "dead letter")));
    stage.until(|counts| counts.outstanding() + counts.dead == 0).await?;
    crew.dismiss().await;
    let summary = sum_up(queue, crew, &pushed, &before).await?;
    stage.say(&format!("7. Every id looked for: {} lost. The law {}.", summary.lost, summary.law));
    Ok(summary)
}

async fn push(queue: &Queue<Raw>, seed: u64) -> Result<Vec<MessageId>> {
    let mut lines: Vec<_> = webhook::ALL.lines().collect();
    fastrand::Rng::with_seed(seed).shuffle(&mut lines);
    let messages = lines.into_iter().map(|line| {
        Message::new(Raw::from(line))
            .content_type("application/json")
            .retry(Backoff::fixed(BACKOFF).max_attempts(MAX_ATTEMPTS))
    });
    let pushed = queue.push_all(messages).await?;
    Ok(pushed.into_iter().map(redeliver::Pushed::id).collect())
}

async fn dead_by_error(queue: &Queue<Raw>) -> Result<BTreeMap<String, u64>> {
    let mut groups = BTreeMap::new();
    let mut next = Some(0);
    while let Some(start) = next {
        let page = queue.dead().peek(start, STEP).await?;
        for message in page.messages {
            let last = message.history.into_iter().next();
            let error = last.map_or_else(|| "its lease ended".to_owned(), |failure| failure.error);
            *groups.entry(error).or_default() += 1;
        }
        next = page.next;
    }
    Ok(groups)
}

async fn redrive(queue: &Queue<Raw>, before: &Counts) -> Result<u64> {
    let mut redriven = 0;
    loop {
        let swept = queue.dead().redrive_oldest(STEP, before.now_ms).await?;
        redriven += swept.done;
        if swept.left == 0 {
            return Ok(redriven);
        }
    }
}

/// `before` was counted before the dead letters were redriven.
async fn sum_up(
    queue: &Queue<Raw>,
    crew: &Crew,
    pushed: &[MessageId],
    before: &Counts,
) -> Result<Summary> {
    let report = queue.check(|_| {}).await?;
    let logs = crew.logs();
    let succeeded: HashSet<_> = log::succeeded(&logs).collect();
    let unseen = pushed.iter().copied();
    let unseen: Vec<_> = unseen.filter(|id| !succeeded.contains(id.to_string().as_str())).collect();
    let found = queue.find(&unseen).await?;
    let counts = &report.counts;
    Ok(Summary {
        pushed: counts.pushed,
        acked: counts.acked,
        dead: before.dead,
        retried: counts.retried,
        reclaimed: counts.reclaimed,
        redriven: counts.redriven,
        lost: found.iter().filter(|message| message.is_none()).count() as u64,
        law: if report.is_clean() { "holds" } else { "broken" },
    })
}
