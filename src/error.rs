//! The one error type, and how a caller should take it.

use std::sync::Arc;

/// What went wrong. Cheap to clone, because one failed call may answer many callers.
///
/// Losing a lease is not an error but an outcome, see [`Settled`](crate::Settled).
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A value is refused before anything is sent.
    #[error("{what} {value:?} is refused: {limit}")]
    Invalid {
        /// What kind of value it is, such as `queue name`.
        what: &'static str,
        /// The value, shortened.
        value: String,
        /// The rule that it breaks.
        limit: String,
    },
    /// A payload could not be turned into bytes, or bytes into a payload.
    #[error("payload cannot be {action}")]
    Payload {
        /// `encoded` or `decoded`.
        action: &'static str,
        /// The codec's own word on it.
        source: Arc<serde_json::Error>,
    },
    /// A record that no client of this protocol wrote, or that was damaged since.
    #[error("the record cannot be read: {reason}")]
    Record {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The server is out of memory and took nothing of the push.
    #[error("the server is out of memory; nothing was pushed")]
    Full,
    /// The queue has reached a cap of its own and took nothing of the message, see
    /// [`Queue::limit`](crate::Queue::limit).
    #[error("the queue is full, its {cap} is {limit}; the message was not pushed")]
    Limited {
        /// `max_ready` or `max_bytes`.
        cap: &'static str,
        /// The cap's value, in messages or bytes.
        limit: u64,
    },
    /// The queue was written by a version with another layout; nothing was touched.
    #[error("the queue has a layout that this version does not know (it knows {known})")]
    Layout {
        /// The layout that this version reads and writes.
        known: u32,
    },
    /// The queue's redrive task does not allow it.
    #[error("cannot {action} the redrive: {reason}")]
    Redrive {
        /// `start`, `pause`, `resume` or `cancel`.
        action: &'static str,
        /// How the task stands.
        reason: String,
    },
    /// The server is older than this library can use.
    #[error("the server runs {found}; redeliver needs Redis 7.0 or Valkey 7.2 at least")]
    Server {
        /// The version that the server told.
        found: String,
    },
    /// The server did not execute the call, and may do so later.
    #[error("the server did not execute the call: {reason}")]
    Unavailable {
        /// The server's code, or how the connection failed.
        reason: String,
    },
    /// The server does not accept the user's password, or it could not be had. It may have been
    /// replaced: agents try again, with [what holds then](crate::Access::password_file).
    #[error("the server does not let us in: {reason}")]
    Denied {
        /// The server's own words; never the password.
        reason: String,
    },
    /// The connection broke before the answer came: the call may have been executed.
    #[error("the answer was lost, the call may have been executed: {reason}")]
    Ambiguous {
        /// How the connection failed.
        reason: String,
    },
    /// The server answered in a way that repeating cannot mend, such as `WRONGTYPE`.
    #[error("the server refused: {reason}")]
    Refused {
        /// The server's own words.
        reason: String,
    },
}

impl Error {
    /// Whether the same call may succeed later without any change: repeat it, with backoff.
    ///
    /// Repeating is harmless for every call, since messages carry ids and deliveries receipts; only
    /// [`purge_oldest`](crate::DeadLetters::purge_oldest) and
    /// [`redrive_oldest`](crate::DeadLetters::redrive_oldest) may take as many again after
    /// [`Ambiguous`](Self::Ambiguous).
    ///
    /// ```
    /// assert!(redeliver::Error::Full.is_transient());
    /// ```
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Full
                | Self::Limited { .. }
                | Self::Unavailable { .. }
                | Self::Denied { .. }
                | Self::Ambiguous { .. }
        )
    }

    /// Whether the value given by the caller is at fault.
    pub fn is_invalid(&self) -> bool {
        matches!(self, Self::Invalid { .. } | Self::Payload { .. })
    }

    pub(crate) fn invalid(what: &'static str, value: &str, limit: impl Into<String>) -> Self {
        const SHOWN: usize = 80;
        let mut value = value.to_owned();
        if let Some((end, _)) = value.char_indices().nth(SHOWN) {
            value.truncate(end);
            value.push('…');
        }
        Self::Invalid { what, value, limit: limit.into() }
    }

    pub(crate) fn reply(script: &str, seen: impl std::fmt::Debug) -> Self {
        let mut seen = format!("{seen:?}");
        if let Some((end, _)) = seen.char_indices().nth(120) {
            seen.truncate(end);
        }
        Self::Refused { reason: format!("unknown reply to {script}: {seen}") }
    }
}

/// What every fallible call of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;
