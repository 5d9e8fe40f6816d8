//! How long, and how many, dead letters the pollers of this process keep.

use std::time::Duration;

use clap::Args;
use redeliver::Policy;

use crate::backoff::duration;

/// For every command that runs pollers.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct RetentionArgs {
    /// Removes dead letters that are older than this; 0 keeps them for ever. The strictest poller of a
    /// queue decides, so give all of them the same.
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = duration)]
    dead_retention: Duration,
    /// Removes the oldest dead letters beyond this many; 0 keeps any number.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    dead_max: u64,
}

impl RetentionArgs {
    /// For who only looks.
    pub(crate) const KEEP_ALL: Self = Self { dead_retention: Duration::ZERO, dead_max: 0 };

    /// The policy with this retention; 0 is more than ever comes about.
    pub(crate) fn hold_for(self, policy: Policy) -> Policy {
        let age = Some(self.dead_retention).filter(|age| !age.is_zero());
        let entries = Some(self.dead_max).filter(|entries| *entries > 0);
        policy.dead_retention(entries.unwrap_or(u64::MAX), age.unwrap_or(Duration::MAX))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        retention: RetentionArgs,
    }

    #[test]
    fn whoever_names_no_retention_has_that_of_the_library() {
        let Alone { retention } = Alone::parse_from(["alone"]);
        assert_eq!(retention.hold_for(Policy::default()), Policy::default());
    }
}
