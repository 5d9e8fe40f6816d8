//! Who was before whom in the ready list: messages are claimed in the order in which they came in.

use std::collections::{BTreeMap, BTreeSet};

/// Times are kept in steps of so many ms: a run of an hour takes a few MB.
const STEP_MS: u64 = 10;
/// A list in which nothing is claimed for so long does not move.
const STANDSTILL_MS: u64 = 100;
/// The next claim follows the last one of those before it so soon.
const NEXT_CLAIM_MS: u64 = 25;

/// What all first deliveries say of the way through the ready list.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// By when messages were ready → when the last of them was claimed.
    through: BTreeMap<u64, u64>,
    /// When something was claimed.
    claims: BTreeSet<u64>,
}

impl Turns {
    /// A message was ready at `by`, or before, and claimed for the first time.
    pub(crate) fn note(&mut self, by: u64, claimed: u64) {
        let last = self.through.entry(by.div_ceil(STEP_MS)).or_default();
        *last = claimed.max(*last);
        self.claims.insert(claimed / STEP_MS);
    }

    /// Everything is noted.
    pub(crate) fn close(&mut self) {
        let mut through = 0;
        for last in self.through.values_mut() {
            through = through.max(*last);
            *last = through;
        }
    }

    /// Whether a message that was claimed then may have been ready at `bound`: it was claimed among
    /// those that were, or right behind them, and the list moved all the while.
    pub(crate) fn explain(&self, bound: u64, claimed: u64) -> bool {
        let through = self.through.range(..=bound / STEP_MS).next_back();
        through.is_some_and(|(_, last)| claimed <= last + NEXT_CLAIM_MS)
            && self.moved(bound / STEP_MS, claimed / STEP_MS)
    }

    fn moved(&self, from: u64, until: u64) -> bool {
        let mut last = from;
        self.claims.range(from..until).copied().chain([until]).all(|claim| {
            let still = claim - std::mem::replace(&mut last, claim);
            still * STEP_MS <= STANDSTILL_MS
        })
    }
}
