//! The `redeliver` program: push, work, look and mend from the command line.

mod args;
mod backoff;
mod bench;
mod check;
mod counts;
mod dead;
mod demo;
mod doctor;
mod engine;
mod exec;
mod exit_code;
#[cfg(test)]
mod fuzz;
mod message;
mod output;
mod peek;
mod poll;
mod private;
mod push;
mod queue;
mod queues;
mod redrive;
mod serve;
mod server;
mod signals;
mod work;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;

use crate::args::{Cli, Command};
use crate::exit_code::Exit;

/// A blocked read of stdin must not keep the program from ending.
const LEAVE_WITHIN: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => {
            // Help and usage errors; a closed pipe is nobody's failure.
            let _closed = usage.print();
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
        }
    };
    output::trace(cli.global.verbose);
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
        Command::Peek(args) => peek::run(global, &args).await,
        Command::Dead(command) => dead::run(global, command).await,
        Command::Queue(command) => queue::run(global, command).await,
        Command::Cancel(args) => queues::cancel(global, &args).await,
        Command::Check(args) => check::run(global, &args).await,
        Command::Doctor(args) => doctor::run(global, &args).await,
        Command::Destroy(args) => queues::destroy(global, &args).await,
        Command::Pause(args) => queues::pause(global, &args).await,
        Command::Resume(args) => queues::resume(global, &args).await,
        Command::Bench(args) => bench::run(global, &args).await,
        Command::Demo(args) => demo::run(global, &args).await,
        Command::Engine(args) => engine::run(&args).await,
        Command::DemoWorker(args) => demo::worker::run(global, args).await,
    }
}
