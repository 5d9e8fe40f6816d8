//! What the server's own settings mean for queues.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::durability;
use super::finding::{Finding, fail, hidden, note, ok, warn};
use super::probe::Probe;

/// Lowest releases with the fixes of October 2025 for CVE-2025-49844, -46817 and -46818 (code
/// execution by Lua). Series without an entry get no fixes from their makers.
const PATCHED: [(&str, &[[u32; 3]]); 2] = [
    ("Redis", &[[7, 2, 11], [7, 4, 6], [8, 0, 4], [8, 2, 2]]),
    ("Valkey", &[[7, 2, 11], [8, 0, 6], [8, 1, 4], [9, 0, 0]]),
];
/// The oldest that has what the scripts need.
const OLDEST: [(&str, [u32; 3]); 2] = [("Redis", [7, 0, 0]), ("Valkey", [7, 2, 0])];
/// Above this share memory or connections are nearly used up.
const NEARLY: f64 = 0.9;
/// Fragmentation above this, on more than `SMALL` bytes, wastes memory that could hold messages.
const MAX_FRAGMENTATION: f64 = 1.5;
const SMALL: f64 = 256.0 * 1024.0 * 1024.0;
/// How far the server's clock may seem to move beside ours between two looks.
const MAX_JUMP_MS: i64 = 500;
const CLOCK_PAUSE: Duration = Duration::from_millis(200);
/// An offset that people will wonder about in logs; it harms nothing.
const LARGE_OFFSET_MS: i64 = 5_000;
/// Scripts take a few ms; the slow log counts in us.
const SLOW_US: i64 = 50_000;
const SLOW_LOOKS: u32 = 128;

type Info = HashMap<String, String>;

pub(super) async fn check(probe: &Probe) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    if let Some(info) = probe.info("everything").await? {
        found.push(version(&info));
        found.push(memory(&info));
        found.push(clients(&info));
        found.push(persistence(probe, &info).await?);
        found.extend(last_writes(&info));
        found.push(replicas(probe, &info).await?);
        found.extend(durability::check(probe, &info).await?);
        if info.get("cluster_enabled").is_some_and(|enabled| enabled == "1") {
            found.extend(cluster(probe).await?);
        }
    } else {
        found.push(hidden("server", "INFO"));
    }
    found.push(policy(probe).await?);
    found.push(clock(probe).await?);
    found.push(slow_scripts(probe).await?);
    Ok(found)
}

fn number(info: &Info, name: &str) -> f64 {
    info.get(name).and_then(|value| value.parse().ok()).unwrap_or(0.0)
}

fn parts(version: &str) -> [u32; 3] {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

fn version(info: &Info) -> Finding {
    if let Some(own) = info.get("redeliver_version") {
        let says = format!("embedded engine {own}, for a first look and for tests");
        return warn("version", says, "in production use Redis or Valkey, by --url");
    }
    let valkey = info.get("valkey_version").map(|version| ("Valkey", version.as_str()));
    let redis = info.get("redis_version").map(|version| ("Redis", version.as_str()));
    let Some((name, text)) = valkey.or(redis) else {
        return note("version", "the server does not tell its version");
    };
    judge(name, text)
}

fn judge(name: &str, text: &str) -> Finding {
    let version = parts(text);
    let oldest = OLDEST.iter().find(|(engine, _)| *engine == name).map(|(_, oldest)| *oldest);
    if oldest.is_some_and(|oldest| version < oldest) {
        let says = format!("{name} {text} is older than redeliver can use");
        return fail("version", says, "upgrade to Redis 7.0, Valkey 7.2 or newer");
    }
    let series = PATCHED.iter().filter(|(engine, _)| *engine == name).flat_map(|(_, all)| *all);
    let newest = series.clone().max().copied().unwrap_or_default();
    let own = series.clone().find(|patched| patched[..2] == version[..2]);
    if own.map_or(version > newest, |patched| version >= *patched) {
        return ok("version", format!("{name} {text}"));
    }
    let says = format!(
        "{name} {text} may lack the fixes of October 2025 for code execution by Lua; \
        distributions back-port them without a new number"
    );
    let wanted = own.or_else(|| series.clone().find(|patched| **patched > version));
    let [major, minor, patch] = wanted.copied().unwrap_or(newest);
    let fix = format!(
        "look at your package's changelog for CVE-2025-49844, or upgrade to {name} {major}.{minor}.{patch}"
    );
    warn("version", says, fix)
}

async fn policy(probe: &Probe) -> Result<Finding> {
    let Some(policy) = probe.config("maxmemory-policy").await? else {
        return Ok(hidden("eviction", "CONFIG GET maxmemory-policy"));
    };
    let fix = "CONFIG SET maxmemory-policy noeviction, and the same in the server's file";
    Ok(if policy.starts_with("allkeys") {
        fail("eviction", format!("{policy} may evict a whole queue"), fix)
    } else if policy.starts_with("volatile") {
        warn("eviction", format!("{policy} spares queues, but evicts what shares the server"), fix)
    } else {
        ok("eviction", format!("{policy}: a full server refuses pushes and keeps what it has"))
    })
}

async fn persistence(probe: &Probe, info: &Info) -> Result<Finding> {
    let about = "persistence";
    if number(info, "aof_enabled") > 0.0 {
        return Ok(match probe.config("appendfsync").await?.as_deref() {
            Some("always") => {
                ok(about, "AOF, always: a power loss loses nothing that was confirmed")
            }
            Some("no") => warn(
                about,
                "AOF without fsync: a power loss loses what the system had not written, often 30 s",
                "CONFIG SET appendfsync everysec",
            ),
            Some(_) => ok(about, "AOF, everysec: a power loss loses about the last second"),
            None => note(about, "AOF is on; not allowed to look: CONFIG GET appendfsync"),
        });
    }
    let fix = "CONFIG SET appendonly yes, and the same in the server's file";
    let save = probe.config("save").await?;
    Ok(match save.as_deref() {
        Some("") => fail(about, "none: a restart of the server loses every message", fix),
        Some(save) => warn(
            about,
            format!("snapshots only ({save}): a crash loses all that came after the last one"),
            fix,
        ),
        None => {
            warn(about, "AOF is off: a crash loses what came after the last snapshot, or all", fix)
        }
    })
}

fn last_writes(info: &Info) -> Vec<Finding> {
    let fix = "look at the server's log and at the space on its disk";
    let bad = |name: &str| info.get(name).is_some_and(|status| status != "ok");
    let mut found = Vec::new();
    if bad("aof_last_write_status") {
        found.push(fail("disk", "the last write of the AOF failed: pushes are refused", fix));
    }
    if bad("aof_last_bgrewrite_status") {
        found.push(warn("disk", "the last rewrite of the AOF failed: it grows without end", fix));
    }
    if bad("rdb_last_bgsave_status") {
        found.push(fail("disk", "the last snapshot failed: the server may refuse writes", fix));
    }
    found
}

async fn replicas(probe: &Probe, info: &Info) -> Result<Finding> {
    let about = "replicas";
    if info.get("role").is_some_and(|role| role == "slave") {
        let fix = "give redeliver the master's address";
        return Ok(fail(about, "this server is a replica and takes no writes", fix));
    }
    let count = number(info, "connected_slaves");
    if count == 0.0 {
        return Ok(note(about, "none: what the disk does not have is gone with the machine"));
    }
    let lost = "a failover loses what the replica had not received";
    Ok(match probe.config("min-replicas-to-write").await?.as_deref() {
        Some("0") => warn(
            about,
            format!("{count}; {lost}, and a cut-off master goes on taking pushes"),
            "CONFIG SET min-replicas-to-write 1",
        ),
        _ => ok(about, format!("{count}; {lost}")),
    })
}

/// What the Cluster is like, as this node sees it.
async fn cluster(probe: &Probe) -> Result<Vec<Finding>> {
    let about = "cluster";
    let Some(told) = probe.look::<String>(redis::cmd("CLUSTER").arg("INFO")).await? else {
        return Ok(vec![hidden(about, "CLUSTER INFO")]);
    };
    let field = |name| {
        let told = told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        told.unwrap_or_default().trim()
    };
    let mut found = Vec::new();
    if field("cluster_state") != "ok" || field("cluster_slots_ok") != "16384" {
        let (state, sound) = (field("cluster_state"), field("cluster_slots_ok"));
        let says = format!("{state}, {sound} of 16384 slots are served");
        found.push(fail(about, says, "redis-cli --cluster check, then fix"));
    } else {
        found.push(ok(about, format!("{} masters serve all slots", field("cluster_size"))));
    }
    if probe.config("cluster-require-full-coverage").await?.as_deref() == Some("yes") {
        let says = "one shard that is down stops the queues of all";
        found.push(warn(about, says, "CONFIG SET cluster-require-full-coverage no"));
    }
    Ok(found)
}

fn memory(info: &Info) -> Finding {
    let (used, limit) = (number(info, "used_memory"), number(info, "maxmemory"));
    let total = number(info, "total_system_memory");
    let most = if limit > 0.0 { limit } else { total };
    let mib = |bytes: f64| format!("{:.0} MiB", bytes / 1_048_576.0);
    let says = format!("{} of {} used", mib(used), mib(most));
    let fragmentation = number(info, "mem_fragmentation_ratio");
    if most > 0.0 && used > most * NEARLY {
        let fix = "make room: workers, dead purge, a larger maxmemory, or a larger machine";
        return fail("memory", format!("{says}: pushes will be refused"), fix);
    }
    if limit == 0.0 {
        let fix = "CONFIG SET maxmemory to what the machine can spare";
        return warn(
            "memory",
            format!("{says}, without a limit: the system may kill the server"),
            fix,
        );
    }
    if fragmentation > MAX_FRAGMENTATION && used > SMALL {
        let fix = "CONFIG SET activedefrag yes, or restart the server";
        return warn("memory", format!("{says}, fragmentation {fragmentation:.2}"), fix);
    }
    ok("memory", says)
}

fn clients(info: &Info) -> Finding {
    let (now, most) = (number(info, "connected_clients"), number(info, "maxclients"));
    let says = format!("{now} of {most} connections; a worker takes 5");
    if most > 0.0 && now > most * NEARLY {
        return warn("clients", says, "raise maxclients, and the system's limit of open files");
    }
    ok("clients", says)
}

/// The offset to our own clock is only told; a jump of the server's clock moves every deadline.
async fn clock(probe: &Probe) -> Result<Finding> {
    let begun = Instant::now();
    let Some((first, offset)) = server_ms(probe).await? else {
        return Ok(hidden("clock", "TIME"));
    };
    tokio::time::sleep(CLOCK_PAUSE).await;
    let Some((second, _)) = server_ms(probe).await? else {
        return Ok(hidden("clock", "TIME"));
    };
    let passed = i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX);
    let told = second - first;
    if told < 0 || told > passed + MAX_JUMP_MS {
        let says = format!("the server's clock moved by {told} ms within {passed} ms");
        let fix = "let the server's clock be slewed, not stepped (chrony without makestep)";
        return Ok(warn("clock", says, fix));
    }
    let says = format!("steady, {offset} ms beside this host's, which does not matter");
    Ok(if offset.abs() > LARGE_OFFSET_MS { note("clock", says) } else { ok("clock", says) })
}

/// The server's time, and how far it is beside ours.
async fn server_ms(probe: &Probe) -> Result<Option<(i64, i64)>> {
    let told: Option<(i64, i64)> = probe.look(&redis::cmd("TIME")).await?;
    let ours = jiff::Timestamp::now().as_millisecond();
    Ok(told.map(|(seconds, micros)| seconds * 1000 + micros / 1000).map(|ms| (ms, ms - ours)))
}

async fn slow_scripts(probe: &Probe) -> Result<Finding> {
    let about = "slow log";
    let look = redis::cmd("SLOWLOG").arg("GET").arg(SLOW_LOOKS).to_owned();
    let Some(entries): Option<Vec<Vec<redis::Value>>> = probe.look(&look).await? else {
        return Ok(hidden(about, "SLOWLOG GET"));
    };
    let slow = entries.iter().filter_map(|entry| {
        let micros: i64 = redis::from_redis_value(entry.get(2)?.clone()).ok()?;
        let words: Vec<String> = redis::from_redis_value(entry.get(3)?.clone()).ok()?;
        let script = words.first()?.eq_ignore_ascii_case("evalsha");
        (script && micros >= SLOW_US).then_some(micros)
    });
    let slow: Vec<_> = slow.collect();
    let Some(slowest) = slow.iter().max() else {
        return Ok(ok(about, "no script took 50 ms or more"));
    };
    let says = format!("{} scripts took 50 ms or more, {} ms at most", slow.len(), slowest / 1000);
    let fix = "look at payload sizes and at what cancels or repairs among many ready messages";
    Ok(warn(about, says, fix))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;

    #[test]
    fn each_version_has_its_verdict() {
        for (name, text, severity) in [
            ("Redis", "6.2.20", Severity::Fail),
            ("Redis", "7.0.15", Severity::Warn),
            ("Redis", "7.2.10", Severity::Warn),
            ("Redis", "7.2.11", Severity::Ok),
            ("Redis", "8.4.0", Severity::Ok),
            ("Valkey", "8.1.3", Severity::Warn),
            ("Valkey", "9.1.0", Severity::Ok),
        ] {
            assert_eq!(judge(name, text).severity, severity, "{name} {text}");
        }
    }
}
