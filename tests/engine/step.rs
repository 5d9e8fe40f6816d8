//! Random commands, and random calls of the scripts.

use proptest::collection::vec;
use proptest::prelude::{Strategy, any};

use crate::fixture::{KEYS, script_text};

/// The parts of a command: K a key, M a member or field, S a score, B a bound of scores, I an index,
/// N a number of items, anything else itself.
const COMMANDS: [&str; 69] = [
    "LPUSH K M",
    "LPUSH K M M M",
    "RPUSH K M",
    "RPUSH K M M M M",
    "LPOP K",
    "LLEN K",
    "LRANGE K I I",
    "LRANGE K 0 -1",
    "LINDEX K I",
    "LPOS K M",
    "LPOS K M COUNT N",
    "LREM K I M",
    "LTRIM K I I",
    "HSET K M M",
    "HSET K M M M M",
    "HSET K M M M",
    "HSETNX K M M",
    "HGET K M",
    "HMGET K M M M",
    "HDEL K M",
    "HDEL K M M M",
    "HLEN K",
    "HEXISTS K M",
    "HGETALL K",
    "HKEYS K",
    "HINCRBY K M I",
    "HSCAN K 7 COUNT 1",
    "HSCAN K x",
    "ZADD K S M",
    "ZADD K S M S M S M",
    "ZADD K XX S M",
    "ZADD K GT S M",
    "ZADD K XX GT S M S M",
    "ZADD K S",
    "ZREM K M",
    "ZREM K M M M",
    "ZCARD K",
    "ZSCORE K M",
    "ZMSCORE K M M M",
    "ZCOUNT K B B",
    "ZCOUNT K -inf B",
    "ZRANGE K I I",
    "ZRANGE K I I WITHSCORES",
    "ZRANGE K B B BYSCORE",
    "ZRANGE K -inf B BYSCORE LIMIT I N",
    "ZRANGE K B B BYSCORE LIMIT I I WITHSCORES",
    "ZRANGE K I I LIMIT I N",
    "ZRANGE K B B OOPS",
    "ZSCAN K 0 COUNT N",
    "SET K M",
    "GET K",
    "DEL K",
    "DEL K K K",
    "UNLINK K K",
    "EXISTS K K",
    "TYPE K",
    "RENAME K K",
    "KEYS *",
    "KEYS k?",
    "DBSIZE",
    "NOPE K x",
    "LLEN",
    "LLEN K K",
    "SELECT 0",
    "ECHO M",
    "PING",
    "PING M",
    "CLIENT GETNAME",
    "FLUSHALL",
];

/// Texts for members, small and few, so that they meet again; numbers among them.
const MEMBERS: [&[u8]; 12] =
    [b"a", b"b", b"c", b"d", b"e", b"", b"12", b"-7", b"a\r\nb", b"\x00\xff", b"x=y", b"012"];
const SCORES: [&str; 10] = ["0", "1", "2", "2.5", "-3", "1795396019123", "inf", "-inf", "x", "1e3"];
const BOUNDS: [&str; 10] = ["0", "1", "(1", "2.5", "(2.5", "-inf", "+inf", "(inf", "y", "(-inf"];
const INDEXES: [&str; 9] = ["0", "1", "2", "5", "-1", "-2", "-9", "x", "99"];
const NUMBERS: [&str; 6] = ["0", "1", "2", "3", "100", "-1"];

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Command(Vec<Vec<u8>>),
    /// A verb with its arguments, and how far the clock goes before.
    Call {
        verb: &'static str,
        argv: Vec<String>,
        ms: u64,
    },
    Flush,
}

fn pick<T: Copy>(list: &[T], dice: u16) -> T {
    list[usize::from(dice) % list.len()]
}

fn command(template: &str, dice: &[u16]) -> Vec<Vec<u8>> {
    let mut dice = dice.iter().copied().cycle();
    let mut next = move || dice.next().unwrap();
    let word = |part: &str| match part {
        "K" => format!("k{}", next() % 4).into_bytes(),
        "M" => pick(&MEMBERS, next()).to_vec(),
        "S" => pick(&SCORES, next()).into(),
        "B" => pick(&BOUNDS, next()).into(),
        "I" => pick(&INDEXES, next()).into(),
        "N" => pick(&NUMBERS, next()).into(),
        part => part.into(),
    };
    template.split(' ').map(word).collect()
}

/// The arguments of a call: i an id, a an attempt, l a line, r a record, k a deduplication key,
/// d a delay, w a routing, n a limit, anything else itself; what stands in brackets comes several times.
const CALLS: [(&str, &str); 36] = [
    ("push", "[i r k d]"),
    ("push", "[i r k d]"),
    ("push", "[i r k d]"),
    ("push", "i r k @1700000000000"),
    ("push", "w i r k d"),
    ("fence", "w [i]"),
    ("claim", "n 10000 d"),
    ("claim", "n 10000 1"),
    ("claim", "2 1 d"),
    ("ack", "[i a]"),
    ("retry", "[i a l d]"),
    ("retry", "i a 1~1~1 d"),
    ("bury", "[i a l]"),
    ("bury", "i 1 1~0~3"),
    ("release", "[i a d]"),
    ("extend", "[i a d]"),
    ("redeliver", "n p"),
    ("redeliver", "n p"),
    ("cancel", "[i]"),
    ("reschedule", "d [i]"),
    ("reschedule", "@1900000000000 [i]"),
    ("redrive", "n 9999999999999"),
    ("redrive", "n d [i]"),
    ("steer", "t t n 9999999999999 [i]"),
    ("purge", "n 9999999999999"),
    ("trim", "n d n"),
    ("pause", ""),
    ("resume", ""),
    ("limit", "n 0"),
    ("peek", "s 0 n 1000"),
    ("find", "[i]"),
    ("forecast", "[d]"),
    ("counts", ""),
    ("check", "c n n"),
    ("repair", "[i]"),
    ("destroy", ""),
];
const STATES: [&str; 5] = ["ready", "scheduled", "pending", "dead", "nowhere"];
const PLACES: [&str; 9] =
    ["queue", "types", "messages", "ready", "scheduled", "pending", "dead", "keyed", "attempts"];

fn argument(part: &str, die: u16) -> String {
    match part {
        "i" => format!("id-{}", die % 7),
        "a" => (die % 3 + 1).to_string(),
        "l" => {
            let lines = ["1 0 3", "1 1 3", "2 2 2", "1 3 3 1700 ~boom", "x", "2 1 0"];
            pick(&lines, die).to_owned()
        }
        "w" => pick(&["1 2 1", "2 4 1 2", "x", ""], die).to_owned(),
        "r" => format!("{}\n\npayload {die}", die % 4),
        "k" => {
            if die.is_multiple_of(3) {
                format!("key-{}", die % 5)
            } else {
                String::new()
            }
        }
        "d" => pick(&["0", "1", "40", "3000", "60000", "x"], die % 36 / 6 + u16::from(die == 7))
            .to_owned(),
        "n" => pick(&["1", "2", "3", "100", "1000", "0"], die % 31).to_owned(),
        "p" => pick(&["", "one", "two"], die).to_owned(),
        "s" => pick(&STATES, die).to_owned(),
        "c" => pick(&PLACES, die).to_owned(),
        "t" => pick(&["", "task", "other"], die).to_owned(),
        part => part.replace('~', " "),
    }
}

fn arguments(template: &str, dice: &[u16]) -> Vec<String> {
    let mut dice = dice.iter().copied().cycle();
    let mut next = move || dice.next().unwrap();
    let (before, group) = template.split_once('[').unwrap_or((template, ""));
    let group = group.trim_end_matches(']');
    let times =
        if group.is_empty() { 0 } else { next() % 4 + u16::from(template.starts_with('[')) };
    let repeated = (0..times).flat_map(|_| group.split(' '));
    let parts = before.split(' ').filter(|part| !part.is_empty());
    parts.chain(repeated).map(|part| argument(part, next())).collect()
}

pub(crate) fn commands() -> impl Strategy<Value = Step> {
    (0..COMMANDS.len(), vec(any::<u16>(), 1..12))
        .prop_map(|(at, dice)| Step::Command(command(COMMANDS[at], &dice)))
}

pub(crate) fn calls() -> impl Strategy<Value = Step> {
    let call = (0..CALLS.len(), vec(any::<u16>(), 1..24), 0_u64..4000);
    call.prop_map(|(at, dice, ms)| {
        if dice[0].is_multiple_of(97) {
            return Step::Flush;
        }
        let (verb, template) = CALLS[at];
        Step::Call { verb, argv: arguments(template, &dice), ms: ms * u64::from(dice[0] % 3) }
    })
}

pub(crate) fn keys() -> Vec<String> {
    let plain = (0..4).map(|number| format!("k{number}"));
    plain.chain(KEYS.iter().map(|key| format!("rd:{{q.0}}:{key}"))).collect()
}

/// A script whose clock is its last argument, in microseconds.
pub(crate) fn timed(verb: &str) -> String {
    let text = script_text(verb);
    let given = "\nlocal CLOCK_US = table.remove(ARGV)\n-- prelude:";
    let told = "{ math.floor(CLOCK_US / 1000000), CLOCK_US % 1000000 }";
    text.replacen("\n-- prelude:", given, 1).replacen("call('TIME')", told, 1)
}
