//! What all runs came to.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use crate::Format;
use crate::cluster::Outcome;
use crate::history::Verdict;

/// So many failures are told in full.
const MAX_SHOWN: usize = 10;
/// Long runs say so often where they are.
const PROGRESS: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Report {
    begun: Instant,
    told: Instant,
    jobs: usize,
    wanted: u64,
    seeds: u64,
    steps: u64,
    messages: u64,
    virtual_time: Duration,
    states: HashSet<u64>,
    faults: BTreeMap<&'static str, u64>,
    verdicts: BTreeMap<Verdict, u64>,
    failed: Vec<(u64, Vec<String>)>,
    /// Of all runs, in whatever order they ended.
    hash: u64,
}

/// The last line.
#[derive(Serialize)]
struct Line<'a> {
    seeds: u64,
    jobs: usize,
    seconds: f64,
    /// Of all processors.
    cpu_seconds: f64,
    virtual_seconds: f64,
    /// Virtual seconds for each second of a processor.
    speed: f64,
    states: usize,
    steps: u64,
    messages: u64,
    fault_count: u64,
    faults: &'a BTreeMap<&'static str, u64>,
    lost: u64,
    verdicts: &'a BTreeMap<Verdict, u64>,
    failed: Vec<u64>,
    hash: String,
    verdict: &'static str,
}

impl Report {
    pub(crate) fn new(jobs: usize, wanted: u64) -> Self {
        let begun = Instant::now();
        Self {
            begun,
            told: begun,
            jobs,
            wanted,
            seeds: 0,
            steps: 0,
            messages: 0,
            virtual_time: Duration::ZERO,
            states: HashSet::new(),
            faults: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            failed: Vec::new(),
            hash: 0,
        }
    }

    pub(crate) fn note(&mut self, outcome: Outcome) -> io::Result<()> {
        self.seeds += 1;
        self.steps += outcome.steps;
        self.messages += outcome.messages;
        self.virtual_time += outcome.virtual_time;
        self.hash ^= outcome.hash.wrapping_mul(2 * outcome.seed + 1);
        self.states.extend(&outcome.states);
        for (name, count) in outcome.faults {
            *self.faults.entry(name).or_default() += count;
        }
        for (verdict, count) in outcome.verdicts {
            *self.verdicts.entry(verdict).or_default() += count;
        }
        if !outcome.failures.is_empty() {
            writeln!(io::stderr(), "seed {} failed", outcome.seed)?;
            self.failed.push((outcome.seed, outcome.failures));
        }
        if self.told.elapsed() >= PROGRESS {
            self.told = Instant::now();
            self.tell_progress()?;
        }
        Ok(())
    }

    fn tell_progress(&self) -> io::Result<()> {
        let Self { seeds, wanted, messages, .. } = self;
        let (failed, lost) = (self.failed.len(), self.lost());
        let seconds = self.begun.elapsed().as_secs();
        writeln!(
            io::stderr(),
            "{seeds} of {wanted} seeds after {seconds} s: {messages} messages, {lost} lost, \
             {failed} seeds failed"
        )
    }

    fn lost(&self) -> u64 {
        self.verdicts.get(&Verdict::Lost).copied().unwrap_or(0)
    }

    /// Shows it, and says whether all is as promised.
    pub(crate) fn show(mut self, format: Format) -> Result<bool> {
        self.failed.sort_unstable();
        for (seed, failures) in self.failed.iter().take(MAX_SHOWN) {
            tell(&format!("seed {seed}: {}", failures.join("; ")))?;
            tell(&format!("  cargo run --release --example simulate -- --seed {seed} --trace"))?;
        }
        let seconds = self.begun.elapsed().as_secs_f64();
        let passed = self.failed.is_empty();
        let virtual_seconds = self.virtual_time.as_secs_f64();
        let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let cpu_seconds = spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9;
        let speed = virtual_seconds / cpu_seconds;
        let line = Line {
            seeds: self.seeds,
            jobs: self.jobs,
            seconds,
            cpu_seconds,
            virtual_seconds,
            speed,
            states: self.states.len(),
            steps: self.steps,
            messages: self.messages,
            fault_count: self.faults.values().sum(),
            faults: &self.faults,
            lost: self.lost(),
            verdicts: &self.verdicts,
            failed: self.failed.iter().map(|(seed, _)| *seed).collect(),
            hash: format!("{:016x}", self.hash),
            verdict: if passed { "pass" } else { "fail" },
        };
        match format {
            Format::Json => tell(&serde_json::to_string(&line)?)?,
            Format::Text => {
                if let serde_json::Value::Object(fields) = serde_json::to_value(line)? {
                    for (name, value) in fields {
                        tell(&format!("{name:>16} {value}"))?;
                    }
                }
            }
        }
        Ok(passed)
    }
}

pub(crate) fn tell(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}
