//! Says loudly when something is due and nothing moves.

use std::time::{Duration, Instant};

use redeliver::{Counts, MessageId};

use crate::output::many;

/// What changes in a lane when anything moves there.
type Mark = (Option<MessageId>, [u64; 4]);

/// One way in which a queue can stand still.
#[derive(Debug, Default)]
struct Lane {
    mark: Mark,
    /// Since when something has been due without any change of the mark.
    since: Option<Instant>,
}

impl Lane {
    /// How long something has been due here while nothing moved.
    fn look(&mut self, due: bool, mark: Mark, now: Instant) -> Duration {
        let moved = std::mem::replace(&mut self.mark, mark) != mark;
        self.since = if due { Some(self.since.filter(|_| !moved).unwrap_or(now)) } else { None };
        self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}

/// Looks at one queue, time and again.
#[derive(Debug, Default)]
pub(super) struct Watchdog {
    scheduled: Lane,
    pending: Lane,
    ready: Lane,
}

impl Watchdog {
    /// What stands still for longer than `after`, in words.
    pub(super) fn look(
        &mut self,
        counts: &Counts,
        now: Instant,
        after: Duration,
    ) -> Option<String> {
        let is_past = |at_ms: Option<u64>| at_ms.is_some_and(|at_ms| at_ms <= counts.now_ms);
        let due = is_past(counts.next_due_ms);
        let mark = (None, [counts.promoted, counts.next_due_ms.unwrap_or(0), 0, 0]);
        let scheduled = self.scheduled.look(due, mark, now);

        let overdue = is_past(counts.next_deadline_ms);
        let deadline_ms = counts.next_deadline_ms.unwrap_or(0);
        let mark = (None, [counts.reclaimed, counts.died, deadline_ms, 0]);
        let pending = self.pending.look(overdue, mark, now);

        // While somebody holds a lease that lives, workers may just be busy.
        let is_held = counts.pending > 0 && !overdue;
        let waits = counts.ready > 0 && !counts.paused && !is_held;
        let settled = counts.acked + counts.retried + counts.released + counts.buried;
        let mark = (counts.ready_head, [settled, counts.pending, counts.promoted, 0]);
        let ready = self.ready.look(waits, mark, now);

        let told = |still: Duration, what: String| {
            (still >= after).then(|| format!("{what} for {} s", still.as_secs()))
        };
        told(scheduled, "a message is due and no poller has moved it".into())
            .or_else(|| told(pending, "a lease has ended and no poller has acted on it".into()))
            .or_else(|| {
                let messages = many(counts.ready, "message");
                told(ready, format!("{messages} ready and no worker has taken one"))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_secs(30);

    fn counts(change: impl FnOnce(&mut Counts)) -> Counts {
        let mut counts = Counts::default();
        counts.now_ms = 1_000_000;
        change(&mut counts);
        counts
    }

    /// What the watchdog says when it sees the same picture again after half a minute.
    fn after_a_while(counts: &Counts) -> Option<String> {
        let (mut dog, start) = (Watchdog::default(), Instant::now());
        assert_eq!(dog.look(counts, start, AFTER), None);
        dog.look(counts, start + AFTER, AFTER)
    }

    #[test]
    fn what_is_due_and_does_not_move_is_told() {
        let due = counts(|counts| counts.next_due_ms = Some(999_999));
        assert!(after_a_while(&due).unwrap().contains("no poller has moved it"));
        let overdue = counts(|counts| {
            (counts.pending, counts.next_deadline_ms) = (1, Some(999_999));
        });
        assert!(after_a_while(&overdue).unwrap().contains("lease has ended"));
        let ready = counts(|counts| counts.ready = 3);
        assert!(after_a_while(&ready).unwrap().contains("3 messages ready"));
    }

    #[test]
    fn what_is_not_due_is_not_told() {
        let future = counts(|counts| counts.next_due_ms = Some(1_000_001));
        assert_eq!(after_a_while(&future), None);
        let paused = counts(|counts| (counts.ready, counts.paused) = (3, true));
        assert_eq!(after_a_while(&paused), None);
        let busy = counts(|counts| {
            (counts.ready, counts.pending, counts.next_deadline_ms) = (3, 1, Some(1_000_001));
        });
        assert_eq!(after_a_while(&busy), None);
    }

    #[test]
    fn anything_that_moves_resets_the_time() {
        let (mut dog, start) = (Watchdog::default(), Instant::now());
        for step in 0..10 {
            let moving = counts(|counts| (counts.ready, counts.acked) = (100 - step, step));
            let later = start + Duration::from_secs(20 * step);
            assert_eq!(dog.look(&moving, later, AFTER), None);
        }
    }
}
