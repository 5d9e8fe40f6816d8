//! What scripts may do, and how what they return or raise comes back.

use redis::ProtocolVersion;

use crate::pair::Pair;

const SCRIPTS: [&str; 53] = [
    "return 1",
    "return 3.99",
    "return -3.99",
    "return 'text'",
    "return true",
    "return false",
    "return nil",
    "return",
    "return {1, 2, nil, 4}",
    "return {1, 'a', {true, false}, {}}",
    "return {{}, {{}}}",
    "return {err = 'CODE told'}",
    "return {ok = 'FINE'}",
    "return redis.error_reply('CODE told')",
    "return redis.status_reply('FINE')",
    "return {1, redis.status_reply('x')}",
    "error('told')",
    "error({err = 'CODE told'})",
    "\n\nerror({err = 'CODE told'})",
    "local function f() error({err = 'CODE told'}) end\n\nf()",
    "return nothing",
    "global = 1",
    "local x = nil\nreturn x.y",
    "return redis.call('LLEN', KEYS[1])",
    "return redis.call('HLEN', KEYS[1])",
    "redis.call('RPUSH', KEYS[1], 'kept') return redis.call('HLEN', KEYS[1])",
    "return redis.pcall('HLEN', KEYS[1])",
    "return redis.pcall('HLEN', KEYS[1]).err",
    "return pcall(redis.call, 'HLEN', KEYS[1])",
    "return redis.call('NOPE')",
    "return redis.call('LLEN')",
    "return redis.call()",
    "return redis.call('SET', KEYS[2], {})",
    "redis.call('SET', KEYS[2], 1.5) return redis.call('GET', KEYS[2])",
    "redis.call('SET', KEYS[2], 2 ^ 53) return redis.call('GET', KEYS[2])",
    "redis.call('SET', KEYS[2], -0.5) return redis.call('GET', KEYS[2])",
    "return {redis.call('GET', 'missing'), 1}",
    "return type(redis.call('GET', 'missing'))",
    "return redis.call('ZRANGE', KEYS[3], 0, -1, 'WITHSCORES')",
    "return redis.call('ZSCORE', KEYS[3], 'a') .. '!'",
    "return redis.call('TYPE', KEYS[1]).ok",
    "return redis.call('TYPE', KEYS[1])",
    "return redis.sha1hex('text')",
    "return {#KEYS, #ARGV, ARGV[1], ARGV[3]}",
    "table.remove(ARGV) return ARGV",
    "return string.format('%d %.3f %s %5s', 3, 0.5, 'x', 'y')",
    "return {tostring(1 / 0), tostring(-1 / 0), 1e15 .. '', 123456789012345 .. ''}",
    "return redis.call('EVAL', 'return 1', 0)",
    "return {type(io), 1}",
    "return (",
    "#!lua\nreturn redis.call('SET', KEYS[2], 1)",
    "#!lua flags=no-writes\nreturn redis.call('SET', KEYS[2], 1)",
    "#!lua flags=no-writes\nreturn redis.call('LLEN', KEYS[1])",
];

#[test]
fn scripts_return_and_raise_the_same() {
    let Some(pair) = Pair::start() else { return };
    for protocol in [ProtocolVersion::RESP3, ProtocolVersion::RESP2] {
        let mut ends = pair.connect(protocol);
        ends.forget();
        ends.same_text("RPUSH list a b").unwrap();
        ends.same_text("ZADD zset 1 a 2.5 b").unwrap();
        let mut differing = Vec::new();
        for script in SCRIPTS {
            let words = ["EVAL", script, "3", "list", "text", "zset", "x", "y", ""];
            let words: Vec<_> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
            differing.extend(ends.same(&words).err());
        }
        let keys = ["list", "text", "zset"].map(str::to_owned);
        differing.extend(ends.same_content(&keys).err());
        assert!(differing.is_empty(), "{protocol:?}:\n{}", differing.join("\n"));
    }
}

#[test]
fn scripts_are_loaded_known_and_forgotten_alike() {
    let Some(pair) = Pair::start() else { return };
    let mut ends = pair.connect(ProtocolVersion::RESP3);
    let known = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";
    let load: Vec<_> =
        ["SCRIPT", "LOAD", "return 1"].iter().map(|word| word.as_bytes().to_vec()).collect();
    for _ in 0..2 {
        ends.same(&load).unwrap();
        for command in [
            format!("SCRIPT EXISTS {known} 00"),
            format!("EVALSHA {known} 0"),
            format!("EVALSHA {} 0", known.to_uppercase()),
            "EVALSHA 00 0".to_owned(),
            format!("EVALSHA {known} 1"),
            format!("EVALSHA {known} -1"),
            format!("EVALSHA {known} x"),
            "SCRIPT FLUSH".to_owned(),
            format!("EVALSHA {known} 0"),
        ] {
            ends.same_text(&command).unwrap();
        }
    }
}

#[test]
fn a_full_server_refuses_the_same() {
    let Some(pair) = Pair::start() else { return };
    let mut ends = pair.connect(ProtocolVersion::RESP3);
    ends.same_text("RPUSH list a b").unwrap();
    ends.same_text("CONFIG SET maxmemory 1").unwrap();
    for command in ["RPUSH list c", "LPOP list", "HSET hash f v", "LLEN list", "DEL list"] {
        ends.same_text(command).unwrap();
    }
    for script in [
        "return redis.call('SET', KEYS[1], 1)",
        "return redis.call('LLEN', KEYS[1])",
        "#!lua\nreturn redis.call('LLEN', KEYS[1])",
        "#!lua flags=allow-oom\nreturn redis.call('SET', KEYS[1], 1)",
        "#!lua flags=no-writes\nreturn redis.call('LLEN', KEYS[1])",
    ] {
        let words = ["EVAL", script, "1", "list"].map(|word| word.as_bytes().to_vec());
        ends.same(&words).unwrap();
        ends.same_text("DEL list").unwrap();
    }
}
