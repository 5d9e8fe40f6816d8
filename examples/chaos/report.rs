//! What a run has shown.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use crate::history::Verdict;
use crate::history::check::Summary;
use crate::law::Law;
use crate::stage::Recovery;
use crate::{Format, RunArgs};

pub(crate) struct Report {
    pub(crate) summary: Summary,
    pub(crate) law: Law,
    pub(crate) recovery: Recovery,
    pub(crate) audit: redeliver::Report,
    pub(crate) faults: BTreeMap<&'static str, u64>,
}

/// The last line.
#[derive(Serialize)]
struct Line<'a> {
    messages: u64,
    faults: &'a BTreeMap<&'static str, u64>,
    events: u64,
    lost: u64,
    overlap: u64,
    phantom: u64,
    corrupt: u64,
    early: u64,
    zombie: u64,
    over_attempt: u64,
    premature_dead: u64,
    stale_accept: u64,
    duplicated_after_expiry: u64,
    pushed_again: u64,
    recovered: u64,
    absent_unknown: u64,
    refused: u64,
    duplicate: u64,
    dead: u64,
    unreadable: u64,
    outstanding: u64,
    damaged: u64,
    recovery_ms: u128,
    law_samples: u64,
    law_broken: u64,
    verdict: &'static str,
}

impl Report {
    fn passes(&self) -> bool {
        self.summary.passes()
            && self.law.broken == 0
            && self.audit.is_clean()
            && self.recovery.counts.outstanding() == 0
    }

    fn line(&self) -> Line<'_> {
        let count = |verdict| self.summary.count(verdict);
        Line {
            messages: self.summary.messages,
            faults: &self.faults,
            events: self.summary.events,
            lost: count(Verdict::Lost),
            overlap: count(Verdict::Overlap),
            phantom: count(Verdict::Phantom),
            corrupt: count(Verdict::Corrupt),
            early: count(Verdict::Early),
            zombie: count(Verdict::Zombie),
            over_attempt: count(Verdict::OverAttempt),
            premature_dead: count(Verdict::PrematureDead),
            stale_accept: count(Verdict::StaleAccept),
            duplicated_after_expiry: count(Verdict::DuplicatedAfterExpiry),
            pushed_again: count(Verdict::PushedAgain),
            recovered: count(Verdict::Recovered),
            absent_unknown: count(Verdict::AbsentUnknown),
            refused: count(Verdict::Refused),
            duplicate: count(Verdict::Duplicate),
            dead: self.recovery.counts.dead,
            unreadable: self.summary.unreadable,
            outstanding: self.recovery.counts.outstanding(),
            damaged: self.audit.damaged,
            recovery_ms: self.recovery.took.as_millis(),
            law_samples: self.law.samples,
            law_broken: self.law.broken,
            verdict: if self.passes() { "pass" } else { "fail" },
        }
    }

    /// Shows it, and says whether all is as promised.
    pub(crate) fn show(&self, format: Format) -> Result<bool> {
        for (verdict, id) in &self.summary.shown {
            tell(&format!("{verdict:?}: {id}"));
        }
        if let Some(counts) = &self.law.first {
            tell(&format!("the law was broken first by {counts:?}"));
        }
        for (id, damage) in &self.audit.damage {
            tell(&format!("{damage:?}: {id}"));
        }
        let line = serde_json::to_value(self.line())?;
        let mut out = io::stdout().lock();
        match format {
            Format::Json => writeln!(out, "{}", serde_json::to_string(&self.line())?)?,
            Format::Text => {
                for (name, value) in line.as_object().into_iter().flatten() {
                    writeln!(out, "{name:>24}  {value}")?;
                }
            }
        }
        Ok(self.passes())
    }
}

pub(crate) fn announce(args: &RunArgs, seed: u64, dir: &Path) {
    let (seconds, faults, fsync) = (args.seconds, &args.faults, &args.appendfsync);
    let dir = dir.display();
    tell(&format!("seed {seed}, {seconds} s, faults {faults}, appendfsync {fsync}, in {dir}"));
}

pub(crate) fn kept(dir: &Path, seed: u64) {
    tell(&format!("seed {seed}: the histories are kept in {}", dir.join("history").display()));
}

/// For people; the result alone goes to stdout.
fn tell(line: &str) {
    writeln!(io::stderr(), "{line}").ok();
}
