//! What excuses a late delivery, a fault in force, more work than hands, or no processor to run on, and
//! what excuses more than that: another master, another clock.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The ending of the files that tell of troubles.
pub(crate) const TROUBLES: &str = "troubles";

/// A span of time, in ms of the host's clock, in which nothing is promised about time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Trouble {
    /// From the beginning of a fault until its effects were over.
    Fault { name: String, from: u64, until: u64 },
    /// Another server became the master, which may not have received what the old one confirmed then.
    Failover { from: u64, until: u64 },
    /// A server whose clock is so far ahead of the one before it, or behind, became the master.
    Step { from: u64, until: u64, ahead_ms: i64 },
    /// More was ready than all consumers together had room for.
    Busy { from: u64, until: u64 },
    /// Three processes that poll have died within the longest sleep of a poller: whoever watched the
    /// next deadline may be dead, and the others still asleep.
    Unwatched { from: u64, until: u64 },
    /// A thread was due at `from` and did not run before `until`.
    Starved { from: u64, until: u64 },
}

/// All troubles of a run.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    /// Faults: merged, in order.
    faults: Vec<Span>,
    /// Faults and times of too much work: merged, in order.
    hindrances: Vec<Span>,
    /// Times in which nobody may have watched a deadline: merged, in order.
    unwatched: Vec<Span>,
    /// Times whose writes may be undone: merged, in order.
    failovers: Vec<Span>,
    /// Times without a processor: merged, in order.
    starved: Vec<Span>,
    /// Times at which the clock went ahead with another master, and behind: merged, in order.
    ahead: Vec<Span>,
    behind: Vec<Span>,
}

type Span = (u64, u64);

impl Troubles {
    pub(crate) fn of(troubles: impl IntoIterator<Item = Trouble>) -> Self {
        let [
            mut faults,
            mut busy,
            mut unwatched,
            mut starved,
            mut failovers,
            mut ahead,
            mut behind,
        ] = [const { Vec::new() }; 7];
        for trouble in troubles {
            match trouble {
                Trouble::Fault { from, until, .. } => faults.push((from, until)),
                Trouble::Failover { from, until } => failovers.push((from, until)),
                Trouble::Step { from, until, ahead_ms: 1.. } => ahead.push((from, until)),
                Trouble::Step { from, until, .. } => behind.push((from, until)),
                Trouble::Busy { from, until } => busy.push((from, until)),
                Trouble::Unwatched { from, until } => unwatched.push((from, until)),
                Trouble::Starved { from, until } => starved.push((from, until)),
            }
        }
        busy.extend_from_slice(&faults);
        Self {
            faults: merged(faults),
            hindrances: merged(busy),
            unwatched: merged(unwatched),
            failovers: merged(failovers),
            starved: merged(starved),
            ahead: merged(ahead),
            behind: merged(behind),
        }
    }

    /// Reads what all processes of a run told. A line that was torn by its writer's death is passed
    /// over: it would excuse, so nothing is hidden without it.
    pub(crate) fn read(folder: &Path) -> io::Result<Self> {
        let mut troubles = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == TROUBLES) {
                let text = fs::read_to_string(path)?;
                troubles.extend(text.lines().filter_map(|it| serde_json::from_str(it).ok()));
            }
        }
        Ok(Self::of(troubles))
    }

    /// Whether a fault kept deliveries from coming in time within a span.
    pub(crate) fn disturb(&self, from: u64, until: u64) -> bool {
        let any = |spans| within(spans, from, until).next().is_some();
        any(&self.faults) || any(&self.unwatched)
    }

    /// Whether what happened then may have been undone by a failover.
    pub(crate) fn may_undo(&self, from: u64, until: u64) -> bool {
        within(&self.failovers, from, until + 1).next().is_some()
    }

    /// Whether the clock may have gone ahead in a span: what was to end after it may have ended at once.
    pub(crate) fn went_ahead(&self, from: u64, until: u64) -> bool {
        within(&self.ahead, from, until + 1).next().is_some()
    }

    /// Whether the clock may have gone behind in a span: what was to end then ends so much later.
    pub(crate) fn went_behind(&self, from: u64, until: u64) -> bool {
        within(&self.behind, from, until + 1).next().is_some()
    }

    /// For how much of a span some thread had no processor.
    pub(crate) fn starved_ms(&self, from: u64, until: u64) -> u64 {
        within(&self.starved, from, until).map(|(from, until)| until - from).sum()
    }

    /// The longest stretch of a span in which nothing excuses any delay.
    pub(crate) fn longest_calm_ms(&self, from: u64, until: u64) -> u64 {
        let (mut longest, mut calm_from) = (0, from);
        let end = std::iter::once((until, until));
        for (fault_from, fault_until) in within(&self.hindrances, from, until).chain(end) {
            let stretch = fault_from - calm_from;
            if stretch > longest {
                longest = longest.max(stretch - self.starved_ms(calm_from, fault_from));
            }
            calm_from = fault_until;
        }
        longest
    }
}

/// The parts of a span that such spans cover.
fn within(spans: &[Span], from: u64, until: u64) -> impl Iterator<Item = Span> {
    let first = spans.partition_point(|span| span.1 <= from);
    let later = spans[first..].iter().take_while(move |span| span.0 < until);
    later.map(move |span| (span.0.max(from), span.1.min(until)))
}

fn merged(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable();
    let mut merged: Vec<Span> = Vec::new();
    for (from, until) in spans.into_iter().filter(|(from, until)| from < until) {
        match merged.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(until),
            _ => merged.push((from, until)),
        }
    }
    merged
}
