//! The last hour of a queue, kept in this process.

use std::collections::VecDeque;

use serde::Serialize;

use crate::rates::{Rates, Sample};

/// One point of a plot: finer than a screen shows an hour.
pub(super) const STEP_MS: u64 = 5_000;
/// An hour of steps, some 60 kB for each queue.
const MAX_SAMPLES: usize = 720;
/// Short enough to be live, long enough not to jump.
const RATE_SPAN_MS: u64 = 10_000;
/// A ticker that comes a little early still fills its step.
const SLACK_MS: u64 = 400;

/// The plots' columns, one value for each time.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Columns {
    step_ms: u64,
    at_ms: Vec<u64>,
    ready: Vec<u64>,
    scheduled: Vec<u64>,
    pending: Vec<u64>,
    dead: Vec<u64>,
    pushed: Vec<f64>,
    acked: Vec<f64>,
    retried: Vec<f64>,
    died: Vec<f64>,
    late_ms: Vec<u64>,
    wait_ms: Vec<u64>,
}

/// A ring of samples, one for each step.
#[derive(Debug, Default)]
pub(super) struct History {
    samples: VecDeque<Sample>,
    /// The largest lateness since the last step.
    late_ms: u64,
}

impl History {
    /// Takes a sample, and says how fast things go.
    pub(super) fn take(&mut self, sample: Sample) -> Rates {
        let spanning = |old: &&Sample| sample.at_ms.saturating_sub(old.at_ms) >= RATE_SPAN_MS;
        let earlier = self.samples.iter().rev().find(spanning).or(self.samples.front());
        let rates = earlier.map_or_else(Rates::default, |old| Rates::between(old, &sample));
        self.late_ms = self.late_ms.max(sample.late_ms);
        let last_ms = self.samples.back().map_or(0, |last| last.at_ms);
        if sample.at_ms.saturating_sub(last_ms) + SLACK_MS >= STEP_MS {
            self.samples.push_back(Sample { late_ms: std::mem::take(&mut self.late_ms), ..sample });
            let excess = self.samples.len().saturating_sub(MAX_SAMPLES);
            self.samples.drain(..excess);
        }
        rates
    }

    pub(super) fn columns(&self) -> Columns {
        let mut columns = Columns { step_ms: STEP_MS, ..Columns::default() };
        let mut earlier = self.samples.front();
        for sample in &self.samples {
            let rates = Rates::between(earlier.unwrap_or(sample), sample);
            earlier = Some(sample);
            columns.at_ms.push(sample.at_ms);
            columns.ready.push(sample.ready);
            columns.scheduled.push(sample.scheduled);
            columns.pending.push(sample.pending);
            columns.dead.push(sample.dead);
            columns.pushed.push(rates.pushed);
            columns.acked.push(rates.acked);
            columns.retried.push(rates.retried);
            columns.died.push(rates.died);
            columns.late_ms.push(sample.late_ms);
            columns.wait_ms.push(sample.wait_ms);
        }
        columns
    }

    /// Some points of what was outstanding, for a line the size of a word.
    pub(super) fn spark(&self, points: usize) -> Vec<u64> {
        let stride = self.samples.len().div_ceil(points.max(1)).max(1);
        let outstanding = |sample: &Sample| sample.ready + sample.scheduled + sample.pending;
        let mut spark: Vec<_> =
            self.samples.iter().rev().step_by(stride).map(outstanding).collect();
        spark.reverse();
        spark
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(at_ms: u64, pushed: u64) -> Sample {
        Sample { at_ms, pushed, ready: pushed, ..Sample::default() }
    }

    #[test]
    fn an_hour_is_kept_and_no_more() {
        let mut history = History::default();
        for second in 0..3 * 3600 {
            history.take(at(1_000_000 + second * 1000, second));
        }
        let columns = history.columns();
        assert_eq!(columns.at_ms.len(), MAX_SAMPLES);
        assert_eq!(columns.pushed.last(), Some(&1.0));
        assert!(history.spark(60).len() <= 60);
    }

    #[test]
    fn rates_span_ten_seconds_and_outlive_a_queue_that_begins_anew() {
        let mut history = History::default();
        history.take(at(1_000_000, 0));
        history.take(at(1_005_000, 50));
        assert!((history.take(at(1_010_000, 100)).pushed.round() - 10.0).abs() < 0.5);
        assert!((history.take(at(1_011_000, 0)).pushed.round() - 0.0).abs() < 0.5);
    }

    #[test]
    fn the_largest_lateness_of_a_step_is_kept() {
        let mut history = History::default();
        history.take(at(1_000_000, 0));
        history.take(Sample { late_ms: 7, ..at(1_001_000, 0) });
        history.take(at(1_005_000, 0));
        assert_eq!(history.columns().late_ms, [0, 7]);
    }
}
