//! What the audience sees: a line for each step, and live counts below on a terminal.

use std::time::Duration;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use redeliver::{Counts, Queue, Raw};
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use crate::exit_code::{Exit, fail};
use crate::output;

const LOOK_EVERY: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(60);

/// The narrator.
pub(super) struct Stage {
    queue: Queue<Raw>,
    bar: ProgressBar,
    _live: AbortOnDropHandle<()>,
}

impl Stage {
    pub(super) fn new(queue: Queue<Raw>) -> Self {
        // Hidden when stderr is no terminal.
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("   {spinner} {msg}") {
            bar.set_style(style);
        }
        let live = tokio::spawn(show(queue.clone(), bar.clone()));
        Self { queue, bar, _live: AbortOnDropHandle::new(live) }
    }

    pub(super) fn say(&self, text: &str) {
        self.bar.suspend(|| output::tell(text));
    }

    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// Waits for the queue to come to this.
    pub(super) async fn until(&self, reached: impl Fn(&Counts) -> bool) -> Result<()> {
        let given_up = Instant::now() + PATIENCE;
        while !reached(&self.queue.counts().await?) {
            if Instant::now() > given_up {
                return Err(fail(Exit::Failure, "the demo takes too long"));
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

async fn show(queue: Queue<Raw>, bar: ProgressBar) {
    while !bar.is_finished() && !bar.is_hidden() {
        if let Ok(counts) = queue.counts().await {
            let Counts { ready, scheduled, pending, dead, acked, .. } = counts;
            bar.set_message(format!(
                "{ready} ready, {scheduled} scheduled, {pending} pending, {dead} dead, {acked} acked"
            ));
            bar.tick();
        }
        sleep(LOOK_EVERY).await;
    }
}
