//! The one ticker: looks at all queues, keeps their history, and tells all viewers the same.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use redeliver::Counts;
use serde::Serialize;
use tokio::time::{Instant, sleep_until, timeout};

use super::app::{App, Latest, Watched};
use super::exporter;
use super::history::STEP_MS;
use super::memory::Memory;
use super::pulse::Health;
use super::tasks::TaskView;
use crate::counts::is_outage;
use crate::rates::Rates;

/// While somebody looks.
const LIVE: Duration = Duration::from_secs(1);
/// While nobody looks: one point of history.
const IDLE: Duration = Duration::from_millis(STEP_MS);
/// A woken ticker waits this long, so that viewers who come and go make no load.
const GATHER: Duration = Duration::from_millis(200);
/// Calls in flight: enough to fill a round trip, few enough not to delay others.
const MAX_LOOKS: usize = 32;
/// A server that takes longer is told as away.
const PATIENCE: Duration = Duration::from_secs(3);
const NO_ANSWER: &str = "the server does not answer";

/// What every viewer is told at each tick.
#[derive(Debug, Serialize)]
struct Tick<'a> {
    now_ms: u64,
    server: String,
    version: &'a str,
    read_only: bool,
    has_login: bool,
    step_ms: u64,
    outage: Option<String>,
    queues: Vec<QueueView>,
    tasks: Vec<TaskView>,
}

/// One queue in a tick.
#[derive(Debug, Serialize)]
struct QueueView {
    name: String,
    #[serde(flatten)]
    counts: Counts,
    rates: Rates,
    late_ms: u64,
    wait_ms: u64,
    /// How long what is due has waited for a poller.
    overdue_ms: u64,
    stalled: Option<String>,
    /// Why it cannot be read: the rest is what was seen before, or nothing.
    fault: Option<String>,
    poller: Option<Health>,
}

impl QueueView {
    fn of(watched: &Watched, latest: Latest) -> Self {
        let Latest { counts, sample, rates, stalled } = latest;
        let fault = watched.fault();
        let ago = |at_ms: Option<u64>| at_ms.map_or(0, |at_ms| counts.now_ms.saturating_sub(at_ms));
        Self {
            name: watched.name.to_string(),
            overdue_ms: ago(counts.next_due_ms).max(ago(counts.next_deadline_ms)),
            rates,
            late_ms: sample.late_ms,
            wait_ms: sample.wait_ms,
            stalled: stalled.filter(|_| fault.is_none()),
            fault,
            poller: watched.pulse.as_ref().map(|pulse| pulse.health()),
            counts,
        }
    }
}

/// Ticks until told to stop.
pub(super) async fn run(app: Arc<App>, mut memory: Memory) {
    let mut last = Instant::now();
    let mut found: Option<Instant> = None;
    while !app.stop.is_cancelled() {
        let mut fault = None;
        if found.is_none_or(|found| found.elapsed() >= IDLE) {
            fault = find_queues(&app).await;
            // A list that could not be read is asked for again at the next tick.
            if fault.is_none() {
                found = Some(Instant::now());
            }
            memory.look().await;
        }
        look(&app, fault).await;
        publish(&app);
        app.metrics.run_upkeep();
        let is_watched = app.ticks.receiver_count() > 0;
        let next = last + if is_watched { LIVE } else { IDLE };
        tokio::select! {
            () = app.stop.cancelled() => return,
            () = sleep_until(next) => {}
            () = app.wake.notified() => sleep_until(last + GATHER).await,
        }
        last = Instant::now();
    }
}

/// Why the list of queues cannot be read: nobody then knows which queues to look at.
async fn find_queues(app: &App) -> Option<String> {
    let fault = match timeout(PATIENCE, app.find_queues()).await {
        Ok(Ok(())) => return None,
        Ok(Err(error)) => error.to_string(),
        Err(_) => NO_ANSWER.to_owned(),
    };
    tracing::debug!(%fault, "the list of queues cannot be read");
    Some(format!("the list of queues cannot be read: {fault}"))
}

/// Looks at all queues. A fault of the connection is an outage, as `fault` is; any other one is the
/// queue's own.
async fn look(app: &App, mut fault: Option<String>) {
    let looks = app.all().into_iter().map(|watched| async move {
        let looked = timeout(PATIENCE, async {
            let counts = watched.queue.counts().await?;
            watched.look_for_redrive(&counts).await?;
            Ok::<_, redeliver::Error>(counts)
        });
        let counts = looked.await;
        (watched, counts)
    });
    let mut looks = stream::iter(looks).buffer_unordered(MAX_LOOKS);
    while let Some((watched, counts)) = looks.next().await {
        match counts {
            Ok(Ok(counts)) => note(app, &watched, counts),
            Ok(Err(error)) if is_outage(&error) => fault = Some(error.to_string()),
            Ok(Err(error)) => note_fault(&watched, error.to_string()),
            Err(_) => fault = Some(NO_ANSWER.to_owned()),
        }
    }
    app.note_outage(fault);
}

/// Logs once when it begins: it lasts until somebody mends the queue.
fn note_fault(watched: &Watched, fault: String) {
    let told = fault.clone();
    if watched.note_fault(Some(fault)) {
        tracing::error!(queue = %watched.name, "the queue cannot be read: {told}");
    }
    exporter::note_readable(watched, false);
}

fn note(app: &App, watched: &Watched, counts: Counts) {
    if !watched.note_fault(None) {
        tracing::info!(queue = %watched.name, "the queue can be read again");
    }
    exporter::note_readable(watched, true);
    let (before, latest) = watched.note(counts, app.stalled_after);
    let stood = before.as_ref().is_some_and(|before| before.stalled.is_some());
    if let Some(stalled) = latest.stalled.as_ref().filter(|_| !stood) {
        tracing::error!(queue = %watched.name, "STALLED: {stalled}");
    }
    exporter::note(watched, before.as_ref().map(|before| &before.counts), &latest);
}

/// Tells all viewers how everything stands. A tick is made under the lock by which it is told, so
/// that none is told after a later one.
pub(super) fn publish(app: &App) {
    app.ticks.send_modify(|latest| *latest = tick(app));
}

/// The latest look at everything, as JSON.
fn tick(app: &App) -> Arc<str> {
    let (mut queues, mut tasks) = (Vec::new(), app.tasks.views());
    for watched in app.all() {
        tasks.extend(watched.redrive_view());
        // A queue that could never be read is shown with nothing but its fault.
        let unread = || watched.fault().map(|_| Latest::default());
        if let Some(latest) = watched.latest().or_else(unread) {
            queues.push(QueueView::of(&watched, latest));
        }
    }
    let tick = Tick {
        now_ms: queues.iter().map(|queue| queue.counts.now_ms).max().unwrap_or(0),
        server: app.server.address(),
        version: env!("CARGO_PKG_VERSION"),
        read_only: app.gate.read_only,
        has_login: app.gate.has_token(),
        step_ms: STEP_MS,
        outage: app.outage().map(|(_, fault)| fault),
        queues,
        tasks,
    };
    serde_json::to_string(&tick).unwrap_or_default().into()
}
