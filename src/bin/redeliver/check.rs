//! `check`: the proof that every message is in exactly one place.

use anyhow::Result;
use redeliver::{Damage, Report};
use serde::Serialize;

use crate::args::{Global, QueueArgs};
use crate::counts::Counted;
use crate::exit_code::Exit;
use crate::message::visible;
use crate::output::{many, progress};
use crate::server::Session;

/// The report in JSON.
#[derive(Serialize)]
struct Checked<'a> {
    clean: bool,
    law_holds: bool,
    looked_at: u64,
    damaged: u64,
    damage: &'a [(String, Damage)],
    counts: Counted,
}

pub(crate) async fn run(global: &Global, args: &QueueArgs) -> Result<Exit> {
    let session = Session::open(global).await?;
    let bar = progress("ids looked at");
    let report = session.queue(&args.queue)?.check(|seen| bar.set_position(seen)).await?;
    bar.finish_and_clear();
    let checked = Checked {
        clean: report.is_clean(),
        law_holds: report.counts.law_holds(),
        looked_at: report.looked_at,
        damaged: report.damaged,
        damage: &report.damage,
        counts: Counted { queue: args.queue.clone(), counts: report.counts.clone() },
    };
    session.out.one(&checked, || in_words(&report))?;
    Ok(if report.is_clean() { Exit::Ok } else { Exit::Failure })
}

fn in_words(report: &Report) -> String {
    let counts = &report.counts;
    let holds = |holds: bool| if holds { "holds" } else { "IS BROKEN" };
    let mut lines = vec![
        format!(
            "{} ready + {} scheduled + {} pending + {} dead, {} records",
            counts.ready, counts.scheduled, counts.pending, counts.dead, counts.messages
        ),
        format!(
            "{} pushed = {} live + {} acked + {} cancelled + {} purged + {} trimmed",
            counts.pushed,
            counts.messages,
            counts.acked,
            counts.cancelled,
            counts.purged,
            counts.trimmed
        ),
        format!("The law {}.", holds(counts.law_holds())),
        format!("{} looked at, {} damaged.", many(report.looked_at, "id"), report.damaged),
    ];
    let damage = report.damage.iter();
    lines.extend(damage.map(|(id, damage)| format!("  {} {damage:?}", visible(id))));
    lines.join("\n")
}
