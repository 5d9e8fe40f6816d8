//! What is wrong with a queue at a glance; `check` proves the rest.

use redeliver::{Counts, Error, QueueName};

use super::finding::{Finding, fail, note, ok, warn};
use crate::output::many;
use crate::server::Session;

/// Pollers look at least every 5 s; twice that late means that there is none.
const LATE_MS: u64 = 10_000;
const ABOUT: &str = "queue";

pub(super) async fn check(session: &Session, name: &QueueName) -> anyhow::Result<Vec<Finding>> {
    match session.queue(name)?.counts().await {
        Ok(counts) => Ok(judge(name, &counts)),
        Err(error @ Error::Layout { .. }) => {
            let fix = "use the version of redeliver that wrote it";
            Ok(vec![fail(ABOUT, format!("{name}: {error}"), fix)])
        }
        Err(Error::Refused { reason }) => {
            let fix = format!("redeliver check {name}");
            Ok(vec![fail(ABOUT, format!("{name}: {reason}"), fix)])
        }
        Err(error) => Err(error.into()),
    }
}

fn judge(name: &QueueName, counts: &Counts) -> Vec<Finding> {
    let mut found = Vec::new();
    if !counts.law_holds() {
        let fix = format!("redeliver check {name} --repair --dry-run");
        found.push(fail(ABOUT, format!("{name}: the law is broken"), fix));
    }
    let late = |at: Option<u64>| at.is_some_and(|at| at.saturating_add(LATE_MS) < counts.now_ms);
    if late(counts.next_due_ms) || late(counts.next_deadline_ms) {
        let fix = format!("run a worker, or redeliver poll {name}");
        found.push(fail(
            ABOUT,
            format!("{name}: messages are due, and no poller brings them"),
            fix,
        ));
    }
    if counts.paused {
        let fix = format!("redeliver resume {name}");
        found.push(warn(ABOUT, format!("{name}: paused, nothing is handed out"), fix));
    }
    if counts.ghosts > 0 || counts.vanished > 0 {
        let lost = many(counts.ghosts + counts.vanished, "record");
        let says = format!("{name}: {lost} went from outside, by a restore, an eviction or a hand");
        found.push(warn(
            ABOUT,
            says,
            format!("redeliver check {name}, then look who removes them"),
        ));
    }
    if counts.pushed == 0 {
        found.push(note(ABOUT, format!("{name}: nothing was ever pushed")));
    } else if found.is_empty() {
        found.push(ok(ABOUT, format!("{name}: the law holds, nothing is late")));
    }
    found
}
