//! The one loop of every agent: a bounded pass, then a wait that the pass itself has named.

use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::error::Result;
use crate::fault::{is_news, pause};
use crate::name::QueueName;
use crate::simulated;

/// The runtime's timer rounds to 1 ms; the last stretch of a wait is slept by a thread.
const LAST_STRETCH: Duration = Duration::from_millis(2);
/// By how much that timer is late at most, on an idle machine.
const ROUNDING: Duration = Duration::from_millis(1);

/// When to come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Now,
    After(Duration),
}

/// Something that has to be looked after, time and again.
pub(crate) trait Sweep: Send {
    const NAME: &'static str;
    fn queue(&self) -> &QueueName;
    /// One bounded pass.
    fn pass(&mut self) -> impl Future<Output = Result<Next>> + Send;
    /// Returns when there is a reason to come earlier. A lost hint costs time, nothing else.
    fn hint(&mut self) -> impl Future<Output = ()> + Send;
}

/// Sweeps until told to stop. No error ends it.
pub(crate) async fn run<S: Sweep>(mut sweep: S, stop: CancellationToken) {
    let mut failures = 0;
    loop {
        let wait = match stop.run_until_cancelled(sweep.pass()).await {
            None => return,
            Some(Ok(Next::Now)) => Duration::ZERO,
            Some(Ok(Next::After(wait))) => {
                failures = 0;
                wait
            }
            Some(Err(error)) => {
                if is_news(failures) {
                    let queue = sweep.queue();
                    tracing::warn!(%queue, sweep = S::NAME, %error, failures, "pass failed");
                }
                failures = failures.saturating_add(1);
                pause(failures)
            }
        };
        if wait.is_zero() {
            failures = 0;
            continue;
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = sweep.hint() => {}
            () = exactly(wait) => {}
        }
    }
}

/// Sleeps without the runtime's rounding.
pub(crate) async fn exactly(wait: Duration) {
    if simulated::is_on() {
        return tokio::time::sleep(wait).await;
    }
    let end = std::time::Instant::now() + wait;
    if let Some(coarse) = wait.checked_sub(LAST_STRETCH) {
        tokio::time::sleep(coarse).await;
    }
    let rest = end.saturating_duration_since(std::time::Instant::now());
    if !rest.is_zero() {
        // Others may have taken all threads.
        tokio::select! {
            _ = spawn_blocking(move || std::thread::sleep(rest)) => {}
            () = tokio::time::sleep(rest + ROUNDING) => {}
        }
    }
}
