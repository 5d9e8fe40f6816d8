//! A message before it is pushed, and what becomes its record.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::backoff::{Backoff, MAX_DELAY, Retry, millis};
use crate::durability::{Durability, Proof};
use crate::error::{Error, Result};
use crate::name::{MAX_KEY, MessageId};
use crate::policy::Policy;

/// Headers are for routing and tracing, not for content.
pub const MAX_HEADER: usize = 8 * 1024;

/// A thousand years after 1970: no clock of this host says how far ahead a point in time is, and
/// below this millisecond scores are exact.
const LATEST: Duration = Duration::from_secs(100 * MAX_DELAY.as_secs());

/// What a queue carries: any serde type, as JSON, or [`Raw`] bytes as they are.
pub trait Payload: Sized + Send + 'static {
    /// Appends the payload's bytes.
    fn encode(&self, record: &mut Vec<u8>) -> Result<()>;
    /// Reads a payload back from its bytes.
    fn decode(bytes: &[u8]) -> Result<Self>;
}

impl<T: Serialize + DeserializeOwned + Send + 'static> Payload for T {
    fn encode(&self, record: &mut Vec<u8>) -> Result<()> {
        serde_json::to_writer(record, self)
            .map_err(|error| Error::Payload { action: "encoded", source: error.into() })
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes)
            .map_err(|error| Error::Payload { action: "decoded", source: error.into() })
    }
}

/// A payload of any bytes, carried as they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Raw(pub Vec<u8>);

impl Payload for Raw {
    fn encode(&self, record: &mut Vec<u8>) -> Result<()> {
        record.extend_from_slice(&self.0);
        Ok(())
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        Ok(Self(bytes.to_vec()))
    }
}

impl From<&str> for Raw {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

/// What travels beside the payload: kind, content type, the user's own headers, the retry rule.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Header {
    /// What kind of message it is, such as `order.paid`.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// A media type, such as `application/json`.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The user's own, such as `traceparent`.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The message's own backoff, where it differs from the queue's.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
}

impl Header {
    /// What it takes in the record.
    #[cfg(feature = "otel")]
    pub(crate) fn size(&self) -> usize {
        serde_json::to_string(self).map_or(MAX_HEADER, |header| header.len())
    }
}

/// When a message becomes deliverable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// This long after the server took it; zero = now. Whole milliseconds, at most ten years.
    After(Duration),
    /// At a point in time by the server's clock; a past one means now.
    At(SystemTime),
}

impl Due {
    pub(crate) fn argument(self) -> Result<String> {
        let (at, delay, most, limit) = match self {
            Self::After(delay) => ("", delay, MAX_DELAY, "at most ten years ahead"),
            Self::At(time) => {
                let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                ("@", since, LATEST, "at most the year 2970")
            }
        };
        if delay > most {
            return Err(Error::invalid("due time", &format!("{self:?}"), limit));
        }
        Ok(format!("{at}{}", millis(delay)))
    }
}

/// A message to push: a payload, and how it differs from the queue's habit.
///
/// ```
/// use std::time::Duration;
/// use redeliver::{Backoff, Message};
///
/// let message = Message::new("hello".to_owned())
///     .delay(Duration::from_secs(30))
///     .key("order-42")
///     .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
///     .retry(Backoff::fixed(Duration::from_secs(5)).max_attempts(8));
/// ```
#[derive(Debug, Clone)]
pub struct Message<T> {
    payload: T,
    id: Option<MessageId>,
    key: Option<String>,
    due: Due,
    max_attempts: Option<u32>,
    durability: Option<Durability>,
    header: Header,
}

impl<T: Payload> Message<T> {
    /// A message that is due now, under the queue's policy.
    pub fn new(payload: T) -> Self {
        let header = Header::default();
        Self {
            payload,
            id: None,
            key: None,
            due: Due::After(Duration::ZERO),
            max_attempts: None,
            durability: None,
            header,
        }
    }

    /// Delivers it this long after the push, and not earlier.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.due = Due::After(delay);
        self
    }

    /// Delivers it at a point in time by the server's clock; a past one means now.
    #[must_use]
    pub fn at(mut self, time: SystemTime) -> Self {
        self.due = Due::At(time);
        self
    }

    /// Deduplicates: while a message with this key lives, dead included, a push with it changes
    /// nothing and answers [`Pushed::Duplicate`](crate::Pushed). 1 to 256 bytes.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Gives it an id made earlier with [`MessageId::generate`], so that a producer can repeat the
    /// push after its own crash: as long as the message lives, the repetition changes nothing.
    #[must_use]
    pub fn id(mut self, id: MessageId) -> Self {
        self.id = Some(id);
        self
    }

    /// Its own retry rule: a [`Backoff`], or one with [`max_attempts`](Backoff::max_attempts).
    #[must_use]
    pub fn retry(mut self, retry: impl Into<Retry>) -> Self {
        let retry = retry.into();
        self.header.backoff = retry.backoff.or(self.header.backoff);
        self.max_attempts = retry.max_attempts.or(self.max_attempts);
        self
    }

    /// How safe it has to be before its push counts as done, where that differs from the queue's
    /// [policy](Policy::durability).
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// Says what kind of message it is.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.header.kind = Some(kind.into());
        self
    }

    /// Says how to read the payload, as a media type.
    #[must_use]
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.header.content_type = Some(content_type.into());
        self
    }

    /// Adds a header of the user's own.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.header.headers.insert(name.into(), value.into());
        self
    }

    pub(crate) fn header_mut(&mut self) -> &mut Header {
        &mut self.header
    }

    /// Checks everything against its bounds and encodes the record.
    pub(crate) fn prepare(self, policy: &Policy) -> Result<Prepared> {
        let empty = self.key.as_deref() == Some("");
        let key = self.key.unwrap_or_default();
        if empty || key.len() > MAX_KEY {
            return Err(Error::invalid(
                "deduplication key",
                &key,
                format!("it takes 1 to {MAX_KEY} bytes"),
            ));
        }
        if let Some(backoff) = &self.header.backoff {
            backoff.validate()?;
        }
        let max = self.max_attempts.unwrap_or(policy.max_attempts);
        let mut record = format!("{max}\n").into_bytes();
        if self.header != Header::default() {
            let start = record.len();
            self.header.encode(&mut record)?;
            if record.len() - start > MAX_HEADER {
                let size = format!("{} bytes", record.len() - start);
                return Err(Error::invalid("header", &size, format!("at most {MAX_HEADER} bytes")));
            }
        }
        record.push(b'\n');
        let start = record.len();
        self.payload.encode(&mut record)?;
        let size = record.len() - start;
        if size > policy.payload_limit {
            let limit = format!("at most {} bytes", policy.payload_limit);
            return Err(Error::invalid("payload", &format!("{size} bytes"), limit));
        }
        let due = self.due.argument()?;
        let durability = self.durability.unwrap_or(policy.durability);
        durability.validate()?;
        let proof = Proof::of(durability, policy.proof_timeout);
        let named = !key.is_empty() || self.id.is_some();
        let id = self.id.unwrap_or_else(MessageId::generate);
        Ok(Prepared { id, record, key, due, proof, named })
    }
}

impl<T: Payload> From<T> for Message<T> {
    fn from(payload: T) -> Self {
        Self::new(payload)
    }
}

/// A message that passed every check, ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) id: MessageId,
    pub(crate) record: Vec<u8>,
    pub(crate) key: String,
    pub(crate) due: String,
    pub(crate) proof: Proof,
    /// Whether another push may mean the same message: by its key, or by an id of the user's own.
    pub(crate) named: bool,
}

impl Prepared {
    /// What its partition follows from, as `fence` looks it up: `=KEY`, or the id.
    pub(crate) fn name(&self) -> String {
        if self.key.is_empty() { self.id.to_string() } else { format!("={}", self.key) }
    }
}

/// What a later version may write and this one cannot read must not cost the rest of the header.
fn lenient<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + DeserializeOwned,
{
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepare(message: Message<Raw>) -> Result<Prepared> {
        message.prepare(&Policy::default().max_attempts(3))
    }

    #[test]
    fn a_plain_record_costs_its_first_line_only() {
        let record = prepare(Message::new("x".into())).unwrap().record;
        assert_eq!(record, b"3\n\nx");
    }

    #[test]
    fn each_bound_holds_at_the_limit_and_refuses_one_above() {
        let at = |size| Message::new(Raw(vec![0; size]));
        let limit = Policy::default().payload_limit;
        assert!(prepare(at(limit)).is_ok());
        assert!(prepare(at(limit + 1)).unwrap_err().is_invalid());
        assert!(prepare(at(0).key("k".repeat(MAX_KEY))).is_ok());
        assert!(prepare(at(0).key("k".repeat(MAX_KEY + 1))).is_err());
        assert!(prepare(at(0).delay(MAX_DELAY)).is_ok());
        assert!(prepare(at(0).delay(MAX_DELAY + Duration::from_secs(1))).is_err());
        assert!(prepare(at(0).header("h", "v".repeat(MAX_HEADER))).is_err());
    }
}
