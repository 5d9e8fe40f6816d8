//! The commands, by name.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::db::Db;
use super::reply::{Fault, Outcome};
use super::{generic, hashes, info, lists, zsets};

/// Changes keys.
pub(super) const WRITE: u8 = 1;
/// Takes memory, so it is refused when the limit is reached.
pub(super) const DENY_OOM: u8 = 2;
pub(super) const NO_SCRIPT: u8 = 4;
const GROW: u8 = WRITE | DENY_OOM;

/// What runs a command.
#[derive(Clone, Copy)]
pub(super) enum Run {
    Db(fn(&mut Db, &[&[u8]]) -> Outcome),
    /// It needs the client or the scripts: `session.rs` has it.
    Session,
}

pub(super) struct Command {
    pub(super) name: &'static str,
    /// Words with the name; at least so many if negative.
    arity: i8,
    pub(super) flags: u8,
    pub(super) run: Run,
}

const fn db(
    name: &'static str,
    arity: i8,
    flags: u8,
    run: fn(&mut Db, &[&[u8]]) -> Outcome,
) -> Command {
    Command { name, arity, flags, run: Run::Db(run) }
}

const fn session(name: &'static str, arity: i8) -> Command {
    Command { name, arity, flags: NO_SCRIPT, run: Run::Session }
}

pub(super) const TABLE: &[Command] = &[
    session("auth", -2),
    db("bgrewriteaof", 1, NO_SCRIPT, info::rewrite),
    session("blpop", -3),
    session("client", -2),
    db("command", -1, 0, info::command),
    db("config", -2, NO_SCRIPT, info::config),
    db("dbsize", 1, 0, generic::dbsize),
    db("del", -2, WRITE, generic::del),
    db("dump", 2, 0, generic::dump),
    session("echo", 2),
    session("eval", -3),
    session("evalsha", -3),
    db("exists", -2, 0, generic::exists),
    db("flushall", -1, WRITE, generic::flush),
    db("flushdb", -1, WRITE, generic::flush),
    db("get", 2, 0, generic::get),
    db("hdel", -3, WRITE, hashes::del),
    session("hello", -1),
    db("hexists", 3, 0, hashes::exists),
    db("hget", 3, 0, hashes::get),
    db("hgetall", 2, 0, hashes::get_all),
    db("hincrby", 4, GROW, hashes::incr_by),
    db("hkeys", 2, 0, hashes::keys),
    db("hlen", 2, 0, hashes::len),
    db("hmget", -3, 0, hashes::get_many),
    db("hscan", -3, 0, hashes::scan),
    db("hset", -4, GROW, hashes::set),
    db("hsetnx", 4, GROW, hashes::set_new),
    db("info", -1, 0, info::info),
    db("keys", 2, 0, generic::keys),
    db("lindex", 3, 0, lists::index),
    db("llen", 2, 0, lists::len),
    db("lpop", 2, WRITE, lists::pop),
    db("lpos", -3, 0, lists::pos),
    db("lpush", -3, GROW, |db, words| lists::push(db, words, true)),
    db("lrange", 4, 0, lists::range),
    db("lrem", 4, WRITE, lists::rem),
    db("ltrim", 4, WRITE, lists::trim),
    db("memory", -2, 0, info::memory),
    session("ping", -1),
    db("rename", 3, WRITE, generic::rename),
    db("rpush", -3, GROW, |db, words| lists::push(db, words, false)),
    session("script", -2),
    session("select", 2),
    db("set", 3, GROW, generic::set),
    session("shutdown", -1),
    db("time", 1, 0, info::time),
    db("type", 2, 0, generic::kind),
    db("unlink", -2, WRITE, generic::del),
    db("zadd", -4, GROW, zsets::add),
    db("zcard", 2, 0, zsets::card),
    db("zcount", 4, 0, zsets::count),
    db("zmscore", -3, 0, zsets::scores),
    db("zrange", -4, 0, zsets::range),
    db("zrem", -3, WRITE, zsets::rem),
    db("zscan", -3, 0, zsets::scan),
    db("zscore", 3, 0, zsets::score),
];

/// The longest name, and one more.
const MAX_NAME: usize = 16;

/// Finds a command by its name in any case, and checks how many words it has.
pub(super) fn find(words: &[&[u8]]) -> Result<(usize, &'static Command), Fault> {
    static PLACES: LazyLock<HashMap<&[u8], usize, rustc_hash::FxBuildHasher>> =
        LazyLock::new(|| {
            TABLE.iter().enumerate().map(|(at, command)| (command.name.as_bytes(), at)).collect()
        });
    let mut lower = [0; MAX_NAME];
    let name = words[0];
    let known = lower.get_mut(..name.len()).and_then(|lower| {
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        PLACES.get(&*lower)
    });
    let Some(&at) = known else { return Err(unknown(words)) };
    let command = &TABLE[at];
    let wanted = usize::from(command.arity.unsigned_abs());
    let fits = if command.arity < 0 { words.len() >= wanted } else { words.len() == wanted };
    if fits { Ok((at, command)) } else { Err(arity(command.name)) }
}

pub(super) fn arity(name: &str) -> Fault {
    format!("ERR wrong number of arguments for '{name}' command").into()
}

fn unknown(words: &[&[u8]]) -> Fault {
    const SHOWN: usize = 128;
    let show = |word: &[u8]| String::from_utf8_lossy(&word[..word.len().min(SHOWN)]).into_owned();
    let told = format!("ERR unknown command '{}', with args beginning with: ", show(words[0]));
    let add = |told: String, word: &&[u8]| {
        if told.len() > SHOWN { told } else { format!("{told}'{}' ", show(word)) }
    };
    words[1..].iter().fold(told, add).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_found_in_any_case() {
        assert!(TABLE.is_sorted_by_key(|command| command.name));
        assert!(TABLE.iter().all(|command| command.name.len() < MAX_NAME));
        assert_eq!(find(&[b"TiMe"]).unwrap().1.name, "time");
        assert!(find(&[b"TIME", b"x"]).is_err() && find(&[&[b'x'; 99]]).is_err());
    }
}
