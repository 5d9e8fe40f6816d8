//! What can be wrong with a queue.

use std::fmt;

use serde::{Serialize, Serializer};

/// One kind of damage; [`Queue::check`](crate::Queue::check) finds it and
/// [`Queue::repair`](crate::Queue::repair) mends it. No script of this library makes any of them: a
/// restore, an eviction, a lost write or a hand does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Damage {
    /// An id in a state, without a record: it is removed, and counted in `ghosts`.
    Ghost,
    /// A record in no state, which nobody would ever deliver: it goes to the tail of ready.
    Orphan,
    /// An id in two states, or twice in ready: it stays once, in pending before ready before
    /// scheduled before dead.
    Twice,
    /// A due time, deadline or time of death that is no whole number of ms below 2^53: it becomes now.
    BadTime,
    /// An attempt line without a record: it is removed.
    StrayLine,
    /// An attempt line that nobody can read: a new one takes its place, with an attempt so high that
    /// every receipt handed out before is lost.
    BadLine,
    /// A deduplication key, or its entry the other way round, whose message is gone: it is removed.
    StaleKey,
    /// A deduplication key and its message that do not name each other: the key goes to the message
    /// that it names, unless that one has another key.
    CrossedKey,
    /// Messages are ready, and for a second neither did the bell hold a token nor was the first of
    /// them claimed: the bell is rung.
    LostBell,
    /// More than one token in the bell or the alarm: one stays.
    Tokens,
    /// A counter that is no whole number below 2^53: it is removed, and so reads as 0.
    BadCounter,
    /// The counters do not close: what left by no script is added to `vanished`, or `pushed` is
    /// raised to what there is.
    Counters,
    /// A key of another type than the queue's: nothing reads or mends it, nor anything else of this
    /// queue, until somebody has moved it away.
    WrongType,
}

impl Damage {
    /// Every kind, in the order in which they are told.
    pub const ALL: [Self; 13] = [
        Self::Ghost,
        Self::Orphan,
        Self::Twice,
        Self::BadTime,
        Self::StrayLine,
        Self::BadLine,
        Self::StaleKey,
        Self::CrossedKey,
        Self::LostBell,
        Self::Tokens,
        Self::BadCounter,
        Self::Counters,
        Self::WrongType,
    ];

    /// The kind's name, as the scripts tell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ghost => "ghost",
            Self::Orphan => "orphan",
            Self::Twice => "twice",
            Self::BadTime => "bad_time",
            Self::StrayLine => "stray_line",
            Self::BadLine => "bad_line",
            Self::StaleKey => "stale_key",
            Self::CrossedKey => "crossed_key",
            Self::LostBell => "lost_bell",
            Self::Tokens => "tokens",
            Self::BadCounter => "bad_counter",
            Self::Counters => "counters",
            Self::WrongType => "wrong_type",
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Damage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
