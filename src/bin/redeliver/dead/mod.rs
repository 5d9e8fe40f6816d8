//! `dead`: what was given up.

mod export;
mod import;
pub(crate) mod letter;
mod named;
mod purge;
mod redrive;

use anyhow::Result;
use clap::Subcommand;

use crate::args::Global;
use crate::exit_code::Exit;
use crate::msg::list::{self, DeadLsArgs};
use crate::msg::show::{self, ShowArgs};
use export::ExportArgs;
use import::ImportArgs;
use purge::PurgeArgs;
use redrive::RedriveArgs;

/// `dead`.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadCommand {
    /// Lists dead letters, oldest first.
    #[command(after_help = "Example:\n  redeliver dead ls emails --error timeout --limit 100")]
    Ls(DeadLsArgs),
    /// Shows everything about one message, with its history and payload.
    #[command(after_help = "Example:\n  redeliver dead show emails 01JD0Z3N9Q6V2G7T8K4M5R1XYZ")]
    Show(ShowArgs),
    /// Brings dead letters back to ready, with their failures forgotten.
    #[command(after_help = redrive::EXAMPLES)]
    Redrive(RedriveArgs),
    /// Removes dead letters for good.
    #[command(after_help = purge::EXAMPLES)]
    Purge(PurgeArgs),
    /// Writes dead letters to a file or stdout, one JSON object on each line.
    #[command(after_help = export::HELP)]
    Export(ExportArgs),
    /// Pushes exported dead letters back as messages, under their ids.
    #[command(after_help = import::HELP)]
    Import(ImportArgs),
}

pub(crate) async fn run(global: &Global, command: DeadCommand) -> Result<Exit> {
    match command {
        DeadCommand::Ls(args) => list::dead(global, &args).await,
        DeadCommand::Show(args) => show::run(global, &args).await,
        DeadCommand::Redrive(args) => redrive::run(global, &args).await,
        DeadCommand::Purge(args) => purge::run(global, &args).await,
        DeadCommand::Export(args) => export::run(global, &args).await,
        DeadCommand::Import(args) => import::run(global, &args).await,
    }
}
