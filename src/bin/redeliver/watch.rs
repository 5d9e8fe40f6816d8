//! `--watch`: the same look again and again.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use tokio::time::{MissedTickBehavior, interval};

use crate::backoff;
use crate::exit_code::Exit;
use crate::output::Output;
use crate::signals::Signals;

/// More often than people can read; what a look costs the server stays bounded.
const SHORTEST: Duration = Duration::from_millis(100);

/// How often it is looked.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct WatchArgs {
    /// Looks again this often, until it is interrupted; a terminal is redrawn.
    #[arg(long = "watch", value_name = "DURATION", value_parser = interval_of)]
    pub(crate) every: Option<Duration>,
}

/// Reads a duration that is not too short to look that often.
pub(crate) fn interval_of(text: &str) -> Result<Duration, String> {
    let every = backoff::duration(text)?;
    let told = || format!("it takes {} ms at least", SHORTEST.as_millis());
    (every >= SHORTEST).then_some(every).ok_or_else(told)
}

/// Looks once, or until a signal comes, and ends as the last look says.
pub(crate) async fn repeat(
    every: Option<Duration>,
    out: Output,
    mut look: impl AsyncFnMut() -> Result<Exit>,
) -> Result<Exit> {
    let Some(every) = every else {
        return look().await;
    };
    let mut signals = Signals::catch()?;
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut exit = Exit::Ok;
    loop {
        tokio::select! {
            () = signals.next() => return Ok(exit),
            _ = ticks.tick() => {}
        }
        out.redraw()?;
        exit = look().await?;
    }
}
