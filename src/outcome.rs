//! What a handler answers.

use std::fmt::Display;
use std::time::Duration;

/// What is to become of a message after its handler ran.
///
/// Handlers need not name it: `()` and `Ok` mean [`Ack`](Self::Ack), `Err` means [`Retry`](Self::Retry).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Done.
    Ack,
    /// Failed: again after a delay, or dead when its failures are spent.
    Retry {
        /// What went wrong; kept in the message's history.
        error: String,
        /// Instead of the backoff's delay.
        after: Option<Duration>,
    },
    /// Hopeless: to the dead letters at once.
    Bury {
        /// Why; kept in the message's history.
        reason: String,
    },
    /// Not now: again after a delay, without spending a failure.
    Release {
        /// How long until then.
        after: Duration,
    },
}

/// So that a handler which always releases does not spin.
const RELEASE_DELAY: Duration = Duration::from_secs(1);

impl Outcome {
    /// Failed: again after the backoff's delay.
    pub fn retry(error: impl Display) -> Self {
        Self::Retry { error: format!("{error:#}"), after: None }
    }

    /// Failed: again after this delay.
    pub fn retry_after(after: Duration, error: impl Display) -> Self {
        Self::Retry { error: format!("{error:#}"), after: Some(after) }
    }

    /// Hopeless: to the dead letters at once.
    pub fn bury(reason: impl Display) -> Self {
        Self::Bury { reason: format!("{reason:#}") }
    }

    /// Not now: again after one second, without spending a failure.
    pub fn release() -> Self {
        Self::Release { after: RELEASE_DELAY }
    }

    /// Not now: again after this delay, without spending a failure.
    pub fn release_after(after: Duration) -> Self {
        Self::Release { after }
    }
}

/// What a handler may return: `()`, an [`Outcome`], or a `Result` of either.
pub trait IntoOutcome {
    /// The outcome that it stands for.
    fn into_outcome(self) -> Outcome;
}

impl IntoOutcome for () {
    fn into_outcome(self) -> Outcome {
        Outcome::Ack
    }
}

impl IntoOutcome for Outcome {
    fn into_outcome(self) -> Outcome {
        self
    }
}

impl<R: IntoOutcome, E: Display> IntoOutcome for Result<R, E> {
    fn into_outcome(self) -> Outcome {
        match self {
            Ok(value) => value.into_outcome(),
            Err(error) => Outcome::retry(error),
        }
    }
}
