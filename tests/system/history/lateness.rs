//! Whether a message came in time, where nothing excused a delay.

use super::judge::{Delivery, Story};
use super::times::Times;
use super::trouble::Troubles;
use super::{Answer, How};

/// A poller looks every five seconds whatever it misses; one more for a slow machine.
const LATE_MS: u64 = 6_000;
/// What a killed holder had is with the next one so soon after its lease has ended.
pub(crate) const TAKEOVER_MS: u64 = 100;
/// With so much of a takeover's time noted as starved its bound says nothing: it goes through eight
/// threads one after the other, and each of them may have waited for as long.
const STARVED_MS: u64 = TAKEOVER_MS / 4;
/// No handler of the runs keeps a delivery for so many leases.
const LONGEST_HOLD: u64 = 4;

impl Story {
    /// Whether a delivery came later than it should, with a stretch of calm that was long enough.
    pub(crate) fn is_late(&self, troubles: &Troubles) -> bool {
        let late = |due: u64, next: &Delivery| {
            next.claimed > due + LATE_MS && troubles.longest_calm_ms(due, next.claimed) > LATE_MS
        };
        let first = self.due_by().zip(self.deliveries.first());
        first.is_some_and(|(due, first)| first.attempt == 1 && late(due, first))
            || self.deliveries.windows(2).any(|pair| {
                pair[1].attempt == pair[0].attempt + 1 && late(self.back_by(&pair[0]), &pair[1])
            })
    }

    /// The latest time at which the push was due, where it is known.
    fn due_by(&self) -> Option<u64> {
        match (self.push, self.answer) {
            (Some(push), Some((Answer::Done, by))) => Some(by + push.delay),
            _ => None,
        }
    }

    /// The latest time at which a delivery was over: settled, or its lease had ended.
    fn back_by(&self, one: &Delivery) -> u64 {
        let lease = one.deadline - one.claimed;
        let orphaned = self.orphans.iter().find(|orphan| orphan.attempt == one.attempt);
        let settles = self.settles_of(*one).map(|settle| match settle.how {
            How::Extend | How::Retry | How::Release => settle.at + settle.delay.max(lease),
            How::Ack | How::Bury => settle.at + lease,
        });
        let ends = settles.chain(orphaned.map(|orphan| orphan.deadline));
        ends.max().unwrap_or(one.claimed + LONGEST_HOLD * lease).max(one.deadline)
    }

    /// How soon after its lease each delivery of a killed process was with the next holder.
    pub(crate) fn takeovers(&self, troubles: &Troubles, times: &mut Times) {
        for orphan in &self.orphans {
            // Where the next holder died before it noted anything, nobody knows when it came.
            let next = self.deliveries.iter().find(|it| it.attempt == orphan.attempt + 1);
            let Some(taken_ms) = next.and_then(|it| it.claimed.checked_sub(orphan.deadline)) else {
                continue;
            };
            let (from, bound) = (orphan.deadline, orphan.deadline + TAKEOVER_MS);
            if troubles.disturb(from, bound) {
                times.excuse();
            } else {
                let starved = |taken_ms| troubles.starved_ms(from, from + taken_ms) >= STARVED_MS;
                times.note(taken_ms, starved);
            }
        }
    }
}
