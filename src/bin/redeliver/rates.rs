//! How fast a queue goes: what two looks at its counts tell.

use redeliver::Counts;
use serde::Serialize;

/// A queue at one moment, as far as plots and rates need it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) at_ms: u64,
    pub(crate) ready: u64,
    pub(crate) scheduled: u64,
    pub(crate) pending: u64,
    pub(crate) dead: u64,
    pub(crate) pushed: u64,
    pub(crate) acked: u64,
    pub(crate) retried: u64,
    pub(crate) died: u64,
    /// How far behind its time the latest redelivery was, or still is.
    pub(crate) late_ms: u64,
    /// How long ago the message at the head of ready was pushed.
    pub(crate) wait_ms: u64,
}

impl Sample {
    pub(crate) fn of(counts: &Counts, late_ms: u64) -> Self {
        let ago = |at_ms: Option<u64>| at_ms.map_or(0, |at_ms| counts.now_ms.saturating_sub(at_ms));
        let overdue_ms = ago(counts.next_due_ms).max(ago(counts.next_deadline_ms));
        Self {
            at_ms: counts.now_ms,
            ready: counts.ready,
            scheduled: counts.scheduled,
            pending: counts.pending,
            dead: counts.dead,
            pushed: counts.pushed,
            acked: counts.acked,
            retried: counts.retried,
            died: counts.died + counts.buried,
            late_ms: late_ms.max(overdue_ms),
            wait_ms: ago(counts.ready_head.map(redeliver::MessageId::pushed_ms)),
        }
    }
}

/// How fast things go, per second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Rates {
    pub(crate) pushed: f64,
    pub(crate) acked: f64,
    pub(crate) retried: f64,
    pub(crate) died: f64,
}

impl Rates {
    pub(crate) fn between(earlier: &Sample, later: &Sample) -> Self {
        let ms = later.at_ms.saturating_sub(earlier.at_ms).max(1);
        // A queue that was destroyed begins anew at 0.
        let rate = |from: u64, to: u64| {
            let per_second = to.saturating_sub(from).saturating_mul(10_000) / ms;
            f64::from(u32::try_from(per_second).unwrap_or(u32::MAX)) / 10.0
        };
        Self {
            pushed: rate(earlier.pushed, later.pushed),
            acked: rate(earlier.acked, later.acked),
            retried: rate(earlier.retried, later.retried),
            died: rate(earlier.died, later.died),
        }
    }
}
