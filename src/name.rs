//! Names: of a queue, of a message, of a state.

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use ulid::Ulid;

use crate::error::{Error, Result};

/// Long enough for `team.service.purpose`, short enough that ten keys stay small.
pub const MAX_NAME: usize = 64;
/// A deduplication key is stored twice with its message.
pub const MAX_KEY: usize = 256;

/// The name of a queue: 1 to 64 of `A-Z a-z 0-9 _ . : -`.
///
/// Braces are refused because the name stands in the hash tag of a Cluster key.
///
/// ```
/// use redeliver::QueueName;
/// assert!("emails".parse::<QueueName>().is_ok());
/// assert!("e{mail}s".parse::<QueueName>().unwrap_err().is_invalid());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueName(String);

impl QueueName {
    /// Checks a name.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(allowed) {
            return Err(Error::invalid(
                "queue name",
                &name,
                "it takes 1 to 64 of A-Z a-z 0-9 _ . : -",
            ));
        }
        Ok(Self(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for QueueName {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of a message: a [ULID](https://github.com/ulid/spec), 26 characters that sort by push time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(Ulid);

/// One for the process, so that ids of one producer rise even within a millisecond.
static GENERATOR: Mutex<ulid::Generator> = Mutex::new(ulid::Generator::new());

impl MessageId {
    /// Makes a new id, greater than every earlier one of this process.
    pub fn generate() -> Self {
        let mut generator = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
        Self(generator.generate().unwrap_or_else(ulid::Overflow::commit_overflow_increment))
    }

    /// When the producer made the id, in ms since 1970 by the producer's clock: for people, not for logic.
    pub fn pushed_ms(self) -> u64 {
        self.0.timestamp_ms()
    }

    /// A number that differs from message to message: the seed of its jitter.
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is random enough")]
    pub(crate) fn seed(self) -> u64 {
        self.0.random() as u64
    }
}

impl<'de> serde::Deserialize<'de> for MessageId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl FromStr for MessageId {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Ulid::from_string(text)
            .ok()
            .map(Self)
            .filter(|id| id.to_string() == text)
            .ok_or_else(|| Error::invalid("message id", text, "it takes a ULID, 26 characters"))
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.array_to_str(&mut [0; 26]))
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for MessageId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where a live message is. It is in exactly one state at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Deliverable now.
    Ready,
    /// Not yet deliverable: a first delay or a retry backoff.
    Scheduled,
    /// Delivered and not acknowledged; its lease is running or has just ended.
    Pending,
    /// A dead letter: given up until someone redrives or purges it.
    Dead,
}

impl State {
    /// All of them, in the order of a message's life.
    pub const ALL: [Self; 4] = [Self::Ready, Self::Scheduled, Self::Pending, Self::Dead];

    /// The word for it in keys, scripts and outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Scheduled => "scheduled",
            Self::Pending => "pending",
            Self::Dead => "dead",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for State {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| {
            Error::invalid("state", text, "it takes ready, scheduled, pending or dead")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_up_to_the_limit_and_not_beyond() {
        assert!(QueueName::new("n".repeat(MAX_NAME)).is_ok());
        for hostile in ["", "a b", "a{b}", "a\nb", "ä", &"n".repeat(MAX_NAME + 1)] {
            assert!(QueueName::new(hostile).is_err(), "{hostile:?}");
        }
    }

    #[test]
    fn ids_rise_and_survive_text() {
        let ids: Vec<_> = (0..10_000).map(|_| MessageId::generate()).collect();
        assert!(ids.is_sorted());
        assert!(ids.windows(2).all(|pair| pair[0] != pair[1]));
        assert_eq!(ids[0].to_string().parse::<MessageId>().unwrap(), ids[0]);
        assert!("not an id".parse::<MessageId>().is_err());
    }
}
