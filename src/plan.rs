//! What a redrive takes, how fast, and when it gives up.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::backoff::millis;
use crate::error::{Error, Result};
use crate::script::{MAX_ITEMS, within};
use crate::snapshot::Snapshot;

/// Messages of a redrive that are watched at once: their ids travel with the task's text.
pub const MAX_WATCHED: u32 = 256;
/// A text of a filter travels with each step.
const MAX_TEXT: usize = 256;
/// Beyond this, pacing by microseconds has no meaning.
const MAX_RATE: u32 = 1_000_000;
/// What a canary may fail by when nothing else is said: one in five.
const DEFAULT_FAILURE_RATIO: f64 = 0.2;

/// Which dead letters are redriven: those that meet all that is set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RedriveFilter {
    /// The newest error contains this text, up to 256 bytes.
    pub error: Option<String>,
    /// The newest error's text before its first `:` is this, up to 256 bytes.
    pub class: Option<String>,
    /// The newest error is of this [group](crate::Failure::group), up to 256 bytes; an empty one
    /// takes those without an error.
    pub group: Option<String>,
    /// The message is of this kind, up to 256 bytes.
    pub kind: Option<String>,
    /// At least this many deliveries were made.
    pub min_attempts: Option<u64>,
    /// At most this many deliveries were made.
    pub max_attempts: Option<u64>,
    /// It has been dead for at least this long when the redrive starts.
    #[serde(skip)]
    pub older_than: Option<Duration>,
}

/// A redrive as it is meant: what, how fast, and when to stop.
///
/// ```
/// # use redeliver::{RedriveFilter, RedrivePlan};
/// let filter = RedriveFilter { class: Some("timeout".into()), ..RedriveFilter::default() };
/// let plan = RedrivePlan { filter, canary: 10, rate: 500, ..RedrivePlan::default() };
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RedrivePlan {
    /// Which dead letters; all of them by default.
    pub filter: RedriveFilter,
    /// Messages a second, up to a million; 0 = as fast as the server takes them.
    pub rate: u32,
    /// So many go first, up to [`MAX_WATCHED`], and have to be settled before the rest follows.
    pub canary: u32,
    /// The task stops itself when more than this part, 0.0 to 1.0, of the redriven ones that it
    /// watches has died again. `None` means that it watches none; a canary is then held to 0.2.
    pub max_failure_ratio: Option<f64>,
    /// Messages of one step, 1 to 1,000.
    pub batch: u32,
}

impl Default for RedrivePlan {
    fn default() -> Self {
        let batch = u32::try_from(MAX_ITEMS).unwrap_or(u32::MAX);
        let filter = RedriveFilter::default();
        Self { filter, rate: 0, canary: 0, max_failure_ratio: None, batch }
    }
}

impl RedrivePlan {
    pub(crate) fn validate(&self) -> Result<()> {
        self.filter.validate()?;
        within("step of", self.batch)?;
        let refuse = |what, value: String, limit: String| Err(Error::invalid(what, &value, limit));
        if self.rate > MAX_RATE {
            return refuse("rate", self.rate.to_string(), format!("it takes 0 to {MAX_RATE}"));
        }
        if self.canary > MAX_WATCHED {
            return refuse(
                "canary",
                self.canary.to_string(),
                format!("it takes 0 to {MAX_WATCHED}"),
            );
        }
        match self.max_failure_ratio {
            Some(ratio) if !(0.0..=1.0).contains(&ratio) => {
                refuse("failure ratio", ratio.to_string(), "it takes 0 to 1".into())
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn failure_ratio(&self) -> f64 {
        self.max_failure_ratio.unwrap_or(DEFAULT_FAILURE_RATIO)
    }
}

impl RedriveFilter {
    pub(crate) fn validate(&self) -> Result<()> {
        for text in [&self.error, &self.class, &self.group, &self.kind].into_iter().flatten() {
            if text.len() > MAX_TEXT {
                let limit = format!("it takes up to {MAX_TEXT} bytes");
                return Err(Error::invalid("filter text", text, limit));
            }
        }
        Ok(())
    }

    /// Whether messages have to be looked at one by one.
    pub(crate) fn is_selective(&self) -> bool {
        let plain = Self { older_than: self.older_than, ..Self::default() };
        *self != plain
    }

    /// The latest time of death that is taken by a redrive that starts now.
    pub(crate) fn before_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.older_than.map_or(0, millis))
    }

    /// Whether a message meets all of this but the age, which only a clock can tell.
    pub fn matches(&self, message: &Snapshot) -> bool {
        let error = message.history.first().map(|failure| failure.error.as_str());
        let class = error.map(|error| error.split(':').next().unwrap_or(error).trim());
        let attempts = message.attempt.saturating_sub(1);
        self.error.as_deref().is_none_or(|text| error.is_some_and(|error| error.contains(text)))
            && self.class.as_deref().is_none_or(|wanted| class == Some(wanted))
            && self.group.as_deref().is_none_or(|group| message.error_group() == group)
            && self.kind.as_deref().is_none_or(|kind| message.header.kind.as_deref() == Some(kind))
            && self.min_attempts.is_none_or(|min| attempts >= min)
            && self.max_attempts.is_none_or(|max| attempts <= max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_alone_needs_no_look_at_each_message() {
        let old = RedriveFilter { older_than: Some(Duration::from_secs(1)), ..Default::default() };
        assert!(!old.is_selective());
        assert!(RedriveFilter { kind: Some(String::new()), ..old }.is_selective());
    }
}
