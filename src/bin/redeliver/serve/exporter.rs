//! Metrics in the Prometheus format: what the ticker saw of whole queues, and what the library tells
//! of this process.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use metrics::{counter, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_util::MetricKindMask;
use redeliver::Counts;
use redeliver::metrics as names;

use super::app::{App, Latest, Watched};

/// Up to the most messages of one call.
const BATCH_BUCKETS: [f64; 11] =
    [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1000.0];
/// A queue that is gone is gone from the metrics after this.
const FORGET_AFTER: Duration = Duration::from_secs(120);
/// From a script of half a millisecond to a handler of minutes.
const BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 120.0, 600.0];

pub(super) fn install() -> Result<PrometheusHandle> {
    let batches = Matcher::Full(names::BATCH_MESSAGES.to_owned());
    let builder = PrometheusBuilder::new()
        .set_buckets(&BUCKETS)?
        .set_buckets_for_metric(batches, &BATCH_BUCKETS)?
        .idle_timeout(MetricKindMask::GAUGE, Some(FORGET_AFTER));
    let handle = builder.install_recorder()?;
    names::describe();
    Ok(handle)
}

/// What ever happened, under the names of the law.
fn outcomes(counts: &Counts) -> [(&'static str, u64); 13] {
    [
        ("pushed", counts.pushed),
        ("acked", counts.acked),
        ("retried", counts.retried),
        ("released", counts.released),
        ("buried", counts.buried),
        ("promoted", counts.promoted),
        ("reclaimed", counts.reclaimed),
        ("died", counts.died),
        ("cancelled", counts.cancelled),
        ("redriven", counts.redriven),
        ("purged", counts.purged),
        ("trimmed", counts.trimmed),
        ("ghosts", counts.ghosts),
    ]
}

/// Records the latest look at a queue, and what happened since the one `before`.
pub(super) fn note(watched: &Watched, before: Option<&Counts>, latest: &Latest) {
    let name = watched.name.to_string();
    let counts = &latest.counts;
    let states = [
        ("ready", counts.ready),
        ("scheduled", counts.scheduled),
        ("pending", counts.pending),
        ("dead", counts.dead),
    ];
    for (state, messages) in states {
        let labels = [("queue", name.clone()), ("state", state.to_owned())];
        gauge!(names::MESSAGES, &labels).set(number(messages));
    }
    let ago = |at_ms: Option<u64>| at_ms.map_or(0, |at_ms| counts.now_ms.saturating_sub(at_ms));
    let heads = [("scheduled", counts.next_due_ms), ("pending", counts.next_deadline_ms)];
    for (state, at_ms) in heads {
        let labels = [("queue", name.clone()), ("state", state.to_owned())];
        gauge!(names::OVERDUE, &labels).set(seconds(ago(at_ms)));
    }
    let queue = [("queue", name.clone())];
    gauge!(names::OLDEST_READY_AGE, &queue).set(seconds(latest.sample.wait_ms));
    gauge!(names::PAUSED, &queue).set(f64::from(u8::from(counts.paused)));
    gauge!(names::STALLED, &queue).set(f64::from(u8::from(latest.stalled.is_some())));
    if watched.pulse.is_some() {
        // A poller that hangs must not be forgotten; its last pass stays what it was.
        gauge!(names::LAST_PASS, &queue).increment(0.0);
    }
    let earlier = before.map(outcomes).unwrap_or_default();
    for ((outcome, now), (_, before)) in outcomes(counts).into_iter().zip(earlier) {
        let labels = [("queue", name.clone()), ("outcome", outcome.to_owned())];
        // A queue that was destroyed begins anew at 0.
        let more = now.checked_sub(before).unwrap_or(now);
        counter!(names::OUTCOMES, &labels).increment(more);
    }
}

/// Whether a queue could be read at the latest look.
pub(super) fn note_readable(watched: &Watched, readable: bool) {
    let queue = [("queue", watched.name.to_string())];
    gauge!(names::READABLE, &queue).set(f64::from(u8::from(readable)));
}

/// What the server holds in memory, and may hold.
pub(super) fn note_memory(used: u64, limit: u64) {
    gauge!(names::SERVER_MEMORY).set(number(used));
    gauge!(names::SERVER_MEMORY_LIMIT).set(number(limit));
}

#[expect(clippy::cast_precision_loss, reason = "a gauge has no more digits")]
fn number(count: u64) -> f64 {
    count as f64
}

fn seconds(ms: u64) -> f64 {
    number(ms) / 1000.0
}

pub(super) async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    gauge!(names::UP).set(if app.outage().is_none() { 1.0 } else { 0.0 });
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], app.metrics.render())
}
