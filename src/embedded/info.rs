//! What the engine says of itself.
#![expect(clippy::unnecessary_wraps, reason = "all commands are of one type")]

use std::fmt::Write as _;

use super::commands::TABLE;
use super::db::{Db, is};
use super::options::{CHANGEABLE, NAMES};
use super::reply::{Fault, Outcome, Reply, SYNTAX};

/// Fields and their values.
type Section = Vec<(String, String)>;
type Teller = fn(&Db) -> Section;

/// The version whose behaviour is followed, for clients that ask for nothing else.
pub(super) const LIKE: &str = "7.2.0";

pub(super) fn time(db: &mut Db, _: &[&[u8]]) -> Outcome {
    let now = db.now();
    let parts = [now / 1_000_000, now % 1_000_000];
    Ok(Reply::Array(parts.map(|part| Reply::bulk(part.to_string().as_bytes())).into()))
}

pub(super) fn command(_: &mut Db, words: &[&[u8]]) -> Outcome {
    Ok(match words.first() {
        Some(word) if is(word, "count") => Reply::count(TABLE.len()),
        _ => Reply::Array(Vec::new()),
    })
}

/// `MEMORY USAGE key`; how much is sampled does not matter, since all of it is counted.
pub(super) fn memory(db: &mut Db, words: &[&[u8]]) -> Outcome {
    if !is(words[0], "usage") || words.len() < 2 {
        return Err(SYNTAX);
    }
    let value = db.keyspace.keys.get(words[1]);
    Ok(value.map_or(Reply::Nil, |value| Reply::count(value.bytes() + words[1].len())))
}

pub(super) fn config(db: &mut Db, words: &[&[u8]]) -> Outcome {
    let text = |word: &[u8]| String::from_utf8_lossy(word).to_ascii_lowercase();
    match words {
        [what, names @ ..] if is(what, "get") && !names.is_empty() => {
            let wanted: Vec<_> = names.iter().map(|name| text(name)).collect();
            let asked = |name: &&str| wanted.iter().any(|wanted| wanted == name || wanted == "*");
            let pairs = NAMES.split(' ').filter(asked).flat_map(|name| {
                let value = db.options.get(name).unwrap_or_default();
                [name.to_owned(), value].map(|part| Reply::bulk(part.as_bytes()))
            });
            Ok(Reply::Map(pairs.collect()))
        }
        [what, pairs @ ..] if is(what, "set") && !pairs.is_empty() && pairs.len() % 2 == 0 => {
            for pair in pairs.chunks_exact(2) {
                let (name, value) = (text(pair[0]), String::from_utf8_lossy(pair[1]));
                let refused = || -> Fault {
                    format!("ERR CONFIG SET failed (possibly related to argument '{name}')").into()
                };
                if !CHANGEABLE.split(' ').any(|known| known == name) {
                    return Err(refused());
                }
                db.options.set(&name, &value).map_err(|_| refused())?;
            }
            Ok(Reply::OK)
        }
        [what] if is(what, "resetstat") => {
            db.calls.fill(0);
            Ok(Reply::OK)
        }
        _ => Err(SYNTAX),
    }
}

pub(super) fn rewrite(db: &mut Db, _: &[&[u8]]) -> Outcome {
    let journal = db.journal.as_mut().ok_or("ERR there is no append-only file")?;
    journal.wanted = true;
    Ok(Reply::Status("Background append only file rewriting started".into()))
}

pub(super) fn info(db: &mut Db, words: &[&[u8]]) -> Outcome {
    let asked = |name: &str| {
        let all = ["all", "everything", "default", name];
        words.is_empty() || all.iter().any(|all| words.iter().any(|word| is(word, all)))
    };
    let sections: [(&str, Teller); 7] = [
        ("Server", server),
        ("Clients", clients),
        ("Memory", used),
        ("Persistence", persistence),
        ("Replication", replication),
        ("CPU", cpu),
        ("Commandstats", calls),
    ];
    let mut told = String::new();
    for (name, section) in sections {
        if asked(name) {
            // Text takes everything.
            write!(told, "# {name}\r\n").ok();
            for (field, value) in section(db) {
                write!(told, "{field}:{value}\r\n").ok();
            }
            told += "\r\n";
        }
    }
    Ok(Reply::Text(told))
}

fn fields<const N: usize>(fields: [(&str, &dyn std::fmt::Display); N]) -> Section {
    fields.map(|(name, value)| (name.to_owned(), value.to_string())).into()
}

fn server(db: &Db) -> Section {
    fields([
        ("redis_version", &LIKE),
        ("redeliver_version", &env!("CARGO_PKG_VERSION")),
        ("redis_mode", &"standalone"),
        ("process_id", &std::process::id()),
        ("tcp_port", &db.options.port),
        ("uptime_in_seconds", &(super::db::system_micros().saturating_sub(db.started) / 1_000_000)),
    ])
}

fn clients(db: &Db) -> Section {
    let blocked = db.waiting.values().flatten().filter(|waiting| !waiting.is_closed()).count();
    fields([("connected_clients", &db.clients), ("blocked_clients", &blocked), ("maxclients", &0)])
}

fn used(db: &Db) -> Section {
    fields([
        ("used_memory", &db.keyspace.used()),
        ("used_memory_dataset", &db.keyspace.used()),
        ("maxmemory", &db.options.maxmemory),
        ("maxmemory_policy", &"noeviction"),
        ("lazyfree_pending_objects", &0),
    ])
}

fn persistence(db: &Db) -> Section {
    let journal = db.journal.as_ref();
    let failed = journal.is_some_and(|journal| journal.failed.is_some());
    fields([
        ("loading", &0),
        ("aof_enabled", &u8::from(journal.is_some())),
        ("aof_rewrite_in_progress", &u8::from(journal.is_some_and(|it| it.tail.is_some()))),
        ("aof_rewrite_scheduled", &u8::from(journal.is_some_and(|it| it.wanted))),
        ("aof_rewrites", &journal.map_or(0, |journal| journal.rewrites)),
        ("aof_current_size", &journal.map_or(0, |journal| journal.length)),
        ("aof_last_bgrewrite_status", &"ok"),
        ("aof_last_write_status", &if failed { "err" } else { "ok" }),
    ])
}

fn replication(_: &Db) -> Section {
    fields([("role", &"master"), ("connected_slaves", &0)])
}

/// Of the whole process.
fn cpu(_: &Db) -> Section {
    #[cfg(unix)]
    let seconds = {
        let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        format!("{}.{:09}", spent.tv_sec, spent.tv_nsec)
    };
    #[cfg(not(unix))]
    let seconds = "0";
    fields([("used_cpu_user", &seconds), ("used_cpu_sys", &0)])
}

fn calls(db: &Db) -> Section {
    let called = TABLE.iter().zip(&db.calls).filter(|(_, calls)| **calls > 0);
    let told = called.map(|(command, calls)| (command.name, format!("calls={calls},usec=0")));
    told.map(|(name, told)| (format!("cmdstat_{name}"), told)).collect()
}
