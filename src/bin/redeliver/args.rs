//! The command line.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use redeliver::QueueName;

use crate::bench::BenchArgs;
use crate::check::CheckArgs;
use crate::dead::DeadCommand;
use crate::demo::DemoArgs;
use crate::demo::worker::DemoWorkerArgs;
use crate::doctor::DoctorArgs;
use crate::engine::EngineArgs;
use crate::exit_code;
use crate::output::Format;
use crate::peek::PeekArgs;
use crate::private::EngineChoice;
use crate::push::PushArgs;
use crate::queue::QueueCommand;
use crate::queues::{CancelArgs, DestroyArgs};
use crate::serve::ServeArgs;
use crate::work::WorkArgs;

/// Delayed, retried, at-least-once messages on Redis and Valkey.
///
/// A message that nobody acknowledged comes back.
#[derive(Parser)]
#[command(name = "redeliver", version, after_help = exit_code::HELP)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes. No `Debug`: the URL may hold a password.
#[derive(Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Uses this server instead of a private one.
    ///
    /// It takes `redis://[user:password@]host[:port][/db]` or `unix:///path`.
    #[arg(long, global = true, env = "REDELIVER_URL", hide_env_values = true)]
    url: Option<String>,
    /// What runs the queues where no URL is given.
    #[arg(long, global = true, value_enum, default_value_t, env = "REDELIVER_ENGINE")]
    pub(crate) engine: EngineChoice,
    /// Puts all keys under this prefix.
    #[arg(long, global = true, default_value = "rd")]
    pub(crate) prefix: String,
    /// Keeps the private server's data under this directory.
    #[arg(long, global = true, value_name = "DIR", env = "REDELIVER_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Writes in this format; a table on a terminal and ndjson into a pipe if not given.
    #[arg(short, long, global = true, value_enum, value_name = "FORMAT")]
    pub(crate) output: Option<Format>,
    /// Logs more to stderr; twice for even more. `RUST_LOG` has precedence.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Keeps notes such as the private server's line off stderr.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

impl Global {
    /// The server's URL; an empty one, as in `REDELIVER_URL= redeliver …`, is none.
    pub(crate) fn url(&self) -> Option<&str> {
        self.url.as_deref().filter(|url| !url.is_empty())
    }

    /// The same with the private server's data elsewhere.
    pub(crate) fn with_data_dir(&self, dir: &Path) -> Self {
        Self { data_dir: Some(dir.to_owned()), ..self.clone() }
    }
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Pushes one message, or one for each line.
    Push(PushArgs),
    /// Runs a shell command for each message.
    Work(WorkArgs),
    /// Runs pollers, which bring back what is due and drive on orphaned redrives, until it is
    /// interrupted.
    Poll(PollArgs),
    /// Runs pollers, and serves a page, health and metrics over HTTP, until it is interrupted.
    Serve(ServeArgs),
    /// Shows how much a queue holds and what ever happened to it; without a queue, all queues.
    Counts(CountsArgs),
    /// Shows messages without taking them.
    Peek(PeekArgs),
    /// Looks at dead letters, brings them back, or lets them go.
    #[command(subcommand)]
    Dead(DeadCommand),
    /// Sets what holds for a queue as a whole.
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Removes messages wherever they are.
    Cancel(CancelArgs),
    /// Proves that every message is in exactly one place, and mends what is damaged.
    ///
    /// Exits with 1 if something is damaged, or still is after a repair.
    Check(CheckArgs),
    /// Says whether the server is fit for queues, and the user for its role; exits with 1 if not.
    Doctor(DoctorArgs),
    /// Removes a queue with everything in it.
    Destroy(DestroyArgs),
    /// Stops handing out messages; pushes are still taken.
    #[command(after_help = "Example:\n  redeliver pause emails")]
    Pause(QueueArgs),
    /// Hands out messages again.
    #[command(after_help = "Example:\n  redeliver resume emails")]
    Resume(QueueArgs),
    /// Measures pushes, work, delays and retries, beside a floor.
    Bench(BenchArgs),
    /// Shows in a few seconds that nothing is lost when a worker is killed.
    Demo(DemoArgs),
    /// Runs the embedded engine as a process of its own, until it is interrupted.
    Engine(EngineArgs),
    /// Works for the demo.
    #[command(hide = true)]
    DemoWorker(DemoWorkerArgs),
}

/// A command on one queue.
#[derive(Debug, Args)]
pub(crate) struct QueueArgs {
    /// The queue's name.
    pub(crate) queue: QueueName,
}

/// `poll`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  redeliver poll emails orders")]
pub(crate) struct PollArgs {
    /// The queues' names.
    #[arg(required = true, value_name = "QUEUE")]
    pub(crate) queues: Vec<QueueName>,
}

/// `counts`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  redeliver counts\n  redeliver counts emails -o json")]
pub(crate) struct CountsArgs {
    /// The queue's name.
    pub(crate) queue: Option<QueueName>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
