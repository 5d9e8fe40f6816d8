//! Metrics in the Prometheus format: what the ticker saw.
//!
//! Labels are queues, states and outcomes: no ids, no payloads, no errors.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use metrics::{counter, describe_counter, describe_gauge, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use metrics_util::MetricKindMask;
use redeliver::Counts;

use super::app::{App, Latest, Watched};

/// A queue that is gone is gone from the metrics after this.
const FORGET_AFTER: Duration = Duration::from_secs(120);
/// From a script of half a millisecond to a handler of minutes.
const BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 120.0, 600.0];

pub(super) fn install() -> Result<PrometheusHandle> {
    let builder = PrometheusBuilder::new()
        .set_buckets(&BUCKETS)?
        .idle_timeout(MetricKindMask::GAUGE, Some(FORGET_AFTER));
    let handle = builder.install_recorder()?;
    describe_gauge!("redeliver_messages", "Messages in each state.");
    describe_gauge!("redeliver_paused", "1 while the queue hands out nothing.");
    describe_gauge!("redeliver_stalled", "1 while something is due and nothing moves.");
    describe_gauge!("redeliver_up", "1 while the Redis or Valkey server answers.");
    describe_gauge!(
        "redeliver_oldest_ready_age_seconds",
        "Since the push of the message at the head of ready, by its producer's clock."
    );
    describe_gauge!(
        "redeliver_overdue_seconds",
        "How long the earliest message of the state has been due without being moved."
    );
    describe_gauge!("redeliver_poller_pass_age_seconds", "Since the last pass of our poller.");
    describe_counter!("redeliver_outcomes_total", "What ever happened to messages, by outcome.");
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
        gauge!("redeliver_messages", &labels).set(number(messages));
    }
    let ago = |at_ms: Option<u64>| at_ms.map_or(0, |at_ms| counts.now_ms.saturating_sub(at_ms));
    let heads = [("scheduled", counts.next_due_ms), ("pending", counts.next_deadline_ms)];
    for (state, at_ms) in heads {
        let labels = [("queue", name.clone()), ("state", state.to_owned())];
        gauge!("redeliver_overdue_seconds", &labels).set(seconds(ago(at_ms)));
    }
    let queue = [("queue", name.clone())];
    gauge!("redeliver_oldest_ready_age_seconds", &queue).set(seconds(latest.sample.wait_ms));
    gauge!("redeliver_paused", &queue).set(f64::from(u8::from(counts.paused)));
    gauge!("redeliver_stalled", &queue).set(f64::from(u8::from(latest.stalled.is_some())));
    if let Some(passed_ms) = watched.pulse.as_ref().and_then(|pulse| pulse.health().passed_ms) {
        gauge!("redeliver_poller_pass_age_seconds", &queue).set(seconds(passed_ms));
    }
    let earlier = before.map(outcomes).unwrap_or_default();
    for ((outcome, now), (_, before)) in outcomes(counts).into_iter().zip(earlier) {
        let labels = [("queue", name.clone()), ("outcome", outcome.to_owned())];
        // A queue that was destroyed begins anew at 0.
        let more = now.checked_sub(before).unwrap_or(now);
        counter!("redeliver_outcomes_total", &labels).increment(more);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge has no more digits")]
fn number(count: u64) -> f64 {
    count as f64
}

fn seconds(ms: u64) -> f64 {
    number(ms) / 1000.0
}

pub(super) async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    gauge!("redeliver_up").set(if app.outage().is_none() { 1.0 } else { 0.0 });
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], app.metrics.render())
}
