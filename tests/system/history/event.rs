//! One line of a history.

use redeliver::MessageId;
use serde::{Deserialize, Deserializer, Serialize};

/// What a process did to one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Event {
    /// A push is about to be sent; not before `at`.
    Push {
        #[serde(deserialize_with = "id")]
        id: MessageId,
        at: u64,
        delay: u64,
        max: u32,
        hash: u64,
    },
    /// The push was answered, and that not after `by`.
    Pushed {
        #[serde(deserialize_with = "id")]
        id: MessageId,
        by: u64,
        answer: Answer,
    },
    /// A handler starts on a delivery.
    Start {
        #[serde(deserialize_with = "id")]
        id: MessageId,
        attempt: u64,
        claimed: u64,
        lease: u64,
        failures: u64,
        hash: u64,
    },
    /// A holder is about to settle or extend, not before `at`.
    Settle {
        #[serde(deserialize_with = "id")]
        id: MessageId,
        attempt: u64,
        claimed: u64,
        at: u64,
        how: How,
        /// What a retry or release waits, or for how long a lease is extended.
        delay: u64,
    },
    /// The holder knows what became of it. A worker settles by itself and tells nobody.
    Settled {
        #[serde(deserialize_with = "id")]
        id: MessageId,
        attempt: u64,
        claimed: u64,
        how: How,
        answer: Answer,
    },
    /// The holder was killed; its lease ends at `deadline`, the server says.
    Orphan {
        #[serde(deserialize_with = "id")]
        id: MessageId,
        attempt: u64,
        deadline: u64,
    },
    /// An operator is about to bring it back from the dead letters, not before `at`.
    Redrive {
        #[serde(deserialize_with = "id")]
        id: MessageId,
        at: u64,
    },
    /// The server lost writes that concern it, none from before `since`; `gone` says that nothing is
    /// left of it.
    Undone {
        #[serde(deserialize_with = "id")]
        id: MessageId,
        since: u64,
        gone: bool,
    },
    /// A dead letter at the end of the run.
    Dead {
        #[serde(deserialize_with = "id")]
        id: MessageId,
        deliveries: u64,
        failures: u64,
        max: u32,
        hash: u64,
    },
}

impl Event {
    pub(crate) fn id(&self) -> MessageId {
        match self {
            Self::Push { id, .. }
            | Self::Pushed { id, .. }
            | Self::Start { id, .. }
            | Self::Settle { id, .. }
            | Self::Settled { id, .. }
            | Self::Orphan { id, .. }
            | Self::Redrive { id, .. }
            | Self::Undone { id, .. }
            | Self::Dead { id, .. } => *id,
        }
    }
}

/// What a call's caller knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Answer {
    /// It happened.
    Done,
    /// It happened, and every replica that was asked for has confirmed it; of pushes only.
    Proven,
    /// It happened, and too few of the replicas that were asked for confirmed it in time.
    Unproven,
    /// The receipt did not hold; nothing happened.
    Lost,
    /// Nothing happened, says the error.
    Refused,
    /// Nothing happened: a message with this key lives. An earlier try may have happened.
    Duplicate,
    /// It may have happened.
    Unknown,
}

impl Answer {
    pub(crate) fn is_done(self) -> bool {
        matches!(self, Self::Done | Self::Proven | Self::Unproven)
    }
}

/// What a holder does with its delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum How {
    Ack,
    Retry,
    Bury,
    Release,
    Extend,
}

fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MessageId, D::Error> {
    let text = <&str>::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}
