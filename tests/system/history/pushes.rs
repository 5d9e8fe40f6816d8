//! What became of the pushes that were confirmed, by what was confirmed of them.

use std::fmt;

use serde::Serialize;

use super::Answer;

/// How many there were, and how many of their messages are gone, whatever excuses it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Pushes {
    /// That the master has them.
    pub(crate) memory_pushed: u64,
    pub(crate) memory_lost: u64,
    /// The same, where replicas were asked for and did not confirm in time.
    pub(crate) unproven: u64,
    pub(crate) unproven_lost: u64,
    /// That all replicas that were asked for have them too.
    pub(crate) proven: u64,
    pub(crate) proven_lost: u64,
}

impl fmt::Display for Pushes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { memory_pushed, memory_lost, unproven, unproven_lost, proven, proven_lost } =
            self;
        write!(
            f,
            "lost of those confirmed: memory {memory_lost} of {memory_pushed}, replicated {proven_lost} \
            of {proven}, accepted but not proven {unproven_lost} of {unproven}"
        )
    }
}

impl Pushes {
    pub(super) fn note(&mut self, confirmed: Option<Answer>, lost: bool) {
        let (pushed, gone) = match confirmed {
            Some(Answer::Proven) => (&mut self.proven, &mut self.proven_lost),
            Some(Answer::Unproven) => (&mut self.unproven, &mut self.unproven_lost),
            Some(_) => (&mut self.memory_pushed, &mut self.memory_lost),
            None => return,
        };
        *pushed += 1;
        *gone += u64::from(lost);
    }
}
