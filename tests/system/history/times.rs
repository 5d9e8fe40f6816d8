//! How long something took, time and again, against the bound that is promised.

use serde::Serialize;

/// All cases of one kind.
#[derive(Debug)]
pub(crate) struct Times {
    bound_ms: u64,
    taken: Vec<u64>,
    excused: u64,
    queued: u64,
}

/// What they come to.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Figures {
    /// Judged: nothing excused them.
    cases: u64,
    /// Beyond the bound.
    over: u64,
    /// Not judged: a fault was in force, or no processor was free for so long that the bound was
    /// out of reach.
    excused: u64,
    /// Beyond the bound for those alone that were before them in the ready list.
    queued: u64,
    bound_ms: u64,
    p99_ms: u64,
    max_ms: u64,
}

impl Times {
    pub(crate) fn within(bound_ms: u64) -> Self {
        Self { bound_ms, taken: Vec::new(), excused: 0, queued: 0 }
    }

    /// A case; `hindered` says whether a breach of the bound is to be blamed on the machine.
    pub(crate) fn note(&mut self, taken_ms: u64, hindered: impl FnOnce(u64) -> bool) {
        if taken_ms > self.bound_ms && hindered(taken_ms) {
            self.excused += 1;
        } else {
            self.taken.push(taken_ms);
        }
    }

    pub(crate) fn excuse(&mut self) {
        self.excused += 1;
    }

    pub(crate) fn queue(&mut self) {
        self.queued += 1;
    }

    pub(crate) fn figures(&self) -> Figures {
        let mut taken = self.taken.clone();
        taken.sort_unstable();
        Figures {
            cases: taken.len() as u64,
            over: taken.iter().filter(|taken| **taken > self.bound_ms).count() as u64,
            excused: self.excused,
            queued: self.queued,
            bound_ms: self.bound_ms,
            p99_ms: taken
                .get((taken.len() * 99).div_ceil(100).saturating_sub(1))
                .copied()
                .unwrap_or(0),
            max_ms: taken.last().copied().unwrap_or(0),
        }
    }
}

impl Figures {
    pub(crate) fn pass(&self) -> bool {
        self.over == 0
    }
}
