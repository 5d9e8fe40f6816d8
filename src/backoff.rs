//! How long a failed message waits before its next attempt.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Ten years: far beyond any use, far below where millisecond scores lose exactness.
pub const MAX_DELAY: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// Enough for any hand-written schedule; the list travels in each message's header.
pub const MAX_DELAYS: usize = 64;
/// An exponential backoff without its own cap stops growing here.
const DEFAULT_CAP: Duration = Duration::from_secs(60 * 60);

/// A rule that maps the number of failures to a delay.
///
/// Jitter is *full jitter* (AWS Architecture Blog, "Exponential Backoff And Jitter"): a uniform draw
/// between zero and the computed delay. The draw depends on the seed and the failure alone, so that
/// the same seed gives the same delays.
///
/// ```
/// use std::time::Duration;
/// use redeliver::Backoff;
///
/// let backoff = Backoff::exponential(Duration::from_secs(1)).cap(Duration::from_secs(5));
/// let delays: Vec<u64> = (1..=4).map(|failure| backoff.delay(failure, 0).as_secs()).collect();
/// assert_eq!(delays, [1, 2, 4, 5]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Backoff {
    /// At once, at the tail of the queue.
    None,
    /// The same delay after every failure.
    Fixed {
        /// Milliseconds.
        delay_ms: u64,
    },
    /// `step`, then `2 × step`, then `3 × step`, up to `cap`.
    Linear {
        /// Milliseconds.
        step_ms: u64,
        /// Milliseconds.
        cap_ms: u64,
    },
    /// `base`, then `2 × base`, then `4 × base`, up to `cap`.
    Exponential {
        /// Milliseconds.
        base_ms: u64,
        /// Milliseconds.
        cap_ms: u64,
        /// Whether to draw between zero and the computed delay.
        jitter: bool,
    },
    /// One delay per failure; the last one repeats.
    List {
        /// Milliseconds each, at least one.
        delays_ms: Vec<u64>,
    },
}

impl Backoff {
    /// The same `delay` after every failure.
    pub fn fixed(delay: Duration) -> Self {
        Self::Fixed { delay_ms: millis(delay) }
    }

    /// Delays that grow by `step`, up to one hour or the [`cap`](Self::cap).
    pub fn linear(step: Duration) -> Self {
        Self::Linear { step_ms: millis(step), cap_ms: millis(DEFAULT_CAP) }
    }

    /// Delays that double from `base`, up to one hour or the [`cap`](Self::cap), without jitter.
    pub fn exponential(base: Duration) -> Self {
        Self::Exponential { base_ms: millis(base), cap_ms: millis(DEFAULT_CAP), jitter: false }
    }

    /// One delay for each failure; the last one repeats. An empty list means no delay.
    pub fn list(delays: impl IntoIterator<Item = Duration>) -> Self {
        Self::List { delays_ms: delays.into_iter().map(millis).collect() }
    }

    /// Limits a linear or exponential backoff; the others stay as they are.
    #[must_use]
    pub fn cap(mut self, cap: Duration) -> Self {
        if let Self::Linear { cap_ms, .. } | Self::Exponential { cap_ms, .. } = &mut self {
            *cap_ms = millis(cap);
        }
        self
    }

    /// Gives an exponential backoff full jitter; the others stay as they are.
    #[must_use]
    pub fn full_jitter(mut self) -> Self {
        if let Self::Exponential { jitter, .. } = &mut self {
            *jitter = true;
        }
        self
    }

    /// Together with the number of failures after which a message dies; 0 = never.
    pub fn max_attempts(self, max_attempts: u32) -> Retry {
        Retry { backoff: Some(self), max_attempts: Some(max_attempts) }
    }

    /// The delay after the given failure, counted from 1, under the given seed.
    pub fn delay(&self, failure: u32, seed: u64) -> Duration {
        let failure = failure.max(1);
        let ms = match self {
            Self::None => 0,
            Self::Fixed { delay_ms } => *delay_ms,
            Self::Linear { step_ms, cap_ms } => step_ms.saturating_mul(failure.into()).min(*cap_ms),
            Self::Exponential { base_ms, cap_ms, jitter } => {
                let doubled = 1_u64.checked_shl(failure - 1).unwrap_or(u64::MAX);
                let ms = base_ms.saturating_mul(doubled).min(*cap_ms);
                if *jitter { draw(ms, failure, seed) } else { ms }
            }
            Self::List { delays_ms } => {
                let last = delays_ms.len().saturating_sub(1);
                delays_ms.get(last.min(failure as usize - 1)).copied().unwrap_or(0)
            }
        };
        Duration::from_millis(ms).min(MAX_DELAY)
    }

    pub(crate) fn validate(&self) -> Result<()> {
        let (longest, delays) = match self {
            Self::None => (0, 1),
            Self::Fixed { delay_ms } => (*delay_ms, 1),
            Self::Linear { step_ms, cap_ms } => (*step_ms.max(cap_ms), 1),
            Self::Exponential { base_ms, cap_ms, .. } => (*base_ms.max(cap_ms), 1),
            Self::List { delays_ms } => {
                (delays_ms.iter().copied().max().unwrap_or(0), delays_ms.len())
            }
        };
        if delays > MAX_DELAYS {
            let limit = format!("at most {MAX_DELAYS} delays");
            return Err(Error::invalid("backoff list of", &delays.to_string(), limit));
        }
        if longest > millis(MAX_DELAY) {
            return Err(Error::invalid("backoff of ms", &longest.to_string(), "at most ten years"));
        }
        Ok(())
    }
}

impl Default for Backoff {
    /// Exponential from 1 s to 10 minutes, with full jitter.
    fn default() -> Self {
        Self::exponential(Duration::from_secs(1)).cap(Duration::from_secs(600)).full_jitter()
    }
}

/// A message's own retry rule, made by [`Backoff::max_attempts`] or from a [`Backoff`] alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retry {
    pub(crate) backoff: Option<Backoff>,
    pub(crate) max_attempts: Option<u32>,
}

impl Retry {
    /// Only the number of failures after which the message dies; 0 = never. The backoff is the queue's.
    pub fn max_attempts(max_attempts: u32) -> Self {
        Self { backoff: None, max_attempts: Some(max_attempts) }
    }
}

impl From<Backoff> for Retry {
    fn from(backoff: Backoff) -> Self {
        Self { backoff: Some(backoff), max_attempts: None }
    }
}

/// Whole milliseconds, rounded up so that nothing is early.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

fn draw(ms: u64, failure: u32, seed: u64) -> u64 {
    fastrand::Rng::with_seed(seed ^ u64::from(failure).rotate_left(32)).u64(0..=ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(delays: &Backoff, failures: u32) -> Vec<u64> {
        (1..=failures).map(|failure| delays.delay(failure, 7).as_secs()).collect()
    }

    #[test]
    fn each_kind_follows_its_rule() {
        let second = Duration::from_secs(1);
        assert_eq!(secs(&Backoff::None, 2), [0, 0]);
        assert_eq!(secs(&Backoff::fixed(second), 2), [1, 1]);
        assert_eq!(secs(&Backoff::linear(second).cap(2 * second), 3), [1, 2, 2]);
        assert_eq!(secs(&Backoff::list([second, 5 * second]), 3), [1, 5, 5]);
        assert_eq!(secs(&Backoff::list([]), 1), [0]);
    }

    #[test]
    fn exponential_stops_at_its_cap_however_many_failures() {
        let backoff = Backoff::exponential(Duration::from_secs(1));
        assert_eq!(backoff.delay(u32::MAX, 0), DEFAULT_CAP);
        assert_eq!(backoff.delay(65, 0), DEFAULT_CAP);
    }

    #[test]
    fn jitter_is_reproduced_by_its_seed_and_covers_the_range() {
        let backoff = Backoff::exponential(Duration::from_secs(100)).full_jitter();
        assert_eq!(backoff.delay(1, 42), backoff.delay(1, 42));
        let draws: Vec<_> = (0..1_000).map(|seed| backoff.delay(1, seed).as_secs()).collect();
        assert!(draws.iter().all(|secs| *secs <= 100));
        assert!(draws.iter().any(|secs| *secs < 10) && draws.iter().any(|secs| *secs > 90));
        let capped = backoff.cap(Duration::from_secs(100));
        assert_ne!(capped.delay(1, u64::MAX), capped.delay(2, u64::MAX), "each failure draws anew");
    }

    #[test]
    fn a_list_one_above_the_bound_is_refused() {
        let second = Duration::from_secs(1);
        assert!(Backoff::list([second; MAX_DELAYS]).validate().is_ok());
        assert!(Backoff::list([second; MAX_DELAYS + 1]).validate().is_err());
        assert!(Backoff::fixed(MAX_DELAY + second).validate().is_err());
    }
}
