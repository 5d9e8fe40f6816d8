//! `msg`: messages one by one, or many by what they have in common.

pub(crate) mod cancel;
pub(crate) mod due;
mod held;
pub(crate) mod list;
pub(crate) mod show;

use anyhow::Result;
use clap::Subcommand;

use crate::args::Global;
use crate::exit_code::Exit;
use cancel::CancelArgs;
use due::{RescheduleArgs, RetryArgs};
use held::{KillArgs, ReleaseArgs};
use list::LsArgs;
use show::ShowArgs;

/// `msg`.
#[derive(Debug, Subcommand)]
pub(crate) enum MsgCommand {
    /// Lists messages without taking them.
    #[command(after_help = list::EXAMPLES)]
    Ls(LsArgs),
    /// Shows everything about one message, with its history and payload.
    #[command(after_help = "Example:\n  redeliver msg show emails 01JD0Z3N9Q6V2G7T8K4M5R1XYZ")]
    Show(ShowArgs),
    /// Removes messages: by id wherever they are, by filter or --all where they wait.
    ///
    /// The answer of a message's holder is lost then.
    #[command(after_help = cancel::EXAMPLES)]
    Cancel(CancelArgs),
    /// Gives waiting messages another due time.
    #[command(after_help = due::EXAMPLES)]
    Reschedule(RescheduleArgs),
    /// Makes messages due now: scheduled ones, and dead letters with their failures forgotten.
    #[command(after_help = "Example:\n  redeliver msg retry emails 01JD0Z3N9Q6V2G7T8K4M5R1XYZ")]
    Retry(RetryArgs),
    /// Takes a message from a holder that is gone, and gives it back without a failure.
    #[command(after_help = held::RELEASE_HELP)]
    Release(ReleaseArgs),
    /// Takes a message from its holder, and makes a dead letter of it.
    #[command(after_help = held::KILL_HELP)]
    Kill(KillArgs),
}

pub(crate) async fn run(global: &Global, command: MsgCommand) -> Result<Exit> {
    match command {
        MsgCommand::Ls(args) => list::run(global, &args).await,
        MsgCommand::Show(args) => show::run(global, &args).await,
        MsgCommand::Cancel(args) => cancel::run(global, &args).await,
        MsgCommand::Reschedule(args) => due::reschedule(global, &args).await,
        MsgCommand::Retry(args) => due::retry(global, &args).await,
        MsgCommand::Release(args) => held::release(global, &args).await,
        MsgCommand::Kill(args) => held::kill(global, &args).await,
    }
}
