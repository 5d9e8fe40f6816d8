//! Which durability of a push the server can prove.

use std::collections::HashMap;

use anyhow::Result;

use super::finding::{Finding, note, ok, warn};
use super::probe::Probe;
use crate::output::many;

const SYNCED: &str = "synced";
const REPLICATED: &str = "replicated";

/// Nobody has to use these modes, so what a server cannot prove is a note.
pub(super) async fn check(probe: &Probe, info: &HashMap<String, String>) -> Result<Vec<Finding>> {
    let [aof, fsync, rewriting, replicas, lag] = [
        probe.config("appendonly").await?,
        probe.config("appendfsync").await?,
        probe.config("no-appendfsync-on-rewrite").await?,
        probe.config("min-replicas-to-write").await?,
        probe.config("min-replicas-max-lag").await?,
    ];
    let mut found = vec![synced(aof.as_deref(), fsync.as_deref(), rewriting.as_deref())];
    // A replica says so elsewhere.
    if info.get("role").is_none_or(|role| role != "slave") {
        found.push(replicated(connected(info), replicas.as_deref(), lag.as_deref()));
    }
    Ok(found)
}

fn connected(info: &HashMap<String, String>) -> u32 {
    info.get("connected_slaves").and_then(|count| count.parse().ok()).unwrap_or_default()
}

fn with_fix(about: &'static str, says: &str, fix: &str) -> Finding {
    Finding { fix: Some(fix.to_owned()), ..note(about, says) }
}

fn synced(aof: Option<&str>, fsync: Option<&str>, rewriting: Option<&str>) -> Finding {
    match (aof, fsync, rewriting) {
        (None, ..) | (_, None, _) => note(SYNCED, "not allowed to look, nor is a push: CONFIG GET"),
        (Some("yes"), Some("always"), Some("yes")) => with_fix(
            SYNCED,
            "cannot be proven: nothing is synced while the append-only file is rewritten",
            "CONFIG SET no-appendfsync-on-rewrite no, and the same in the server's file",
        ),
        (Some("yes"), Some("always"), _) => {
            ok(SYNCED, "can be proven: every write is synced before its answer")
        }
        (Some("yes"), ..) => with_fix(
            SYNCED,
            "cannot be proven: writes are synced after their answers",
            "CONFIG SET appendfsync always, and the same in the server's file",
        ),
        _ => with_fix(
            SYNCED,
            "cannot be proven: there is no append-only file",
            "CONFIG SET appendonly yes and appendfsync always, and the same in the server's file",
        ),
    }
}

fn replicated(connected: u32, least: Option<&str>, lag: Option<&str>) -> Finding {
    if connected == 0 {
        return with_fix(
            REPLICATED,
            "cannot be proven: no replica is connected",
            "start a replica with REPLICAOF, and set min-replicas-to-write 1",
        );
    }
    let says = format!("can be proven for up to {}", many(connected.into(), "replica"));
    match least {
        Some("0") => warn(
            REPLICATED,
            format!("{says}; but a master that is cut off goes on taking pushes, unproven"),
            "CONFIG SET min-replicas-to-write 1, and min-replicas-max-lag 2",
        ),
        Some(least) => {
            let lag = lag.unwrap_or("10");
            ok(REPLICATED, format!("{says}; below {least}, or {lag} s behind, pushes are refused"))
        }
        None => ok(REPLICATED, format!("{says}; not allowed to look: min-replicas-to-write")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;

    #[test]
    fn each_setting_has_its_verdict() {
        let says = |finding: Finding| (finding.severity == Severity::Ok, finding.fix.is_some());
        assert_eq!(says(synced(Some("no"), Some("always"), Some("no"))), (false, true));
        assert_eq!(says(synced(Some("yes"), Some("always"), Some("no"))), (true, false));
        assert_eq!(says(synced(Some("yes"), Some("always"), Some("yes"))), (false, true));
        assert_eq!(says(synced(Some("yes"), Some("everysec"), Some("no"))), (false, true));
        assert_eq!(says(synced(Some("yes"), None, None)), (false, false));
        assert_eq!(says(replicated(0, Some("1"), None)), (false, true));
        assert_eq!(says(replicated(2, Some("0"), None)), (false, true));
        assert_eq!(says(replicated(2, Some("1"), Some("2"))), (true, false));
        assert_eq!(says(replicated(2, None, None)), (true, false));
    }
}
