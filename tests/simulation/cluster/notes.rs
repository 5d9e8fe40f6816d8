//! What a run tells: the history, the troubles, the faults, and one hash of everything that happened.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hasher as _};
use std::io::{self, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redeliver::MessageId;
use tokio::time::Instant;

use crate::history::{Event, Trouble};

/// After a fault leases that nobody could extend have to end, and pauses of up to 2 s to pass.
pub(crate) const AFTERMATH_MS: u64 = 4_000;

/// A push of a message that is due at once: in which order it was sent and answered among all others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    pub(crate) id: MessageId,
    pub(crate) sent: u64,
    pub(crate) answered: Option<u64>,
}

#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) events: Vec<Event>,
    pub(crate) troubles: Vec<Trouble>,
    pub(crate) turns: Vec<Turn>,
    pub(crate) faults: BTreeMap<&'static str, u64>,
    /// What was not as promised, the checker's verdicts apart.
    pub(crate) failures: Vec<String>,
    hasher: DefaultHasher,
}

/// Shared by all processes of a run; no part of the simulated world, so nothing here takes time.
#[derive(Debug)]
pub(crate) struct Notes {
    since: Instant,
    /// What the server's clock showed then.
    pub(crate) began: Duration,
    traced: bool,
    told: Mutex<Told>,
}

impl Notes {
    pub(crate) fn new(began: Duration, traced: bool) -> Self {
        Self { since: Instant::now(), began, traced, told: Mutex::default() }
    }

    pub(crate) fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn since(&self) -> Instant {
        self.since
    }

    /// The server's clock.
    pub(crate) fn now_ms(&self) -> u64 {
        millis(self.began + self.since.elapsed())
    }

    pub(crate) fn event(&self, event: Event) {
        self.line(format_args!("{event:?}"));
        self.told().events.push(event);
    }

    pub(crate) fn fault(&self, name: &'static str) {
        self.line(format_args!("fault: {name}"));
        *self.told().faults.entry(name).or_default() += 1;
    }

    /// From then until now, and for a while longer, nothing is promised about time.
    pub(crate) fn trouble(&self, name: &'static str, from: u64) {
        let (name, until) = (name.to_owned(), self.now_ms() + AFTERMATH_MS);
        self.told().troubles.push(Trouble::Fault { name, from, until });
    }

    pub(crate) fn fail(&self, failure: String) {
        self.line(format_args!("failure: {failure}"));
        self.told().failures.push(failure);
    }

    /// Something that happened: it is in the hash, and shown if the run is traced.
    pub(crate) fn line(&self, line: fmt::Arguments<'_>) {
        let text = line.to_string();
        self.mix(text.as_bytes());
        self.show(format_args!("{text}"));
    }

    /// Bytes that went over a connection.
    pub(crate) fn carried(&self, who: &str, link: u64, bytes: &[u8]) {
        self.mix(&link.to_le_bytes());
        self.mix(bytes);
        if self.traced {
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(2_000)]);
            self.show(format_args!("{who} {link}: {shown:?}"));
        }
    }

    fn mix(&self, bytes: &[u8]) {
        let elapsed = self.since.elapsed();
        let hasher = &mut self.told().hasher;
        hasher.write_u128(elapsed.as_nanos());
        hasher.write(bytes);
    }

    fn show(&self, line: fmt::Arguments<'_>) {
        if self.traced {
            let at = self.since.elapsed().as_secs_f64();
            // A reader that has gone wants no more.
            writeln!(io::stdout(), "{at:9.3} {line}").ok();
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.told().hasher.finish()
    }
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The same in every run.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}
