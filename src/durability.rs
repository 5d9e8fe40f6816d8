//! How safe a message has to be before its push counts as done.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::error::{Error, Result};

/// More replicas than this hang on no master.
pub const MAX_REPLICAS: u32 = 100;
/// A replica that is well answers within milliseconds; one that is being restarted should not hold up
/// its producers for long.
pub const DEFAULT_PROOF_TIMEOUT: Duration = Duration::from_secs(3);
/// Whoever waits a minute for a replica waits for one that is gone.
pub const MAX_PROOF_TIMEOUT: Duration = Duration::from_secs(60);

/// How safe a message has to be before [`push`](crate::Queue::push) says that it is. Messages of any
/// durability share a queue, and are delivered alike.
///
/// Only pushes wait. A claim or an ack that a server forgets costs a second delivery, never a message.
///
/// ```
/// use redeliver::{Durability, Message, Policy};
///
/// let policy = Policy::default().durability(Durability::Replicated(1));
/// let receipt = Message::new("a receipt".to_owned()).durability(Durability::Memory);
/// assert_eq!("replicated:2".parse::<Durability>().unwrap(), Durability::Replicated(2));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Durability {
    /// The server has it in memory: one round trip. It survives every client, and what the server's
    /// own persistence and replication survive.
    #[default]
    Memory,
    /// The server has it on its disk: it survives a loss of power. It takes an append-only file with
    /// `appendfsync always`; each push looks whether that is so.
    Synced,
    /// So many replicas (1 to 100) have it in memory: it survives the loss of the master, if one of
    /// these is promoted.
    Replicated(u32),
}

impl Durability {
    pub(crate) fn validate(self) -> Result<()> {
        match self {
            Self::Replicated(replicas) if replicas == 0 || replicas > MAX_REPLICAS => {
                let limit = format!("it takes 1 to {MAX_REPLICAS} replicas");
                Err(Error::invalid("durability", &self.to_string(), limit))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Synced => f.write_str("synced"),
            Self::Replicated(1) => f.write_str("replicated"),
            Self::Replicated(replicas) => write!(f, "replicated:{replicas}"),
        }
    }
}

impl FromStr for Durability {
    type Err = Error;

    /// `memory`, `synced`, `replicated` or `replicated:N`.
    fn from_str(text: &str) -> Result<Self> {
        let replicated = || text.strip_prefix("replicated:")?.parse().ok().map(Self::Replicated);
        let durability = match text {
            "memory" => Some(Self::Memory),
            "synced" => Some(Self::Synced),
            "replicated" => Some(Self::Replicated(1)),
            _ => replicated(),
        };
        let limit = "it takes memory, synced, replicated or replicated:N";
        let durability = durability.ok_or_else(|| Error::invalid("durability", text, limit))?;
        durability.validate()?;
        Ok(durability)
    }
}

/// Checks a wait for proof against its bounds.
pub(crate) fn proof_timeout(timeout: Duration) -> Result<()> {
    if timeout < Duration::from_millis(1) || timeout > MAX_PROOF_TIMEOUT {
        let limit = "it takes 1 ms to 60 s";
        return Err(Error::invalid("proof time-out", &format!("{timeout:?}"), limit));
    }
    Ok(())
}

/// What the pushes of one batch wait for: the most that any of them asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Proof {
    pub(crate) synced: bool,
    pub(crate) replicas: u32,
    pub(crate) within: Duration,
}

impl Proof {
    pub(crate) fn of(durability: Durability, within: Duration) -> Self {
        match durability {
            Durability::Memory => Self::default(),
            Durability::Synced => Self { synced: true, replicas: 0, within },
            Durability::Replicated(replicas) => Self { synced: false, replicas, within },
        }
    }

    pub(crate) fn is_wanted(self) -> bool {
        self.synced || self.replicas > 0
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            synced: self.synced || other.synced,
            replicas: self.replicas.max(other.replicas),
            within: self.within.max(other.within),
        }
    }
}

/// What the server confirmed of the writes of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Confirmed {
    pub(crate) synced: bool,
    pub(crate) replicas: u32,
}

impl Confirmed {
    /// How many copies confirmed where these are fewer than were asked for.
    pub(crate) fn short_of(self, proof: Proof) -> Option<u32> {
        let short = proof.synced && !self.synced || self.replicas < proof.replicas;
        short.then_some(if proof.synced { u32::from(self.synced) } else { self.replicas })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_what_is_read() {
        for text in ["memory", "synced", "replicated", "replicated:100"] {
            assert_eq!(text.parse::<Durability>().unwrap().to_string(), text);
        }
        for text in ["", "replicated:", "replicated:0", "replicated:101", "replicated:-1", "disk"] {
            assert!(text.parse::<Durability>().unwrap_err().is_invalid(), "{text}");
        }
    }

    #[test]
    fn a_batch_asks_for_the_most_and_each_is_judged_by_its_own() {
        let second = Duration::from_secs(1);
        let [synced, one, two] = [
            Proof::of(Durability::Synced, second),
            Proof::of(Durability::Replicated(1), second),
            Proof::of(Durability::Replicated(2), 2 * second),
        ];
        let all = [synced, one, two].into_iter().fold(Proof::default(), Proof::and);
        assert_eq!(all, Proof { synced: true, replicas: 2, within: 2 * second });
        let confirmed = Confirmed { synced: false, replicas: 1 };
        assert_eq!(confirmed.short_of(synced), Some(0));
        assert_eq!(confirmed.short_of(one), None);
        assert_eq!(confirmed.short_of(two), Some(1));
        assert_eq!(Confirmed::default().short_of(Proof::default()), None);
    }
}
