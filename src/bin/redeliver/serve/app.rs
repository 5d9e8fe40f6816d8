//! What all parts of `serve` share.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::PrometheusHandle;
use redeliver::{Counts, Policy, Poller, Queue, QueueName, Raw, Redriver, Server};
use tokio::sync::{Notify, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::audit::Audit;
use super::gate::Gate;
use super::history::History;
use super::pulse::Pulse;
use super::redrives::Known;
use super::tasks::Tasks;
use super::watchdog::Watchdog;
use crate::rates::{Rates, Sample};
use crate::retention::RetentionArgs;

/// Each queue costs a poller, some 60 kB of history and a call every five seconds.
pub(super) const MAX_QUEUES: usize = 500;

/// Everything, shared by all requests.
#[derive(Debug)]
pub(super) struct App {
    pub(super) server: Server,
    pub(super) gate: Gate,
    pub(super) audit: Audit,
    pub(super) tasks: Tasks,
    pub(super) metrics: PrometheusHandle,
    pub(super) stalled_after: Duration,
    /// The queues of the command line; without any, all registered ones are served.
    pub(super) named: Vec<QueueName>,
    pub(super) polls: bool,
    pub(super) retention: RetentionArgs,
    pub(super) queues: RwLock<BTreeMap<QueueName, Arc<Watched>>>,
    /// The latest tick, as JSON; all viewers share it.
    pub(super) ticks: watch::Sender<Arc<str>>,
    /// Somebody has come, or something has ended: tick now.
    pub(super) wake: Notify,
    /// Since when the server has not answered, and what was wrong.
    pub(super) outage: Mutex<Option<(Instant, String)>>,
    pub(super) stop: CancellationToken,
    pub(super) pollers: TaskTracker,
}

/// One queue that is watched, its poller and its redriver.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) name: QueueName,
    pub(super) queue: Queue<Raw>,
    pub(super) pulse: Option<Arc<Pulse>>,
    pub(super) seen: Mutex<Seen>,
    pub(super) redrive: Mutex<Known>,
    _poller: Option<DropGuard>,
}

/// What was seen of a queue so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) history: History,
    pub(super) watchdog: Watchdog,
    pub(super) latest: Option<Latest>,
    /// Why the queue cannot be read now, though the server answers.
    pub(super) fault: Option<String>,
}

/// The latest look at a queue.
#[derive(Debug, Clone, Default)]
pub(super) struct Latest {
    pub(super) counts: Counts,
    pub(super) sample: Sample,
    pub(super) rates: Rates,
    pub(super) stalled: Option<String>,
}

impl App {
    /// A queue that is served here.
    pub(super) fn watched(&self, name: &str) -> Option<Arc<Watched>> {
        let name = QueueName::new(name).ok()?;
        self.queues.read().unwrap_or_else(PoisonError::into_inner).get(&name).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<Watched>> {
        let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner);
        queues.values().cloned().collect()
    }

    /// Looks for queues that came into being or went.
    pub(super) async fn find_queues(&self) -> redeliver::Result<()> {
        let mut names: BTreeSet<_> = self.named.iter().cloned().collect();
        if names.is_empty() {
            names.extend(self.server.queues().await?);
        }
        if names.len() > MAX_QUEUES {
            tracing::warn!(queues = names.len(), served = MAX_QUEUES, "only the first are served");
        }
        let served: BTreeSet<_> = names.into_iter().take(MAX_QUEUES).collect();
        let mut queues = self.queues.write().unwrap_or_else(PoisonError::into_inner);
        queues.retain(|name, _| served.contains(name));
        for name in served {
            if let Entry::Vacant(vacant) = queues.entry(name) {
                let watched = self.watch(vacant.key().clone())?;
                vacant.insert(Arc::new(watched));
            }
        }
        Ok(())
    }

    fn watch(&self, name: QueueName) -> redeliver::Result<Watched> {
        let queue = self.server.queue::<Raw>(name.as_str())?;
        let queue = queue.with_policy(self.retention.hold_for(Policy::default()))?;
        let pulse = self.polls.then(|| Arc::new(Pulse::default()));
        let poller = pulse.clone().map(|pulse| {
            let stop = self.stop.child_token();
            let poller = Poller::new(queue.clone()).observed(move |pass| pulse.beat(pass));
            self.pollers.spawn(poller.run(stop.clone().cancelled_owned()));
            let redriver = Redriver::new(queue.clone());
            self.pollers.spawn(redriver.run(stop.clone().cancelled_owned()));
            stop.drop_guard()
        });
        Ok(Watched {
            name,
            queue,
            pulse,
            seen: Mutex::default(),
            redrive: Mutex::default(),
            _poller: poller,
        })
    }

    /// What stands still, and why.
    pub(super) fn stalls(&self) -> Vec<(QueueName, String)> {
        let stalled = |watched: Arc<Watched>| {
            // What was seen of a queue before it could not be read any more is no news of it.
            let latest = watched.latest().filter(|_| watched.fault().is_none())?;
            Some((watched.name.clone(), latest.stalled?))
        };
        self.all().into_iter().filter_map(stalled).collect()
    }

    /// For how long the server has not answered, and what it said last.
    pub(super) fn outage(&self) -> Option<(Duration, String)> {
        let outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        outage.as_ref().map(|(since, fault)| (since.elapsed(), fault.clone()))
    }

    /// Remembers whether the server answered.
    pub(super) fn note_outage(&self, fault: Option<String>) {
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        *outage = fault
            .map(|fault| (outage.as_ref().map_or_else(Instant::now, |(since, _)| *since), fault));
    }
}

impl Watched {
    pub(super) fn latest(&self) -> Option<Latest> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).latest.clone()
    }

    pub(super) fn fault(&self) -> Option<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).fault.clone()
    }

    /// Remembers whether the queue could be read, and says whether it could before.
    pub(super) fn note_fault(&self, fault: Option<String>) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut seen.fault, fault).is_none()
    }

    /// Takes note of fresh counts, and gives what was known before and what is known now.
    pub(super) fn note(&self, counts: Counts, stalled_after: Duration) -> (Option<Latest>, Latest) {
        let late_ms = self.pulse.as_ref().map_or(0, |pulse| pulse.take_late_ms());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let sample = Sample::of(&counts, late_ms);
        let rates = seen.history.take(sample);
        let stalled = seen.watchdog.look(&counts, Instant::now(), stalled_after);
        let latest = Latest { counts, sample, rates, stalled };
        (seen.latest.replace(latest.clone()), latest)
    }
}
