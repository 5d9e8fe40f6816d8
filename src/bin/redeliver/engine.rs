//! `engine`: the embedded engine as a process of its own, started as a server would be.

use std::io::Write as _;

use anyhow::Result;
use clap::Args;
use redeliver::embedded::{Engine, Options};

use crate::exit_code::{Exit, fail};
use crate::signals::Signals;

/// What is said of the engine wherever it starts.
pub(crate) const NOT_FOR_PRODUCTION: &str =
    "for a first look and for tests: production means Redis or Valkey";

/// `engine`.
#[derive(Debug, Args)]
#[command(after_help = "\
It knows --unixsocket, --unixsocketperm, --port, --dir, --appendonly, --appendfsync, --maxmemory, and
answers just the commands that queues need. In production use Redis or Valkey.

Example:
  redeliver engine --unixsocket /tmp/s --dir /tmp --appendonly yes")]
pub(crate) struct EngineArgs {
    /// Settings, in the form that redis-server and valkey-server take them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "SETTING")]
    settings: Vec<String>,
}

pub(crate) async fn run(args: &EngineArgs) -> Result<Exit> {
    if args.settings == ["--version"] {
        writeln!(std::io::stdout(), "redeliver engine v={}", env!("CARGO_PKG_VERSION"))?;
        return Ok(Exit::Ok);
    }
    let mut signals = Signals::catch()?;
    let options = Options::from_args(&args.settings)?;
    let engine = Engine::start(options)
        .map_err(|error| fail(Exit::Unreachable, format!("the engine does not start: {error}")))?;
    // Nobody has to read it.
    writeln!(std::io::stderr(), "redeliver: the embedded engine is ready; {NOT_FOR_PRODUCTION}")
        .ok();
    tokio::select! {
        () = signals.next() => {}
        () = engine.ended() => {}
    }
    engine.stop().await;
    Ok(Exit::Ok)
}
