//! Which messages a command is about.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use redeliver::{MessageId, Queue, Raw, RedriveFilter, Snapshot, State};

use crate::backoff;
use crate::output::progress;
use crate::signals::Signals;
use crate::walk::Walk;

/// Messages have to meet all of these.
#[derive(Debug, Clone, Args)]
#[group(id = "filter", multiple = true)]
pub(crate) struct FilterArgs {
    /// Takes those whose last error contains this text.
    #[arg(long, value_name = "TEXT", help_heading = "Filters")]
    error: Option<String>,
    /// Takes those whose last error is this up to its first colon.
    #[arg(long, value_name = "CLASS", help_heading = "Filters")]
    class: Option<String>,
    /// Takes those whose last error is of this group, as the page shows it: words with digits are #.
    #[arg(long, value_name = "GROUP", help_heading = "Filters")]
    group: Option<String>,
    /// Takes those of this kind.
    #[arg(long, help_heading = "Filters")]
    kind: Option<String>,
    /// Takes those that are older: dead letters by their death, others by their push.
    #[arg(long, value_name = "DURATION", value_parser = backoff::duration, help_heading = "Filters")]
    older_than: Option<Duration>,
    /// Takes those that were delivered at least so often.
    #[arg(long, value_name = "N", help_heading = "Filters")]
    min_attempts: Option<u64>,
    /// Takes those that were delivered at most so often.
    #[arg(long, value_name = "N", help_heading = "Filters")]
    max_attempts: Option<u64>,
}

impl FilterArgs {
    /// The same for the library, which reads the age of dead letters only.
    pub(crate) fn filter(&self) -> RedriveFilter {
        RedriveFilter {
            error: self.error.clone(),
            class: self.class.clone(),
            group: self.group.clone(),
            kind: self.kind.clone(),
            min_attempts: self.min_attempts,
            max_attempts: self.max_attempts,
            older_than: self.older_than,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.filter() == RedriveFilter::default()
    }

    /// The filter as it reads ages at this time.
    pub(crate) fn at(&self, now_ms: u64) -> Filter {
        let millis = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        Filter { now_ms, age_ms: self.older_than.map(millis), by: self.filter() }
    }

    /// The ids of all that match, unless a signal comes first.
    pub(crate) async fn ids(
        &self,
        queue: &Queue<Raw>,
        state: State,
        signals: &mut Signals,
    ) -> Result<Option<Vec<MessageId>>> {
        let filter = self.at(queue.counts().await?.now_ms);
        let bar = progress("messages looked at");
        let (mut walk, mut ids) = (Walk::new(queue, state), Vec::new());
        let mut interrupted = false;
        while let Some(messages) = walk.page().await?.filter(|_| !interrupted) {
            bar.inc(messages.len() as u64);
            let taken = messages.iter().filter(|message| filter.takes(message));
            ids.extend(taken.map(|message| message.id));
            interrupted = signals.came();
        }
        bar.finish_and_clear();
        Ok((!interrupted).then_some(ids))
    }
}

/// A filter and the server's time.
#[derive(Debug)]
pub(crate) struct Filter {
    now_ms: u64,
    age_ms: Option<u64>,
    by: RedriveFilter,
}

impl Filter {
    pub(crate) fn now_ms(&self) -> u64 {
        self.now_ms
    }

    pub(crate) fn takes_all(&self) -> bool {
        self.by == RedriveFilter::default()
    }

    pub(crate) fn takes(&self, message: &Snapshot) -> bool {
        let dead_ms = message.at_ms.filter(|_| message.state == State::Dead);
        let since_ms = dead_ms.unwrap_or_else(|| message.id.pushed_ms());
        let is_old = |age_ms: u64| since_ms.saturating_add(age_ms) <= self.now_ms;
        self.by.matches(message) && self.age_ms.is_none_or(is_old)
    }
}
