//! `dead redrive`: bring dead letters back, as a task that survives its process.

use anyhow::Result;
use clap::Args;
use redeliver::{
    MessageId, Queue, QueueName, Raw, Redrive, RedriveFilter, RedrivePlan, RedriveState,
    RedriveTask,
};
use serde_json::{Value, json};

use super::named::Named;
use crate::args::Global;
use crate::bulk::{Words, tell_dry};
use crate::exit_code::{Exit, fail};
use crate::filter::FilterArgs;
use crate::output::{many, note, progress, relative, rfc3339};
use crate::server::Session;
use crate::signals::Signals;

/// How it is used, for the end of its help.
pub(crate) const EXAMPLES: &str = "\
Examples:
  redeliver dead redrive emails 01JD0Z3N9Q6V2G7T8K4M5R1XYZ
  redeliver dead redrive emails --all
  redeliver dead redrive emails --error timeout --dry-run
  redeliver dead redrive emails --error timeout --canary 10 --rate 500/s --max-failure-ratio 0.2
  redeliver dead redrive emails --status
  redeliver dead redrive emails --resume

A queue has one redrive at a time. Ctrl-C leaves it paused; --resume drives it on, from anywhere. When
its process dies, `redeliver poll` takes it over after 10 s.";

/// Which dead letters come back, and how.
#[derive(Debug, Args)]
pub(crate) struct RedriveArgs {
    /// The queue's name.
    queue: QueueName,
    /// The messages' ids; they come back at once.
    #[arg(value_name = "ID", conflicts_with_all = ["all", "filter", "pace", "control", "dry_run"])]
    ids: Vec<MessageId>,
    /// Takes every message that is dead when the command starts.
    #[arg(long, conflicts_with_all = ["filter", "control"])]
    all: bool,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    pace: PaceArgs,
    /// Says how many would come back, and does nothing.
    #[arg(long, conflicts_with = "control")]
    dry_run: bool,
    #[command(flatten)]
    control: ControlArgs,
}

/// How fast, and when to stop.
#[derive(Debug, Args)]
#[group(id = "pace", multiple = true)]
struct PaceArgs {
    /// Redrives so many first, and goes on when they have fared well.
    #[arg(long, value_name = "N", default_value_t = 0)]
    canary: u32,
    /// Redrives so many a second, as in 500/s; as fast as it can if not given.
    #[arg(long, value_parser = rate)]
    rate: Option<u32>,
    /// Stops when more than this part of the watched ones has died again.
    #[arg(long, value_name = "0..1")]
    max_failure_ratio: Option<f64>,
}

/// What is done with the task that there is.
#[derive(Debug, Clone, Copy, Args)]
#[expect(clippy::struct_excessive_bools, reason = "they are flags, and exclude each other")]
#[group(id = "control", multiple = false, conflicts_with_all = ["filter", "pace"])]
struct ControlArgs {
    /// Shows how the queue's redrive stands.
    #[arg(long)]
    status: bool,
    /// Pauses it.
    #[arg(long)]
    pause: bool,
    /// Drives it on: after a pause, a stop, or the death of its driver.
    #[arg(long)]
    resume: bool,
    /// Gives it up; what came back stays, the rest stays dead.
    #[arg(long)]
    cancel: bool,
}

/// The task, as it is told.
struct Told<'a> {
    queue: &'a QueueName,
    task: &'a RedriveTask,
    now_ms: u64,
}

impl Told<'_> {
    fn json(&self) -> Value {
        let Self { queue, task, .. } = self;
        json!({
            "queue": queue.as_str(), "task": task.id, "state": task.state, "reason": task.reason,
            "redriven": task.redriven, "left": task.left, "good": task.good,
            "failed": task.failed, "watched": task.watch.len(), "plan": task.plan,
            "before": rfc3339(task.before_ms), "started": rfc3339(task.started_ms),
            "driver": task.driver, "beat": rfc3339(task.beat_ms),
        })
    }

    fn text(&self) -> String {
        let task = self.task;
        let redriven = many(task.redriven, "dead letter");
        let mut told = vec![format!("{}: {redriven} redriven", task.state.as_str())];
        let (good, failed, open) = (task.good, task.failed, task.watch.len() as u64);
        if good + failed + open > 0 {
            let watched = format!("of those watched {good} done, {failed} dead again, {open} open");
            told.push(watched);
        }
        told.extend(task.reason.clone());
        if task.state.is_running() {
            let heard = relative(self.now_ms, task.beat_ms);
            told.push(format!("its driver was heard of {heard}"));
        }
        told.join("; ")
    }
}

pub(crate) async fn run(global: &Global, args: &RedriveArgs) -> Result<Exit> {
    let control = args.control;
    let filter = args.filter.filter();
    let steers = control.status || control.pause || control.resume || control.cancel;
    let selects = args.all || filter != RedriveFilter::default();
    if args.ids.is_empty() && !selects && !steers {
        let hint =
            "refused: name the ids of dead letters, filter them, or take every one with --all";
        return Err(fail(Exit::Refused, hint));
    }
    let session = Session::open(global).await?;
    let queue = session.queue(&args.queue)?;
    if steers {
        return steer(&session, &queue, control).await;
    }
    if !args.ids.is_empty() {
        return these(&session, &queue, &args.ids).await;
    }
    if args.dry_run {
        let matching = queue.dead().count_matching(&filter).await?;
        let words = Words { done: "redriven", noun: "dead letter" };
        return tell_dry(&session, &args.queue, words, matching);
    }
    let PaceArgs { canary, rate, max_failure_ratio } = args.pace;
    let rate = rate.unwrap_or(0);
    let plan = RedrivePlan { filter, canary, rate, max_failure_ratio, ..RedrivePlan::default() };
    let signals = Signals::catch()?;
    drive(&session, &queue, queue.dead().start_redrive(plan).await?, signals).await
}

async fn these(session: &Session, queue: &Queue<Raw>, ids: &[MessageId]) -> Result<Exit> {
    let named = Named::of(queue, ids).await?;
    let redriven = queue.dead().redrive(&named.ids).await?;
    let json = json!({"queue": queue.name().as_str(), "redriven": redriven});
    session.out.one(&json, || format!("{} redriven", many(redriven, "dead letter")))?;
    Ok(named.tell(redriven))
}

async fn steer(session: &Session, queue: &Queue<Raw>, control: ControlArgs) -> Result<Exit> {
    let dead = queue.dead();
    if control.resume {
        let signals = Signals::catch()?;
        return drive(session, queue, dead.resume_redrive().await?, signals).await;
    }
    let task = if control.pause {
        dead.pause_redrive().await?
    } else if control.cancel {
        dead.cancel_redrive().await?
    } else if let Some(task) = dead.redrive_task().await? {
        task
    } else {
        return Err(fail(Exit::NotFound, format!("{} has no redrive", queue.name())));
    };
    tell(session, queue, &task).await?;
    Ok(Exit::Ok)
}

async fn tell(session: &Session, queue: &Queue<Raw>, task: &RedriveTask) -> Result<()> {
    let now_ms = queue.counts().await?.now_ms;
    let told = Told { queue: queue.name(), task, now_ms };
    Ok(session.out.one(&told.json(), || told.text())?)
}

/// Drives a redrive to its end, or until Ctrl-C.
async fn drive(
    session: &Session,
    queue: &Queue<Raw>,
    redrive: Redrive,
    mut signals: Signals,
) -> Result<Exit> {
    let bar = progress("redriven");
    let ours = redrive.task().driver.clone();
    let ended = redrive.run(signals.next(), |task| {
        bar.set_length(task.redriven + task.left);
        bar.set_position(task.redriven);
    });
    let ended = ended.await;
    bar.finish_and_clear();
    let resume = format!("redeliver dead redrive {} --resume", queue.name());
    let task = match ended {
        Ok(task) => task,
        Err(error) => {
            note(&format!("the redrive goes on with: {resume}"));
            return Err(error.into());
        }
    };
    match task.state {
        RedriveState::Paused => note(&format!("paused, the rest stays dead; go on with: {resume}")),
        RedriveState::Stopped => note(&format!("it stopped itself; go on with: {resume}")),
        state if state.is_running() && task.driver != ours => note("another process drives it now"),
        _ => {}
    }
    tell(session, queue, &task).await?;
    Ok(if task.state == RedriveState::Stopped { Exit::Failure } else { Exit::Ok })
}

fn rate(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix("/s").unwrap_or(text).parse::<u32>().ok();
    number
        .filter(|rate| *rate > 0)
        .ok_or_else(|| "it takes messages a second, as in 500/s".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_messages_a_second() {
        assert_eq!((rate("500/s"), rate("1")), (Ok(500), Ok(1)));
        for wrong in ["0", "0/s", "-1", "5/min", "", "/s", "1.5"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
