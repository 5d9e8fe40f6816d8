//! Time in which this process was not kept from running: a busy machine makes everything late.

use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(5);
/// A thread that wakes later than that had to wait for a processor.
const LATE: Duration = Duration::from_millis(20);

static STARVED_US: AtomicU64 = AtomicU64::new(0);
static WATCH: Once = Once::new();

fn starved() -> Duration {
    WATCH.call_once(|| {
        std::thread::spawn(|| {
            loop {
                let begun = Instant::now();
                std::thread::sleep(TICK);
                let late = begun.elapsed().saturating_sub(TICK);
                if late > LATE {
                    let late = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
                    STARVED_US.fetch_add(late, Ordering::Relaxed);
                }
            }
        });
    });
    Duration::from_micros(STARVED_US.load(Ordering::Relaxed))
}

/// Measures from now on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calm {
    pub(crate) begun: Instant,
    starved: Duration,
}

impl Calm {
    pub(crate) fn now() -> Self {
        Self { begun: Instant::now(), starved: starved() }
    }

    /// How much of the time until then was calm. Processes starve in turns, so that what they wait
    /// for each other adds up: a starved moment counts twice.
    pub(crate) fn until(self, then: Instant) -> Duration {
        let starved = starved().saturating_sub(self.starved);
        then.duration_since(self.begun).saturating_sub(2 * starved)
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.until(Instant::now())
    }
}
