//! What a run has shown.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::Result;
use clap::ValueEnum as _;
use serde::Serialize;

use crate::agent::Point;
use crate::faults::Fault;
use crate::history::Verdict;
use crate::history::check::Summary;
use crate::history::pushes::Pushes;
use crate::history::times::Figures;
use crate::law::Law;
use crate::stage::Recovery;
use crate::topology::Topology;
use crate::{Format, RunArgs};

pub(crate) struct Report {
    pub(crate) summary: Summary,
    pub(crate) law: Law,
    pub(crate) recovery: Recovery,
    pub(crate) audit: redeliver::Report,
    pub(crate) faults: BTreeMap<&'static str, u64>,
    pub(crate) half_open: Figures,
    pub(crate) restarts: Figures,
}

/// The last line.
#[derive(Serialize)]
struct Line<'a> {
    seed: u64,
    seconds: u64,
    topology: String,
    appendfsync: &'a str,
    messages: u64,
    faults: u64,
    process_kills: u64,
    server_kills: u64,
    /// Times at which another master was made or elected.
    failovers: u64,
    /// Slots that moved to another node.
    migrations: u64,
    by_fault: &'a BTreeMap<&'static str, u64>,
    events: u64,
    ok: u64,
    lost: u64,
    overlap: u64,
    phantom: u64,
    corrupt: u64,
    early: u64,
    late: u64,
    zombie: u64,
    over_attempt: u64,
    premature_dead: u64,
    stale_accept: u64,
    duplicated_after_expiry: u64,
    clock_stepped: u64,
    pushed_again: u64,
    recovered: u64,
    absent_unknown: u64,
    refused: u64,
    duplicate: u64,
    #[serde(flatten)]
    pushes: &'a Pushes,
    unreplicated: u64,
    undone: u64,
    dead: u64,
    unreadable: u64,
    outstanding: u64,
    damaged: u64,
    recovery_ms: u128,
    takeover: &'a Figures,
    half_open: &'a Figures,
    restart: &'a Figures,
    law_samples: u64,
    law_broken: u64,
    busy_samples: u64,
    verdict: &'static str,
}

impl Report {
    fn passes(&self) -> bool {
        self.summary.passes()
            && self.law.broken == 0
            && self.audit.is_clean()
            && self.recovery.counts.outstanding() == 0
            && self.half_open.pass()
            && self.restarts.pass()
    }

    /// Processes killed from outside and by themselves.
    fn process_kills(&self) -> u64 {
        let points = Point::value_variants().iter().map(|point| point.name());
        points.chain(["kill"]).filter_map(|name| self.faults.get(name)).sum()
    }

    fn struck(&self, faults: impl IntoIterator<Item = Fault>) -> u64 {
        let counts = faults.into_iter().map(|fault| self.faults.get(fault.name()));
        counts.flatten().sum()
    }

    fn line<'a>(&'a self, args: &'a RunArgs, seed: u64, takeover: &'a Figures) -> Line<'a> {
        let count = |verdict| self.summary.count(verdict);
        let struck = self.faults.iter().filter(|(name, _)| **name != "unreached");
        Line {
            seed,
            seconds: args.seconds,
            topology: args.topology.to_string(),
            appendfsync: &args.appendfsync,
            messages: self.summary.messages,
            faults: struck.map(|(_, count)| count).sum(),
            process_kills: self.process_kills(),
            server_kills: self.struck([Fault::Server]),
            failovers: self.struck(Fault::CHANGE_MASTERS),
            migrations: self.struck([Fault::Migrate]),
            by_fault: &self.faults,
            events: self.summary.events,
            ok: count(Verdict::Ok),
            lost: count(Verdict::Lost),
            overlap: count(Verdict::Overlap),
            phantom: count(Verdict::Phantom),
            corrupt: count(Verdict::Corrupt),
            early: count(Verdict::Early),
            late: count(Verdict::Late),
            zombie: count(Verdict::Zombie),
            over_attempt: count(Verdict::OverAttempt),
            premature_dead: count(Verdict::PrematureDead),
            stale_accept: count(Verdict::StaleAccept),
            duplicated_after_expiry: count(Verdict::DuplicatedAfterExpiry),
            clock_stepped: count(Verdict::ClockStepped),
            pushed_again: count(Verdict::PushedAgain),
            recovered: count(Verdict::Recovered),
            absent_unknown: count(Verdict::AbsentUnknown),
            refused: count(Verdict::Refused),
            duplicate: count(Verdict::Duplicate),
            pushes: &self.summary.pushes,
            unreplicated: self.summary.unreplicated,
            undone: self.summary.undone,
            dead: self.recovery.counts.dead,
            unreadable: self.summary.unreadable,
            outstanding: self.recovery.counts.outstanding(),
            damaged: self.audit.damaged,
            recovery_ms: self.recovery.took.as_millis(),
            takeover,
            half_open: &self.half_open,
            restart: &self.restarts,
            law_samples: self.law.samples,
            law_broken: self.law.broken,
            busy_samples: self.law.busy,
            verdict: if self.passes() { "pass" } else { "fail" },
        }
    }

    /// Shows it, and says whether all is as promised.
    pub(crate) fn show(&self, args: &RunArgs, seed: u64) -> Result<bool> {
        for (verdict, id) in &self.summary.shown {
            tell(&format!("{verdict:?}: {id}"));
        }
        if let Some(counts) = &self.law.first {
            tell(&format!("the law was broken first by {counts:?}"));
        }
        for (id, damage) in &self.audit.damage {
            tell(&format!("{damage:?}: {id}"));
        }
        if args.topology != Topology::One {
            tell(&self.summary.pushes.to_string());
        }
        let takeover = self.summary.takeovers.figures();
        let line = self.line(args, seed, &takeover);
        let mut out = io::stdout().lock();
        match args.output {
            Format::Json => writeln!(out, "{}", serde_json::to_string(&line)?)?,
            Format::Text => {
                let line = serde_json::to_value(line)?;
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
pub(crate) fn tell(line: &str) {
    writeln!(io::stderr(), "{line}").ok();
}
