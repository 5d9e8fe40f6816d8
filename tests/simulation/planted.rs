//! Bugs planted in the scripts: a simulation that would not find them would prove nothing.

use redeliver::embedded::simulation::Rewrite;

/// A change of the text of one script; the prelude stands for every script.
#[derive(Debug)]
pub(crate) struct Bug {
    pub(crate) name: &'static str,
    pub(crate) place: &'static str,
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
}

const fn bug(name: &'static str, place: &'static str, from: &'static str, to: &'static str) -> Bug {
    Bug { name, place, from, to }
}

pub(crate) static BUGS: [Bug; 23] = [
    bug("acked stays pending", "ack", "  remove(PENDING, kept)\n", ""),
    bug("retried stays pending", "retry", "  remove(PENDING, kept)\n", ""),
    bug("released stays pending", "release", "  remove(PENDING, kept)\n", ""),
    bug("promoted stays scheduled", "redeliver", "remove(SCHEDULED, due)\n", ""),
    bug("reclaimed stays pending", "redeliver", "remove(PENDING, left)\n", ""),
    bug("any receipt holds", "prelude", " and attempt == digits(numbers(lines[i]) + 1)", ""),
    bug(
        "a receipt holds without a lease",
        "prelude",
        "deadlines[i] and not seen[id]",
        "not seen[id]",
    ),
    bug("one failure too many", "prelude", "failures >= max", "failures > max"),
    bug("one failure too few", "prelude", "failures >= max", "failures + 1 >= max"),
    bug("no limit is a limit of 0", "prelude", "max > 0 and", "max >= 0 and"),
    bug("a counter is forgotten", "ack", "  count('acked', records)\n", ""),
    bug("claimed is not pending", "claim", "add(PENDING, members)\n", ""),
    bug("the last claimed stays ready", "claim", "READY, taken, -1", "READY, taken - 1, -1"),
    bug("the newest goes first", "push", "call('RPUSH', READY", "call('LPUSH', READY"),
    bug("a repeated push is new", "push", "known[i] or first_of[id]", "first_of[id]"),
    bug("a key is no duplicate", "push", " or not outdated and owner['=' .. key]\n", "\n"),
    bug(
        "a key sticks",
        "prelude",
        "  if #fields > 0 then call('HDEL', KEYED, unpack(fields)) end\n",
        "",
    ),
    bug(
        "a line sticks",
        "prelude",
        "  if size.attempts > 0 then call('HDEL', ATTEMPTS, unpack(ids)) end\n",
        "",
    ),
    bug("extend brings deadlines nearer", "extend", "'XX', 'GT', ", "'XX', "),
    bug(
        "reclaim keeps the attempt",
        "redeliver",
        "deliveries + 1, failures",
        "deliveries, failures",
    ),
    bug("reclaim spends no failure", "redeliver", "failures = failures + 1", "failures = failures"),
    bug("leases end at once", "claim", "digits(now + lease)", "digits(now)"),
    bug(
        "delays are over at once",
        "retry",
        "now + whole(ARGV[4 * i])",
        "now + 0 * whole(ARGV[4 * i])",
    ),
];

/// What puts the bug into the scripts of an engine.
pub(crate) fn rewrite(bug: &'static Bug) -> Rewrite {
    let header = format!("\n-- {}: ", bug.place);
    Box::new(move |text| {
        let text = String::from_utf8_lossy(text);
        match text.find(&header) {
            Some(at) => [&text[..at], &text[at..].replacen(bug.from, bug.to, 1)].concat().into(),
            None => text.into_owned().into(),
        }
    })
}
