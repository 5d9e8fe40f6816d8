//! Whether a message came in time, where nothing excused a delay.

use super::How;
use super::judge::{Delivery, Story};
use super::times::Times;
use super::trouble::Troubles;
use super::turns::Turns;

/// A poller looks every five seconds whatever it misses; one more for a slow machine.
const LATE_MS: u64 = 6_000;
/// What a killed holder had is with the next one so soon after its lease has ended.
pub(crate) const TAKEOVER_MS: u64 = 100;
/// With so much of a takeover's time noted as starved its bound says nothing: it goes through eight
/// threads one after the other, and each of them may have waited for as long.
const STARVED_MS: u64 = TAKEOVER_MS / 4;
/// By so much at most the clock of another master is off, ahead or behind.
pub(crate) const STEP_MS: u64 = 60_000;
/// No handler of the runs keeps a delivery for so many leases.
const LONGEST_HOLD: u64 = 4;

impl Story {
    /// Whether a delivery came later than it should, with a stretch of calm that was long enough.
    pub(crate) fn is_late(&self, troubles: &Troubles) -> bool {
        let late = |since: u64, due: u64, next: &Delivery| {
            let stepped = troubles.went_behind(since, next.claimed);
            let bound = if stepped { STEP_MS + LATE_MS } else { LATE_MS };
            next.claimed > due + bound && troubles.longest_calm_ms(due, next.claimed) > bound
        };
        if self.is_undone() {
            return false;
        }
        let pushed = self.push.map_or(0, |push| push.due - push.delay);
        let first = self.due_by().zip(self.deliveries.first());
        first.is_some_and(|(due, first)| first.attempt == 1 && late(pushed, due, first))
            || self.deliveries.windows(2).any(|pair| {
                pair[1].attempt == pair[0].attempt + 1
                    && !self.is_redriven(&pair[0], &pair[1])
                    && late(pair[0].claimed, self.back_by(&pair[0]), &pair[1])
            })
    }

    /// The latest time at which the push was due, where it is known.
    fn due_by(&self) -> Option<u64> {
        match (self.push, self.answer) {
            (Some(push), Some((answer, by))) if answer.is_done() => Some(by + push.delay),
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

    /// Each delivery of a killed process with the next one. Where the next holder died before it noted
    /// anything, nobody knows when it came.
    pub(crate) fn takeovers(&self) -> impl Iterator<Item = Takeover> {
        self.orphans.iter().filter(|_| !self.is_undone()).filter_map(|orphan| {
            let next = self.deliveries.iter().find(|it| it.attempt == orphan.attempt + 1)?;
            let (deadline, claimed) = (orphan.deadline, next.claimed);
            (deadline <= claimed).then_some(Takeover { deadline, claimed })
        })
    }

    /// By when it was ready for the first time, and when it was claimed from there, if it is known.
    pub(crate) fn turn(&self) -> Option<(u64, u64)> {
        let at_once = self.push.is_some_and(|push| push.delay == 0);
        let by = self.due_by().filter(|_| at_once)?;
        let first = self.deliveries.first().filter(|first| first.attempt == 1)?;
        Some((by, first.claimed))
    }
}

/// A message of a killed holder: when the lease ended, and when the next holder had it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Takeover {
    deadline: u64,
    claimed: u64,
}

impl Takeover {
    pub(crate) fn judge(self, troubles: &Troubles, turns: &Turns, times: &mut Times) {
        let Self { deadline, claimed } = self;
        let bound = deadline + TAKEOVER_MS;
        if troubles.disturb(deadline, bound) {
            times.excuse();
        } else if claimed > bound && turns.explain(bound, claimed) {
            times.queue();
        } else {
            let starved = |_| troubles.starved_ms(deadline, claimed) >= STARVED_MS;
            times.note(claimed - deadline, starved);
        }
    }
}
