//! The `redeliver` program: push, work, look and mend from the command line.

mod access;
mod acl;
mod args;
mod backoff;
mod bench;
mod bulk;
mod check;
mod config;
mod counts;
mod dead;
mod demo;
mod doctor;
mod engine;
mod events;
mod exec;
mod exit_code;
mod filter;
#[cfg(test)]
mod fuzz;
mod lines;
mod manual;
mod masked;
mod message;
mod msg;
mod output;
mod poll;
mod private;
mod push;
mod queue;
mod rates;
mod retention;
mod scripts;
mod serve;
mod server;
mod signals;
mod stats;
mod top;
mod walk;
mod watch;
mod work;

use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, FromArgMatches as _};

use crate::args::{Cli, Command};
use crate::exit_code::Exit;

/// A blocked read of stdin must not keep the program from ending.
const LEAVE_WITHIN: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let parsed = Cli::command().try_get_matches().and_then(|matches| {
        let cli = Cli::from_arg_matches(&matches)?;
        Ok((cli, matches))
    });
    let (mut cli, matches) = match parsed {
        Ok(parsed) => parsed,
        Err(usage) => {
            // Help and usage errors; a closed pipe is nobody's failure.
            let _closed = usage.print();
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
        }
    };
    if let Err(error) = config::complete(&mut cli.global, &matches) {
        output::complain(&error);
        return exit_code::of(&error).into();
    }
    // A log would be drawn over.
    if !matches!(cli.command, Command::Top) {
        output::trace(cli.global.verbose, !cli.global.no_color());
    }
    let ended = tokio::runtime::Runtime::new().map_err(anyhow::Error::from).and_then(|runtime| {
        let ended = runtime.block_on(run(cli));
        runtime.shutdown_timeout(LEAVE_WITHIN);
        ended
    });
    match ended {
        Ok(exit) => exit.into(),
        Err(error) if exit_code::is_closed_pipe(&error) => Exit::Ok.into(),
        Err(error) => {
            output::complain(&error);
            exit_code::of(&error).into()
        }
    }
}

#[expect(clippy::cognitive_complexity, reason = "one arm for each command")]
async fn run(cli: Cli) -> anyhow::Result<Exit> {
    let global = &cli.global;
    match cli.command {
        Command::Push(args) => push::run(global, args).await,
        Command::Work(args) => work::run(global, args).await,
        Command::Poll(args) => poll::run(global, &args).await,
        Command::Serve(args) => serve::run(global, args).await,
        Command::Counts(args) => counts::run(global, &args).await,
        Command::Stats(args) => stats::run(global, &args).await,
        Command::Events(args) => events::run(global, &args).await,
        Command::Top => top::run(global).await,
        Command::Scripts(command) => scripts::run(global, &command).await,
        Command::Config(command) => config::run(global, &command),
        Command::Completions(args) => manual::completions(&args),
        Command::Man(args) => manual::man(&args),
        Command::Peek(args) => msg::list::peek(global, &args).await,
        Command::Msg(command) => msg::run(global, command).await,
        Command::Dead(command) => dead::run(global, command).await,
        Command::Queue(command) => queue::run(global, command).await,
        Command::Cancel(args) => msg::cancel::run(global, &args).await,
        Command::Check(args) => check::run(global, &args).await,
        Command::Acl(args) => acl::run(global, args),
        Command::Doctor(args) => doctor::run(global, &args).await,
        Command::Destroy(args) => queue::whole::destroy(global, &args).await,
        Command::Pause(args) => queue::whole::pause(global, &args).await,
        Command::Resume(args) => queue::whole::resume(global, &args).await,
        Command::Bench(args) => bench::run(global, &args).await,
        Command::Demo(args) => demo::run(global, &args).await,
        Command::Engine(args) => engine::run(&args).await,
        Command::DemoWorker(args) => demo::worker::run(global, args).await,
    }
}
