//! The metrics, by name. Labels are queues, verbs, states and outcomes: no ids, no payloads, no errors.
//!
//! The library tells them through the [`metrics`](https://docs.rs/metrics) facade, and brings no
//! exporter: install a recorder **before** you make a [`Queue`](crate::Queue), which keeps its handles.
//! Those under [`Teller::Serve`] come from `redeliver serve`, which looks at whole queues.

use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{
    Counter, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

use crate::name::QueueName;

/// Messages that were pushed, by `queue` and `outcome`: `ready`, `scheduled`, `duplicate`, or
/// `limited` where a cap refused them.
pub const PUSHES: &str = "redeliver_pushes_total";
/// Pushes that were accepted and not proven to be as safe as was asked, by `queue`.
pub const UNPROVEN: &str = "redeliver_pushes_unproven_total";
/// Deliveries that were settled, by `queue` and `outcome`: `acked`, `retried`, `died` (failed, and
/// that was the last failure), `buried`, `released`, `lost` (the lease had ended), `unknown` (the
/// answer to a first try was lost).
pub const SETTLES: &str = "redeliver_settles_total";
/// How long handlers ran, by `queue`.
pub const HANDLER_SECONDS: &str = "redeliver_handler_seconds";
/// How late a pass of the poller came for the earliest message that it moved, by `queue`: since that
/// fell due, or its lease ended.
pub const LATENESS_SECONDS: &str = "redeliver_lateness_seconds";
/// How many messages travelled in one call, by `verb`.
pub const BATCH_MESSAGES: &str = "redeliver_batch_messages";
/// How long a script took, by `verb`: the way there and back included.
pub const CALL_SECONDS: &str = "redeliver_call_seconds";
/// Calls that went wrong, by `verb` and `outcome`: `repeated` or, for their callers, `failed`.
pub const CALL_FAULTS: &str = "redeliver_call_faults_total";
/// Connections to the server, by `outcome`: `made`, `failed`, or `denied` for want of the right password.
pub const CONNECTS: &str = "redeliver_connects_total";
/// When the poller's last pass ended, by `queue`: seconds since 1970 by this host's clock.
pub const LAST_PASS: &str = "redeliver_poller_last_pass_timestamp_seconds";
/// Messages that were moved by pollers of this process, by `queue` and `outcome`: `promoted`,
/// `reclaimed`, `died`.
pub const MOVED: &str = "redeliver_poller_moved_total";

/// Messages, by `queue` and `state`: `ready`, `scheduled`, `pending`, `dead`.
pub const MESSAGES: &str = "redeliver_messages";
/// 1 while the `queue` hands out nothing.
pub const PAUSED: &str = "redeliver_paused";
/// 1 while something of the `queue` is due and nothing moves.
pub const STALLED: &str = "redeliver_stalled";
/// Since the push of the message at the head of ready, by `queue` and by its producer's clock.
pub const OLDEST_READY_AGE: &str = "redeliver_oldest_ready_age_seconds";
/// How long the earliest message has been due without being moved, by `queue` and `state`:
/// `scheduled`, or `pending` with its lease ended.
pub const OVERDUE: &str = "redeliver_overdue_seconds";
/// What ever happened to messages, by `queue` and `outcome`, whoever did it: the server's counters.
pub const OUTCOMES: &str = "redeliver_outcomes_total";
/// 1 while a `queue` can be read, 0 while it is damaged or of a later version.
pub const READABLE: &str = "redeliver_readable";
/// 1 while the Redis or Valkey server answers.
pub const UP: &str = "redeliver_up";
/// What the server holds in memory, where its user may see it.
pub const SERVER_MEMORY: &str = "redeliver_server_memory_bytes";
/// What the server may hold in memory; 0 means no limit.
pub const SERVER_MEMORY_LIMIT: &str = "redeliver_server_memory_limit_bytes";

/// Who tells a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Teller {
    /// The library, for what its own process does.
    Library,
    /// `redeliver serve`, for whole queues and their server.
    Serve,
}

type Described = (Teller, &'static str, &'static str);

const COUNTERS: [Described; 7] = [
    (Teller::Library, PUSHES, "Messages pushed by this process, by outcome."),
    (Teller::Library, UNPROVEN, "Pushes that were accepted and not proven as safe as was asked."),
    (Teller::Library, SETTLES, "Deliveries settled by this process, by outcome."),
    (Teller::Library, CALL_FAULTS, "Calls of scripts that were repeated, or that failed."),
    (Teller::Library, CONNECTS, "Connections to the server that were made, or failed."),
    (Teller::Library, MOVED, "Messages moved by pollers of this process, by outcome."),
    (Teller::Serve, OUTCOMES, "What ever happened to messages, whoever did it, by outcome."),
];
const GAUGES: [Described; 10] = [
    (Teller::Library, LAST_PASS, "When the poller's last pass ended, by this host's clock."),
    (Teller::Serve, MESSAGES, "Messages in each state."),
    (Teller::Serve, PAUSED, "1 while the queue hands out nothing."),
    (Teller::Serve, STALLED, "1 while something is due and nothing moves."),
    (Teller::Serve, OLDEST_READY_AGE, "Since the push of the message at the head of ready."),
    (Teller::Serve, OVERDUE, "How long the earliest message has been due without being moved."),
    (Teller::Serve, READABLE, "1 while the queue can be read."),
    (Teller::Serve, UP, "1 while the Redis or Valkey server answers."),
    (Teller::Serve, SERVER_MEMORY, "What the server holds in memory."),
    (Teller::Serve, SERVER_MEMORY_LIMIT, "What the server may hold in memory; 0: no limit."),
];
const HISTOGRAMS: [Described; 4] = [
    (Teller::Library, HANDLER_SECONDS, "How long handlers ran."),
    (Teller::Library, LATENESS_SECONDS, "From a due time to the pass that moved its message."),
    (Teller::Library, BATCH_MESSAGES, "How many messages travelled in one call."),
    (Teller::Library, CALL_SECONDS, "How long a script took, the way there and back included."),
];

/// Every metric, and who tells it.
pub fn all() -> impl Iterator<Item = (Teller, &'static str)> {
    let described = COUNTERS.iter().chain(&GAUGES).chain(&HISTOGRAMS);
    described.map(|(teller, name, _)| (*teller, *name))
}

/// Tells the installed recorder what each metric means.
pub fn describe() {
    for (_, name, help) in COUNTERS {
        describe_counter!(name, help);
    }
    for (_, name, help) in GAUGES {
        describe_gauge!(name, help);
    }
    for (_, name, help) in HISTOGRAMS {
        describe_histogram!(name, help);
    }
}

/// Counters of one name, one for each outcome, all of them told from the beginning.
#[derive(Debug)]
struct Tally(Vec<(&'static str, Counter)>);

impl Tally {
    fn new(name: &'static str, queue: &QueueName, outcomes: &[&'static str]) -> Self {
        let count = |outcome: &&'static str| {
            (*outcome, counter!(name, "queue" => queue.to_string(), "outcome" => *outcome))
        };
        Self(outcomes.iter().map(count).collect())
    }

    fn add(&self, outcome: &str, more: u64) {
        if let Some((_, counter)) = self.0.iter().find(|(known, _)| *known == outcome) {
            counter.increment(more);
        }
    }
}

#[derive(Debug)]
struct Handles {
    queue: QueueName,
    pushes: Tally,
    unproven: Counter,
    settles: Tally,
    moved: Tally,
    handlers: Histogram,
    lateness: Histogram,
    batches: Vec<(&'static str, Histogram)>,
}

/// What is counted for one queue; its handles are kept, so that a message costs an atomic addition.
#[derive(Debug, Clone)]
pub(crate) struct Meter(Arc<Handles>);

impl Meter {
    pub(crate) fn new(queue: &QueueName) -> Self {
        let verbs = ["push", "claim", "ack", "retry", "bury", "release", "extend"];
        let batch = |verb| (verb, histogram!(BATCH_MESSAGES, "verb" => verb));
        // A rate can be taken only from what was 0 before.
        for verb in verbs.into_iter().chain(["redeliver"]) {
            for outcome in ["repeated", "failed"] {
                drop(counter!(CALL_FAULTS, "verb" => verb, "outcome" => outcome));
            }
        }
        for outcome in ["made", "failed", "denied"] {
            drop(counter!(CONNECTS, "outcome" => outcome));
        }
        let settled = ["acked", "retried", "died", "buried", "released", "lost", "unknown"];
        Self(Arc::new(Handles {
            pushes: Tally::new(PUSHES, queue, &["ready", "scheduled", "duplicate", "limited"]),
            unproven: counter!(UNPROVEN, "queue" => queue.to_string()),
            settles: Tally::new(SETTLES, queue, &settled),
            moved: Tally::new(MOVED, queue, &["promoted", "reclaimed", "died"]),
            handlers: histogram!(HANDLER_SECONDS, "queue" => queue.to_string()),
            lateness: histogram!(LATENESS_SECONDS, "queue" => queue.to_string()),
            batches: verbs.map(batch).into(),
            queue: queue.clone(),
        }))
    }

    pub(crate) fn pushed(&self, outcome: &str) {
        self.0.pushes.add(outcome, 1);
    }

    pub(crate) fn unproven(&self, pushes: usize) {
        self.0.unproven.increment(pushes as u64);
    }

    pub(crate) fn settled(&self, outcome: &str) {
        self.0.settles.add(outcome, 1);
    }

    pub(crate) fn moved(&self, outcome: &str, messages: u64) {
        self.0.moved.add(outcome, messages);
    }

    pub(crate) fn handled(&self, timer: &Timer) {
        self.0.handlers.record(timer.0.elapsed());
    }

    pub(crate) fn late(&self, late: Duration) {
        self.0.lateness.record(late);
    }

    pub(crate) fn batch(&self, verb: &str, messages: usize) {
        if let Some((_, batch)) = self.0.batches.iter().find(|(known, _)| *known == verb) {
            batch.record(u32::try_from(messages).unwrap_or(u32::MAX));
        }
    }

    /// No handle is kept: an exporter may forget a gauge that idles, and its handle with it.
    pub(crate) fn passed(&self) {
        #[expect(clippy::disallowed_methods, reason = "a figure for people, which decides nothing")]
        let now = std::time::SystemTime::now();
        let since = now.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
        gauge!(LAST_PASS, "queue" => self.0.queue.to_string()).set(since.as_secs_f64());
    }
}

/// A call that succeeded.
pub(crate) fn called(verb: &'static str, timer: &Timer) {
    histogram!(CALL_SECONDS, "verb" => verb).record(timer.0.elapsed());
}

pub(crate) fn fault(verb: &'static str, outcome: &'static str) {
    counter!(CALL_FAULTS, "verb" => verb, "outcome" => outcome).increment(1);
}

pub(crate) fn connected(outcome: &'static str) {
    counter!(CONNECTS, "outcome" => outcome).increment(1);
}

/// Since when something has gone on.
#[derive(Debug)]
pub(crate) struct Timer(Instant);

impl Timer {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }
}
