//! The command line.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use redeliver::QueueName;

use crate::access::AccessArgs;
use crate::acl::AclArgs;
use crate::bench::BenchArgs;
use crate::check::CheckArgs;
use crate::config::{ConfigCommand, Origins};
use crate::dead::DeadCommand;
use crate::demo::DemoArgs;
use crate::demo::worker::DemoWorkerArgs;
use crate::doctor::DoctorArgs;
use crate::engine::EngineArgs;
use crate::events::EventsArgs;
use crate::exit_code;
use crate::manual::{CompletionsArgs, ManArgs};
use crate::msg::MsgCommand;
use crate::msg::cancel::{self, CancelArgs};
use crate::msg::list::PeekArgs;
use crate::output::Format;
use crate::private::EngineChoice;
use crate::push::PushArgs;
use crate::queue::QueueCommand;
use crate::queue::whole::DestroyArgs;
use crate::retention::RetentionArgs;
use crate::scripts::ScriptsCommand;
use crate::serve::ServeArgs;
use crate::stats::StatsArgs;
use crate::top;
use crate::watch::WatchArgs;
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
    /// It takes `redis://[user:password@]host[:port][/db]`, `unix:///path`,
    /// `redis+sentinel://host,host/service` or `redis+cluster://host,host`, and `rediss…` for TLS.
    #[arg(long, global = true, env = "REDELIVER_URL", hide_env_values = true)]
    pub(crate) url: Option<String>,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    /// What runs the queues where no URL is given.
    #[arg(long, global = true, value_enum, default_value_t, env = "REDELIVER_ENGINE")]
    pub(crate) engine: EngineChoice,
    /// Puts all keys under this prefix.
    #[arg(
        long,
        global = true,
        default_value = "rd",
        env = "REDELIVER_PREFIX",
        hide_env_values = true
    )]
    pub(crate) prefix: String,
    /// Keeps the private server's data under this directory.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "REDELIVER_DATA_DIR",
        hide_env_values = true
    )]
    pub(crate) data_dir: Option<PathBuf>,
    /// Writes in this format; a table on a terminal and ndjson into a pipe if not given.
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        value_name = "FORMAT",
        env = "REDELIVER_OUTPUT",
        hide_env_values = true
    )]
    pub(crate) output: Option<Format>,
    /// Logs more to stderr; twice for even more. `RUST_LOG` has precedence.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Keeps notes such as the private server's line off stderr.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Leaves colours out, as the variable `NO_COLOR` does.
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
    /// Reads defaults of these options from this file; see `redeliver config show --help`.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "REDELIVER_CONFIG",
        hide_env_values = true
    )]
    pub(crate) config: Option<PathBuf>,
    /// Where the values come from.
    #[arg(skip)]
    pub(crate) origins: Origins,
}

impl Global {
    /// The server's URL. Most often an empty one comes from a variable that somebody forgot to set: a
    /// private server would hide that.
    pub(crate) fn url(&self) -> anyhow::Result<Option<&str>> {
        if self.url.as_deref() == Some("") {
            let hint = "the URL is empty: name a server by --url, REDELIVER_URL or the configuration \
                        file, or leave all of them out for a private one";
            return Err(exit_code::fail(exit_code::Exit::Usage, hint));
        }
        Ok(self.url.as_deref())
    }

    /// Whether colours are unwanted.
    pub(crate) fn no_color(&self) -> bool {
        self.no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
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
    /// Runs pollers, which bring back what is due, trim dead letters and drive on orphaned redrives,
    /// until it is interrupted.
    Poll(PollArgs),
    /// Runs pollers, and serves a page, health and metrics over HTTP, until it is interrupted.
    Serve(ServeArgs),
    /// Shows how much a queue holds and what ever happened to it; without a queue, all queues.
    Counts(CountsArgs),
    /// Shows how fast queues go, and what is late.
    Stats(StatsArgs),
    /// Tells what changes in a queue, by its counters.
    Events(EventsArgs),
    /// Shows all queues live in a terminal; pauses them, and cancels and retries messages.
    #[command(after_help = top::HELP)]
    Top,
    /// Shows messages without taking them.
    Peek(PeekArgs),
    /// Lists, pauses, empties, removes and limits queues.
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Looks at messages, and moves them by hand.
    #[command(subcommand)]
    Msg(MsgCommand),
    /// Looks at dead letters, brings them back, or lets them go.
    #[command(subcommand)]
    Dead(DeadCommand),
    /// Removes messages: by id wherever they are, by filter or --all where they wait.
    #[command(after_help = cancel::EXAMPLES)]
    Cancel(CancelArgs),
    /// Proves that every message is in exactly one place, and mends what is damaged.
    ///
    /// Exits with 1 if something is damaged, or still is after a repair.
    Check(CheckArgs),
    /// Says whether the server is fit for queues, and the user for its role; exits with 1 if not.
    Doctor(DoctorArgs),
    /// Prints the `ACL SETUSER` line for a user of the server, by its role.
    Acl(AclArgs),
    /// Removes a queue with everything in it.
    #[command(after_help = "Example:\n  redeliver destroy emails --yes")]
    Destroy(DestroyArgs),
    /// Stops handing out messages; pushes are still taken.
    #[command(after_help = "Example:\n  redeliver pause emails")]
    Pause(QueueArgs),
    /// Hands out messages again.
    #[command(after_help = "Example:\n  redeliver resume emails")]
    Resume(QueueArgs),
    /// Shows the Lua scripts that run on the server.
    #[command(subcommand)]
    Scripts(ScriptsCommand),
    /// Shows how the global options are set.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Writes completions for a shell.
    Completions(CompletionsArgs),
    /// Writes man pages.
    Man(ManArgs),
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
#[command(after_help = "\
Examples:
  redeliver poll emails orders
  redeliver poll audited --dead-retention 90d --dead-max 0")]
pub(crate) struct PollArgs {
    /// The queues' names.
    #[arg(required = true, value_name = "QUEUE")]
    pub(crate) queues: Vec<QueueName>,
    #[command(flatten)]
    pub(crate) retention: RetentionArgs,
}

/// `counts`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  redeliver counts\n  redeliver counts emails --watch 1s")]
pub(crate) struct CountsArgs {
    /// The queue's name.
    pub(crate) queue: Option<QueueName>,
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// One snapshot for each command, with all commands below it.
    #[test]
    fn each_help_reads_as_it_was_reviewed() {
        let mut program = Cli::command();
        program.build();
        insta::assert_snapshot!("redeliver", program.render_long_help());
        for command in program.get_subcommands_mut().filter(|command| !command.is_hide_set()) {
            if command.get_name() != "help" {
                let name = command.get_name().to_owned();
                insta::assert_snapshot!(name, help_of(command));
            }
        }
    }

    /// Without the global options, which are the same everywhere.
    fn help_of(command: &mut clap::Command) -> String {
        let help = command.render_long_help().to_string();
        let own = help.split("Global options:").next().unwrap_or_default().trim_end();
        let end = command.get_after_help().map(|end| format!("\n\n{end}")).unwrap_or_default();
        let mut told = format!("{own}{end}\n");
        for inner in command.get_subcommands_mut().filter(|inner| inner.get_name() != "help") {
            let name = inner.get_name().to_owned();
            told = format!("{told}\n──────── {name}\n\n{}", help_of(inner));
        }
        told
    }
}
