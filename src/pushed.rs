//! What a producer learns of its push.

use crate::error::{Error, Result};
use crate::name::{MessageId, State};
use crate::op::push::Placed;
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
}

impl Pushed {
    /// The id under which the message lives.
    pub fn id(self) -> MessageId {
        match self {
            Self::Ready(id) | Self::Scheduled(id) | Self::Duplicate { id, .. } => id,
        }
    }

    /// A repeated call that finds the queue full cannot tell: its message may have been pushed, and
    /// done since.
    pub(crate) fn of(id: MessageId, placed: Ran<Placed>) -> Result<Self> {
        Ok(match placed.reply.of(id, placed.repeated) {
            Placed::Ready => Self::Ready(id),
            Placed::Scheduled => Self::Scheduled(id),
            Placed::Duplicate { id, state } => Self::Duplicate { id, state },
            Placed::Full { cap, limit } if placed.repeated => {
                let reason = format!("the queue is full by now, its {cap} is {limit}");
                return Err(Error::Ambiguous { reason });
            }
            Placed::Full { cap, limit } => return Err(Error::Limited { cap, limit }),
        })
    }
}
