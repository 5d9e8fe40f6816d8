//! The checker by itself: on kept histories, or on made up ones whose verdicts are known.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Serialize;

use crate::history::Verdict;
use crate::history::check::{Summary, check};
use crate::history::pushes::Pushes;
use crate::history::synthetic::{self, PLANTED};
use crate::history::times::Figures;

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The folder of a run's histories.
    #[arg(required_unless_present = "synthetic")]
    folder: Option<PathBuf>,
    /// Makes up the histories of so many messages, every class of violation among them, and fails
    /// unless the checker finds exactly these.
    #[arg(long, value_name = "MESSAGES", conflicts_with = "folder")]
    synthetic: Option<u64>,
}

#[derive(Serialize)]
struct Line {
    messages: u64,
    events: u64,
    unreadable: u64,
    verdicts: BTreeMap<Verdict, u64>,
    #[serde(flatten)]
    pushes: Pushes,
    unreplicated: u64,
    undone: u64,
    takeover: Figures,
    bytes: u64,
    seconds: f64,
    peak_memory_mb: Option<u64>,
    verdict: &'static str,
}

pub(crate) fn run(args: &CheckArgs) -> Result<ExitCode> {
    let made_up = args.synthetic.map(made_up).transpose()?;
    let folder = made_up.as_ref().map(tempfile::TempDir::path).or(args.folder.as_deref());
    let folder = folder.context("nothing to check")?;
    let begun = Instant::now();
    let summary = check(folder).context("the histories cannot be read")?;
    let passed = match args.synthetic {
        Some(messages) => is_exact(&summary, messages),
        None => summary.passes(),
    };
    let line = Line {
        messages: summary.messages,
        events: summary.events,
        unreadable: summary.unreadable,
        pushes: summary.pushes,
        unreplicated: summary.unreplicated,
        undone: summary.undone,
        takeover: summary.takeovers.figures(),
        verdicts: summary.verdicts,
        bytes: size(folder)?,
        seconds: begun.elapsed().as_secs_f64(),
        peak_memory_mb: peak_memory_mb(),
        verdict: if passed { "pass" } else { "fail" },
    };
    writeln!(io::stdout(), "{}", serde_json::to_string(&line)?)?;
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn made_up(messages: u64) -> Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().prefix("rd-synthetic-").tempdir()?;
    synthetic::write(folder.path(), messages)?;
    Ok(folder)
}

/// Whether each verdict was given as often as it was planted.
fn is_exact(summary: &Summary, messages: u64) -> bool {
    let exact = |verdict| summary.count(verdict) == synthetic::planted(messages, verdict);
    summary.messages == messages && PLANTED.into_iter().all(exact)
}

fn size(folder: &Path) -> io::Result<u64> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.metadata()?.len())).sum()
}

/// What the system says was the most that this process ever had in memory.
fn peak_memory_mb() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kb: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kb / 1024)
}
