//! `work`: a shell command for each message.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use redeliver::{Context, Outcome, Policy, Queue, QueueName, Raw, Worker};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::args::Global;
use crate::backoff::duration;
use crate::exec::Exec;
use crate::exit_code::{Exit, fail};
use crate::output::{many, note};
use crate::retention::RetentionArgs;
use crate::server::Session;
use crate::signals::Signals;

const LOOK_EVERY: Duration = Duration::from_millis(200);

/// `work`.
#[derive(Debug, Args)]
#[command(after_help = "\
The payload is the command's stdin. REDELIVER_ID, REDELIVER_ATTEMPT, REDELIVER_MAX_ATTEMPTS and
REDELIVER_QUEUE are in its environment. Its exit status decides:
  0          The message is done.
  75         Not now: it comes back after --release-delay without spending a failure.
  65         Hopeless: it goes to the dead letters at once.
  otherwise  It failed, also by a signal: it comes back after its backoff, or dies when its
             failures are spent. The end of stderr is kept in its history.

Ctrl-C or SIGTERM lets running commands finish within --grace; a second one stops at once.

Examples:
  redeliver work emails --exec ./send-mail -c 8
  redeliver work hooks --exec 'curl -sf --data-binary @- https://example.org/hook' --until-empty")]
pub(crate) struct WorkArgs {
    /// The queue's name.
    queue: QueueName,
    /// Runs this with `sh -c` for each message.
    #[arg(long, value_name = "COMMAND")]
    exec: String,
    /// Runs this many at a time; as many as there are processors if not given.
    #[arg(short, long, value_name = "N")]
    concurrency: Option<usize>,
    /// Brings the messages of a dead worker back after this time; extended while a command runs.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    lease: Duration,
    /// Waits this long after exit status 75.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    release_delay: Duration,
    /// Lets running commands go on for this long at the end.
    #[arg(long, value_name = "DURATION", default_value = "25s", value_parser = duration)]
    grace: Duration,
    /// Leaves redelivery to pollers elsewhere.
    #[arg(long)]
    no_poller: bool,
    #[command(flatten)]
    retention: RetentionArgs,
    /// Ends when nothing is ready, scheduled or pending.
    #[arg(long)]
    until_empty: bool,
    /// Passes the commands' stdout through.
    #[arg(long)]
    show_output: bool,
}

pub(crate) async fn run(global: &Global, args: WorkArgs) -> Result<Exit> {
    let session = Session::open(global).await?;
    let mut signals = Signals::catch()?;
    let policy = args.retention.hold_for(Policy::default().lease(args.lease));
    let queue = session.queue_under(&args.queue, policy)?;
    let answers = Arc::new(Answers::default());
    let worker = worker(queue.clone(), &args, &answers)?;

    let stop = CancellationToken::new();
    let asked_twice = async {
        signals.next().await;
        stop.cancel();
        note("finishing what is in hand; once more stops at once");
        signals.next().await;
    };
    let emptied = async {
        if args.until_empty {
            until_empty(&queue).await?;
            stop.cancel();
        }
        std::future::pending::<Result<()>>().await
    };
    let ended = tokio::select! {
        () = asked_twice => {
            let message = "stopped at once; what was in hand comes back when its lease ends";
            Err(fail(Exit::Failure, message))
        }
        failed = emptied => failed,
        done = worker.run(stop.cancelled()) => done.map_err(Into::into),
    };
    if !global.quiet {
        note(&answers.to_string());
    }
    ended.map(|()| Exit::Ok)
}

fn worker(
    queue: Queue<Raw>,
    args: &WorkArgs,
    answers: &Arc<Answers>,
) -> Result<Worker<Raw, impl redeliver::Handler<Raw> + use<>>> {
    let exec = Arc::new(Exec {
        command: args.exec.clone(),
        queue: args.queue.clone(),
        release_delay: args.release_delay,
        show_output: args.show_output,
    });
    let answers = Arc::clone(answers);
    let handler = move |payload: Raw, context: Context| {
        let (exec, answers) = (Arc::clone(&exec), Arc::clone(&answers));
        async move {
            let outcome = exec.run(payload.0, &context).await;
            if !context.is_lost() {
                answers.note(&outcome);
            }
            outcome
        }
    };
    let concurrency = match args.concurrency {
        Some(concurrency) => concurrency,
        None => available_parallelism()?.get(),
    };
    let worker =
        Worker::new(queue, handler).concurrency(concurrency).lease(args.lease).grace(args.grace);
    Ok(if args.no_poller { worker.without_poller() } else { worker })
}

/// Looks until nothing is left that some worker has still to see.
pub(crate) async fn until_empty(queue: &Queue<Raw>) -> Result<()> {
    loop {
        match queue.counts().await {
            Ok(counts) if counts.outstanding() == 0 => return Ok(()),
            Ok(_) => {}
            Err(error) if error.is_transient() => {}
            Err(error) => return Err(error.into()),
        }
        sleep(LOOK_EVERY).await;
    }
}

/// What the commands answered.
#[derive(Debug, Default)]
struct Answers {
    acks: AtomicU64,
    retries: AtomicU64,
    releases: AtomicU64,
    burials: AtomicU64,
}

impl Answers {
    fn note(&self, outcome: &Outcome) {
        let counter = match outcome {
            Outcome::Ack => &self.acks,
            Outcome::Bury { .. } => &self.burials,
            Outcome::Release { .. } => &self.releases,
            _ => &self.retries,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl std::fmt::Display for Answers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [acks, retries, releases, burials] =
            [&self.acks, &self.retries, &self.releases, &self.burials]
                .map(|counter| counter.load(Ordering::Relaxed));
        let attempts = many(acks + retries + releases + burials, "attempt");
        write!(
            f,
            "{attempts}: {acks} succeeded, {retries} failed, {releases} released, {burials} hopeless"
        )
    }
}
