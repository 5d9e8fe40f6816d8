//! What a producer learns of its push.

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

    /// A repeated call that finds its own message has pushed it by its first try.
    pub(crate) fn of(id: MessageId, placed: Ran<Placed>) -> Self {
        match placed.reply {
            Placed::Ready => Self::Ready(id),
            Placed::Scheduled => Self::Scheduled(id),
            Placed::Duplicate { id: first, state } if placed.repeated && first == id => match state
            {
                State::Scheduled => Self::Scheduled(id),
                _ => Self::Ready(id),
            },
            Placed::Duplicate { id, state } => Self::Duplicate { id, state },
        }
    }
}
