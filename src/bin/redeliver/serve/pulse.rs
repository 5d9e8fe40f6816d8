//! The health of a poller of this process: when it last passed, and how late.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use redeliver::Redelivered;
use serde::Serialize;

/// Three idle rounds without a pass: something holds it up.
const MISSED: Duration = Duration::from_secs(15);

/// Listens to a poller.
#[derive(Debug, Default)]
pub(super) struct Pulse(Mutex<Beat>);

#[derive(Debug, Default)]
struct Beat {
    last: Option<Instant>,
    /// The largest lateness that nobody has asked for yet.
    late: Duration,
    fault: Option<String>,
}

/// How a poller does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Health {
    state: &'static str,
    /// Since its last pass that succeeded.
    pub(super) passed_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

impl Pulse {
    pub(super) fn beat(&self, pass: &redeliver::Result<Redelivered>) {
        let now = Instant::now();
        let mut beat = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match pass {
            Ok(done) => {
                (beat.last, beat.fault) = (Some(now), None);
                beat.late = beat.late.max(done.late.unwrap_or_default());
            }
            Err(error) => beat.fault = Some(error.to_string()),
        }
    }

    /// The largest lateness since the last call, in ms, rounded up.
    pub(super) fn take_late_ms(&self) -> u64 {
        let mut beat = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let late = std::mem::take(&mut beat.late);
        u64::try_from(late.as_micros().div_ceil(1000)).unwrap_or(u64::MAX)
    }

    pub(super) fn health(&self) -> Health {
        let beat = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = beat.last.map(|last| last.elapsed());
        let state = match passed {
            _ if beat.fault.is_some() => "failing",
            Some(passed) if passed > MISSED => "late",
            Some(_) => "ok",
            None => "starting",
        };
        let passed_ms = passed.and_then(|passed| u64::try_from(passed.as_millis()).ok());
        Health { state, passed_ms, fault: beat.fault.clone() }
    }
}
