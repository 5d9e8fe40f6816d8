//! What a producer learns of its push.

use crate::error::{Error, Result};
use crate::name::{MessageId, State};
use crate::op::push::Placed;
use crate::proven::Proven;
use crate::store::Ran;

/// What became of a pushed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It is deliverable now.
    Ready(MessageId),
    /// It waits for its time.
    Scheduled(MessageId),
    /// Nothing was pushed: a message with this key, or this very id, lives already.
    Duplicate {
        /// The id of the message that lives.
        id: MessageId,
        /// Where it is.
        state: State,
    },
    /// It is accepted and will be delivered, and it is not proven to be as safe as was asked: too
    /// few copies confirmed it in time. Do not push it anew, or it comes twice. Nothing has to be
    /// done; who wants the proof may push it again under [the same id](crate::Message::id), which changes
    /// nothing as long as it lives.
    Unproven {
        /// The id under which the message lives: another one if a message with its key lived already.
        id: MessageId,
        /// Where it is.
        state: State,
        /// How many copies confirmed it: replicas, or 0 disks for [`Synced`](crate::Durability::Synced).
        confirmed: u32,
    },
}

impl Pushed {
    /// The id under which the message lives.
    pub fn id(self) -> MessageId {
        match self {
            Self::Ready(id)
            | Self::Scheduled(id)
            | Self::Duplicate { id, .. }
            | Self::Unproven { id, .. } => id,
        }
    }

    /// Where the message is.
    pub fn state(self) -> State {
        match self {
            Self::Ready(_) => State::Ready,
            Self::Scheduled(_) => State::Scheduled,
            Self::Duplicate { state, .. } | Self::Unproven { state, .. } => state,
        }
    }

    pub(crate) fn proven(id: MessageId, Ran { reply, repeated }: Ran<Proven>) -> Result<Self> {
        let pushed = Self::of(id, Ran { reply: reply.placed, repeated })?;
        Ok(match reply.short {
            None => pushed,
            Some(confirmed) => Self::Unproven { id: pushed.id(), state: pushed.state(), confirmed },
        })
    }

    /// A repeated call that finds the queue full cannot tell: its message may have been pushed, and
    /// done since.
    pub(crate) fn of(id: MessageId, placed: Ran<Placed>) -> Result<Self> {
        Ok(match placed.reply.of(id, placed.repeated) {
            Placed::Ready => Self::Ready(id),
            Placed::Scheduled => Self::Scheduled(id),
            Placed::Duplicate { id, state } => Self::Duplicate { id, state },
            Placed::Foreign => {
                let reason = "its key belongs to a message whose id is no ULID; nothing was pushed";
                return Err(Error::Record { reason });
            }
            Placed::Full { cap, limit } if placed.repeated => {
                let reason = format!("the queue is full by now, its {cap} is {limit}");
                return Err(Error::Ambiguous { reason });
            }
            Placed::Moved(_) => return Err(restless()),
            Placed::Full { cap, limit } => return Err(Error::Limited { cap, limit }),
        })
    }
}

/// What became of each; whatever was not sent any more shares the refusal that was the reason.
pub(crate) fn each(ids: Vec<MessageId>, placed: Vec<Option<Ran<Proven>>>) -> Vec<Result<Pushed>> {
    let told = ids.into_iter().zip(placed);
    let told: Vec<_> = told.map(|(id, ran)| ran.map(|ran| Pushed::proven(id, ran))).collect();
    let is_full = |error: &&Error| matches!(error, Error::Limited { .. } | Error::Ambiguous { .. });
    let mut refusals = told.iter().flatten().filter_map(|told| told.as_ref().err());
    let refusal = refusals.find(is_full).cloned().unwrap_or_else(restless);
    told.into_iter().map(|told| told.unwrap_or_else(|| Err(refusal.clone()))).collect()
}

pub(crate) fn restless() -> Error {
    let reason = "the number of partitions kept changing; nothing was pushed";
    Error::Unavailable { reason: reason.into() }
}
