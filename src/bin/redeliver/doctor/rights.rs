//! Whether the user may do what its role needs: each command once, on a queue of no name.

use anyhow::Result;
use redeliver::{MessageId, QueueName, Raw, Role, State};
use redis::{Cmd, RedisError};

use super::finding::{Finding, fail, note, ok};
use super::probe::Probe;
use crate::server::Session;

/// A command on scratch keys, in words; `HASH` is a hash that is there, `NONE` is nothing.
const HARMLESS: [&str; 42] = [
    // No such database: refused after the rights were looked at, as are the others like it.
    "SELECT none",
    "INFO server",
    "ROLE",
    "CLUSTER SLOTS",
    "ASKING",
    "TIME",
    // For no replica at all.
    "WAIT 0 1",
    "EVALSHA 0000000000000000000000000000000000000000 0",
    // A script that does not compile is never kept.
    "SCRIPT LOAD (",
    "SCRIPT EXISTS 0000000000000000000000000000000000000000",
    "HSETNX HASH f v",
    "HSET HASH f v",
    "HMGET HASH f",
    "HGET HASH f",
    "HEXISTS HASH f",
    "HLEN HASH",
    "MEMORY USAGE NONE",
    "HKEYS NONE",
    "HSCAN NONE 0",
    "TYPE NONE",
    "LLEN NONE",
    "LRANGE NONE 0 0",
    "LINDEX NONE 0",
    "LPOS NONE v",
    "LREM NONE 0 v",
    "LTRIM NONE 0 0",
    // A hash is no list.
    "LPUSH HASH v",
    "RPUSH HASH v",
    "BLPOP NONE 0.001",
    "ZCARD NONE",
    "ZCOUNT NONE 0 1",
    "ZMSCORE NONE v",
    "ZRANGE NONE 0 0",
    "ZSCAN NONE 0",
    "ZADD NONE XX 1 v",
    "ZREM NONE v",
    "HDEL NONE f",
    "DEL NONE",
    "UNLINK NONE",
    TIDY[0],
    TIDY[1],
    TIDY[2],
];
/// Whatever the user may do to remove the scratch hash, needed or not.
const TIDY: [&str; 3] = ["HDEL HASH f", "DEL HASH", "UNLINK HASH"];

/// What the user may not do.
#[derive(Debug, Default)]
struct Refused {
    commands: Vec<String>,
    keys: bool,
    /// Nobody may remove the scratch hash.
    left_behind: bool,
}

pub(super) async fn check(session: &Session, prefix: &str, role: Role) -> Result<Vec<Finding>> {
    let scratch = QueueName::new(format!("doctor.{}", MessageId::generate()))?;
    let url = session.server.url_of(&scratch).await?;
    let probe = Probe::connect(url.as_deref().unwrap_or(&session.url), &session.access).await?;
    let refused = try_all(&probe, prefix, &scratch, role).await?;
    let mut found = Vec::new();
    if refused.keys {
        let fix = format!("ACL SETUSER <user> ~{prefix}:*");
        found.push(fail("rights", format!("no right to the keys {prefix}:*"), fix));
    }
    if !refused.commands.is_empty() {
        let fix = format!("ACL SETUSER <user> +{}", refused.commands.join(" +"));
        let says = format!("{} has no right to {}", one(role), refused.commands.join(" "));
        found.push(fail("rights", says, fix));
    }
    if refused.left_behind {
        let key = scratch_key("hash", prefix, &scratch);
        let says = format!("{key} stays behind: the user may write it and not remove it");
        found.push(note("rights", says));
    }
    if found.is_empty() {
        found.push(ok("rights", format!("all that {} needs: {}", one(role), role.rules(prefix)?)));
        found.push(scripts(session, &scratch, role).await);
    }
    Ok(found)
}

/// With its article.
fn one(role: Role) -> String {
    let article = if role == Role::Operator { "an" } else { "a" };
    format!("{article} {role}")
}

async fn try_all(probe: &Probe, prefix: &str, scratch: &QueueName, role: Role) -> Result<Refused> {
    let needed = role.commands();
    let (mut refused, mut made) = (Refused::default(), false);
    for words in HARMLESS {
        let name = command_name(words);
        let is_needed = needed.contains(&name.as_str());
        let tidies = made && TIDY.contains(&words);
        let would_stay = !made && matches!(name.as_str(), "lpush" | "rpush");
        if would_stay || !is_needed && !tidies {
            continue;
        }
        let answer = probe.send::<redis::Value>(&command(words, prefix, scratch)).await;
        let Err(error) = answer else {
            made |= name.starts_with("hset");
            continue;
        };
        match refusal(&error) {
            Some(Refusal::Command) if is_needed && !refused.commands.contains(&name) => {
                refused.commands.push(name);
            }
            Some(Refusal::Keys) => refused.keys = true,
            None if error.code().is_none() => return Err(error.into()),
            _ => {}
        }
    }
    let left = probe.look::<u64>(&command("HLEN HASH", prefix, scratch)).await?;
    refused.left_behind = left.is_some_and(|fields| fields > 0);
    Ok(refused)
}

/// Each script that leaves nothing behind; an operator's whole life of a message, and then `destroy`.
async fn scripts(session: &Session, scratch: &QueueName, role: Role) -> Finding {
    match run_scripts(session, scratch, role).await {
        Ok(()) if role == Role::Producer => {
            note("scripts", "push is not tried: a producer cannot remove what it pushed")
        }
        Ok(()) => ok("scripts", "load and run by EVALSHA"),
        Err(error) => {
            let fix =
                "compare the user's rights with `redeliver doctor --role`, and the server's log";
            fail("scripts", format!("a script does not run: {error:#}"), fix)
        }
    }
}

async fn run_scripts(session: &Session, scratch: &QueueName, role: Role) -> Result<()> {
    let queue = session.queue(scratch)?;
    if role == Role::Producer {
        return Ok(());
    }
    queue.counts().await?;
    if role == Role::Worker {
        queue.claim(1).await?;
        queue.redeliver(1).await?;
        queue.dead().trim().await?;
        return Ok(());
    }
    for state in State::ALL {
        queue.peek(state, 0, 1).await?;
    }
    queue.find(&[]).await?;
    queue.check(|_| {}).await?;
    if role == Role::Operator {
        let lived = live(&queue).await;
        queue.destroy().await?;
        lived?;
    }
    Ok(())
}

async fn live(queue: &redeliver::Queue<Raw>) -> Result<()> {
    let id = queue.push(Raw::from("doctor")).await?.id();
    for delivery in queue.claim(1).await? {
        let _settled = delivery.bury("doctor").await?;
    }
    queue.redeliver(1).await?;
    queue.dead().redrive(&[id]).await?;
    for delivery in queue.claim(1).await? {
        let _settled = delivery.release(std::time::Duration::ZERO).await?;
    }
    queue.cancel(&[id]).await?;
    queue.pause().await?;
    queue.resume().await?;
    queue.repair(|_| {}).await?;
    Ok(())
}

/// As the rules of `ACL SETUSER` spell it.
fn command_name(words: &str) -> String {
    let mut parts = words.split(' ');
    let first = parts.next().unwrap_or_default().to_lowercase();
    match (first.as_str(), parts.next()) {
        ("script" | "memory" | "cluster", Some(sub)) => format!("{first}|{}", sub.to_lowercase()),
        _ => first,
    }
}

fn command(words: &str, prefix: &str, scratch: &QueueName) -> Cmd {
    let mut parts = words.split(' ');
    let mut command = redis::cmd(parts.next().unwrap_or_default());
    for part in parts {
        match part {
            "HASH" | "NONE" => {
                command.arg(scratch_key(&part.to_lowercase(), prefix, scratch));
            }
            _ => {
                command.arg(part);
            }
        }
    }
    command
}

/// Under the prefix, and no key of any queue.
fn scratch_key(name: &str, prefix: &str, scratch: &QueueName) -> String {
    format!("{prefix}:{{{scratch}.0}}:{name}")
}

enum Refusal {
    Command,
    Keys,
}

fn refusal(error: &RedisError) -> Option<Refusal> {
    let text = error.to_string();
    if error.code() != Some("NOPERM") && !text.contains("NOPERM") {
        return None;
    }
    Some(if text.contains("access") { Refusal::Keys } else { Refusal::Command })
}
