//! `check`: the proof that every message is in exactly one place, and the mending of what is not.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;
use clap::Args;
use redeliver::{Counts, Damage, QueueName, Repaired, Report};
use serde::Serialize;

use crate::args::Global;
use crate::counts::Counted;
use crate::exit_code::Exit;
use crate::message::visible;
use crate::output::{many, progress};
use crate::server::Session;

const EXAMPLES: &str = "\
Examples:
  redeliver check emails -o json
  redeliver check emails --repair --dry-run
  redeliver check emails --repair";

/// `check`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CheckArgs {
    /// The queue's name.
    queue: QueueName,
    /// Mends what is found; exits with 1 only if something is left that it cannot mend.
    ///
    /// No message is lost: a record without a place becomes ready. A key of another type is never
    /// touched.
    #[arg(long)]
    repair: bool,
    /// Only says what a repair would do.
    #[arg(long, requires = "repair")]
    dry_run: bool,
}

/// The report in JSON.
#[derive(Serialize)]
struct Checked<'a> {
    clean: bool,
    /// Unknown, as the counts are, of a queue that no script can read.
    law_holds: Option<bool>,
    looked_at: u64,
    damaged: u64,
    kinds: &'a BTreeMap<Damage, u64>,
    damage: &'a [(String, Damage)],
    #[serde(skip_serializing_if = "Option::is_none")]
    mended: Option<&'a BTreeMap<Damage, u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    would_mend: Option<BTreeMap<Damage, u64>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fix: Vec<String>,
    counts: Option<Counted>,
}

pub(crate) async fn run(global: &Global, args: &CheckArgs) -> Result<Exit> {
    let session = Session::open(global).await?;
    let queue = session.queue(&args.queue)?;
    let bar = progress("ids looked at");
    let told = |seen| bar.set_position(seen);
    let (report, repaired) = if args.repair && !args.dry_run {
        let repaired = queue.repair(told).await?;
        (repaired.found.clone(), Some(repaired))
    } else {
        (queue.check(told).await?, None)
    };
    bar.finish_and_clear();
    let (counts, clean) = match &repaired {
        Some(repaired) => (&repaired.counts, repaired.is_clean()),
        None => (&report.counts, report.is_clean()),
    };
    // Where no script can read the queue, the library has only zeros to tell.
    let counts = Some(counts).filter(|_| is_readable(&report));
    let checked = Checked {
        clean,
        law_holds: counts.map(Counts::law_holds),
        looked_at: report.looked_at,
        damaged: report.damaged,
        kinds: &report.kinds,
        damage: &report.damage,
        mended: repaired.as_ref().map(|repaired| &repaired.mended),
        would_mend: args.dry_run.then(|| mendable(&report)),
        fix: fixes(&report),
        counts: counts.map(|counts| Counted { queue: args.queue.clone(), counts: counts.clone() }),
    };
    session.out.one(&checked, || in_words(args, &report, repaired.as_ref()))?;
    Ok(if clean { Exit::Ok } else { Exit::Failure })
}

fn is_readable(report: &Report) -> bool {
    !report.kinds.contains_key(&Damage::WrongType)
}

fn mendable(report: &Report) -> BTreeMap<Damage, u64> {
    let mut kinds = report.kinds.clone();
    kinds.remove(&Damage::WrongType);
    kinds
}

/// What people have to do by themselves.
fn fixes(report: &Report) -> Vec<String> {
    let wrong = report.damage.iter().filter(|(_, damage)| *damage == Damage::WrongType);
    let fix = |(key, _): &(String, Damage)| {
        format!(
            "{key} has another type: look with TYPE, then RENAME {key} {key}.damaged, then --repair"
        )
    };
    wrong.map(fix).collect()
}

fn in_words(args: &CheckArgs, report: &Report, repaired: Option<&Repaired>) -> String {
    let mut lines = if is_readable(report) {
        counted(&report.counts)
    } else {
        vec!["The queue cannot be read.".to_owned()]
    };
    let damaged = report.damaged;
    lines.push(format!("{} looked at, {damaged} damaged.", many(report.looked_at, "id")));
    lines.extend(report.kinds.iter().map(|(damage, count)| {
        let action = action(*damage);
        format!("  {count} {damage}: {action}")
    }));
    let damage = report.damage.iter();
    lines.extend(damage.map(|(about, damage)| format!("    {} {damage}", visible(about))));
    if args.dry_run {
        lines.push(format!("A repair would mend {}.", by_kind(&mendable(report))));
    }
    if let Some(repaired) = repaired {
        lines.push(format!("Mended {}.", by_kind(&repaired.mended)));
        if is_readable(report) {
            let holds = if repaired.counts.law_holds() { "holds" } else { "IS BROKEN" };
            lines.push(format!("The law {holds} now."));
        }
    }
    lines.extend(fixes(report).into_iter().map(|fix| format!("Fix: {fix}")));
    lines.join("\n")
}

fn counted(counts: &Counts) -> Vec<String> {
    let holds = if counts.law_holds() { "holds" } else { "IS BROKEN" };
    vec![
        format!(
            "{} ready + {} scheduled + {} pending + {} dead, {} records",
            counts.ready, counts.scheduled, counts.pending, counts.dead, counts.messages
        ),
        format!(
            "{} pushed = {} live + {} acked + {} cancelled + {} purged + {} trimmed + {} vanished",
            counts.pushed,
            counts.messages,
            counts.acked,
            counts.cancelled,
            counts.purged,
            counts.trimmed,
            counts.vanished
        ),
        format!("The law {holds}."),
    ]
}

fn by_kind(kinds: &BTreeMap<Damage, u64>) -> String {
    let mut text = String::new();
    for (damage, count) in kinds {
        let comma = if text.is_empty() { "" } else { ", " };
        // A string takes everything.
        let _written = write!(text, "{comma}{count} {damage}");
    }
    if text.is_empty() { "nothing".to_owned() } else { text }
}

/// What a repair makes of it.
fn action(damage: Damage) -> &'static str {
    match damage {
        Damage::Ghost => "an id without a record is removed",
        Damage::Orphan => "a record in no state becomes ready",
        Damage::Twice => "an id stays in one state, once",
        Damage::BadTime => "an impossible time becomes now",
        Damage::StrayLine => "an attempt line without a record is removed",
        Damage::BadLine => "an unreadable attempt line is replaced, and old receipts are lost",
        Damage::StaleKey => "a deduplication key without a message is removed",
        Damage::CrossedKey => "a key and its message are made to name each other",
        Damage::LostBell => "the bell is rung",
        Damage::Tokens => "one token stays in bell and alarm",
        Damage::BadCounter => "a counter that is no number is removed",
        Damage::Counters => "what left by no script counts as vanished",
        Damage::WrongType => "a key of another type is left alone",
        _ => "it is mended",
    }
}
