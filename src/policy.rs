//! What holds for a queue where a message does not say otherwise.

use std::time::Duration;

use crate::backoff::Backoff;
use crate::durability::{self, DEFAULT_PROOF_TIMEOUT, Durability};
use crate::error::{Error, Result};

/// Twelve hours, as in SQS: a longer job extends its lease.
pub const MAX_LEASE: Duration = Duration::from_secs(12 * 60 * 60);
/// Redis takes 512 MiB, but a claim copies payloads in the server's only thread.
pub const MAX_PAYLOAD: usize = 64 * 1024 * 1024;
/// 256 KiB, as in SQS.
pub const DEFAULT_PAYLOAD_LIMIT: usize = 256 * 1024;

/// The rules of a queue: attempts, backoff, lease, retention of dead letters, payload limit.
///
/// It lives in the client. Each message carries its own `max_attempts` from the push on, so a changed
/// policy holds for messages pushed from then on.
///
/// ```
/// use std::time::Duration;
/// use redeliver::{Backoff, Policy};
///
/// let policy = Policy::default()
///     .max_attempts(3)
///     .backoff(Backoff::fixed(Duration::from_secs(5)))
///     .lease(Duration::from_secs(30));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub(crate) max_attempts: u32,
    pub(crate) backoff: Backoff,
    pub(crate) lease: Duration,
    pub(crate) dead_entries: u64,
    pub(crate) dead_age: Duration,
    pub(crate) payload_limit: usize,
    pub(crate) durability: Durability,
    pub(crate) proof_timeout: Duration,
}

impl Default for Policy {
    /// 10 attempts, exponential backoff from 1 s to 10 min with full jitter, a lease of 10 s, 100,000
    /// dead letters for 30 days, payloads of 256 KiB, durability `memory`.
    fn default() -> Self {
        Self {
            max_attempts: 10,
            backoff: Backoff::default(),
            lease: Duration::from_secs(10),
            dead_entries: 100_000,
            dead_age: Duration::from_secs(30 * 24 * 60 * 60),
            payload_limit: DEFAULT_PAYLOAD_LIMIT,
            durability: Durability::Memory,
            proof_timeout: DEFAULT_PROOF_TIMEOUT,
        }
    }
}

impl Policy {
    /// Failures after which a message goes to the dead letters; 0 = never. Take 3 at least: a claim
    /// whose answer was lost on the way spends one without any handler having run.
    #[must_use]
    pub fn max_attempts(mut self, max_attempts: u32) -> Self {
        self.max_attempts = max_attempts;
        self
    }

    /// How long a failed message waits.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// How long a delivery may stay unacknowledged before it comes back; 1 ms to 12 h.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How many dead letters are kept, and for how long; the oldest go first.
    #[must_use]
    pub fn dead_retention(mut self, entries: u64, age: Duration) -> Self {
        self.dead_entries = entries;
        self.dead_age = age;
        self
    }

    /// The largest payload in bytes that a push accepts; at most 64 MiB.
    #[must_use]
    pub fn payload_limit(mut self, bytes: usize) -> Self {
        self.payload_limit = bytes;
        self
    }

    /// How safe a message has to be before its push counts as done.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How long a push waits to be [proven](crate::Durability), 1 ms to 60 s; 3 s if not given. After that it
    /// answers [`Pushed::Unproven`](crate::Pushed::Unproven).
    #[must_use]
    pub fn proof_timeout(mut self, timeout: Duration) -> Self {
        self.proof_timeout = timeout;
        self
    }

    pub(crate) fn validate(&self) -> Result<()> {
        self.backoff.validate()?;
        self.durability.validate()?;
        durability::proof_timeout(self.proof_timeout)?;
        lease(self.lease)?;
        if self.payload_limit > MAX_PAYLOAD {
            let limit = format!("at most {MAX_PAYLOAD} bytes");
            return Err(Error::invalid("payload limit", &self.payload_limit.to_string(), limit));
        }
        Ok(())
    }
}

/// Checks a lease against its bounds.
pub(crate) fn lease(lease: Duration) -> Result<Duration> {
    if lease < Duration::from_millis(1) || lease > MAX_LEASE {
        return Err(Error::invalid("lease", &format!("{lease:?}"), "it takes 1 ms to 12 h"));
    }
    Ok(lease)
}
