//! `queue`: a queue as a whole.

pub(crate) mod set;
mod show;
pub(crate) mod whole;

use anyhow::Result;
use clap::Subcommand;

use crate::args::{CountsArgs, Global, QueueArgs};
use crate::counts;
use crate::exit_code::Exit;
use crate::msg::cancel::{self, PurgeArgs};
use crate::watch::WatchArgs;
use set::SetArgs;
use whole::DestroyArgs;

/// `queue`.
#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    /// Lists all queues with their counts.
    #[command(after_help = "Example:\n  redeliver queue ls --watch 1s")]
    Ls(WatchArgs),
    /// Shows what a queue holds, what ever happened to it, and what falls due next.
    #[command(after_help = "Example:\n  redeliver queue show emails -o json")]
    Show(QueueArgs),
    /// Stops handing out messages; pushes are still taken.
    #[command(after_help = "Example:\n  redeliver queue pause emails")]
    Pause(QueueArgs),
    /// Hands out messages again.
    #[command(after_help = "Example:\n  redeliver queue resume emails")]
    Resume(QueueArgs),
    /// Removes messages and keeps the queue: waiting ones, or those of one state.
    #[command(after_help = cancel::PURGE_EXAMPLES)]
    Purge(PurgeArgs),
    /// Removes a queue with everything in it.
    #[command(after_help = "Example:\n  redeliver queue rm emails --yes")]
    Rm(DestroyArgs),
    /// Sets the caps from which on pushes are refused, 0 lifting one, and the number of partitions.
    #[command(after_help = set::EXAMPLES)]
    Set(SetArgs),
}

pub(crate) async fn run(global: &Global, command: QueueCommand) -> Result<Exit> {
    match command {
        QueueCommand::Ls(watch) => counts::run(global, &CountsArgs { queue: None, watch }).await,
        QueueCommand::Show(args) => show::run(global, &args).await,
        QueueCommand::Pause(args) => whole::pause(global, &args).await,
        QueueCommand::Resume(args) => whole::resume(global, &args).await,
        QueueCommand::Purge(args) => cancel::purge(global, &args).await,
        QueueCommand::Rm(args) => whole::destroy(global, &args).await,
        QueueCommand::Set(args) => set::run(global, &args).await,
    }
}
