//! Bugs planted in the scripts: a test that would not find them would prove nothing.

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::fixture::TestServer;
use crate::real::{VERBS, replaced, set_up};
use crate::{SHORT_BUDGET, short_budget};

/// Walks that have to be enough for every bug.
const CASES: u32 = 2000;

/// What is wrong, where, and how the text becomes so; the prelude stands for every script.
type Bug = (&'static str, &'static str, &'static str, &'static str);

const BUGS: &[Bug] = &[
    ("acked stays pending", "ack", "  remove(PENDING, kept)\n", ""),
    ("retried stays pending", "retry", "  remove(PENDING, kept)\n", ""),
    ("released stays pending", "release", "  remove(PENDING, kept)\n", ""),
    ("promoted stays scheduled", "redeliver", "remove(SCHEDULED, due)\n", ""),
    ("reclaimed stays pending", "redeliver", "remove(PENDING, left)\n", ""),
    ("any receipt holds", "prelude", " and attempt == digits(numbers(lines[i]) + 1)", ""),
    ("a receipt holds without a lease", "prelude", "deadlines[i] and not seen[id]", "not seen[id]"),
    (
        "a receipt holds twice in a batch",
        "prelude",
        " and not seen[id] and attempt",
        " and attempt",
    ),
    ("one failure too many", "prelude", "failures >= max", "failures > max"),
    ("no limit is a limit of 0", "prelude", "max > 0 and", "max >= 0 and"),
    ("a counter is forgotten", "bury", "  count('buried', #kept)\n", ""),
    ("died counts as retried", "retry", "#kept - #dead / 2", "#kept"),
    ("claimed is not pending", "claim", "add(PENDING, members)\n", ""),
    ("the last claimed stays ready", "claim", "READY, taken, -1", "READY, taken - 1, -1"),
    ("one message above the budget", "claim", "used + #record > bytes", "used > bytes"),
    ("a repeated push is new", "push", "known[i] or first_of[id]", "first_of[id]"),
    ("an id twice in a batch is new", "push", "known[i] or first_of[id]", "known[i]"),
    ("a key is no duplicate", "push", " or not outdated and owner['=' .. key]\n", "\n"),
    ("a cap lets one more in", "push", "#ready >= room", "#ready > room"),
    ("a cap keeps the delayed out", "push", "due_now and #ready >= room", "#ready >= room"),
    ("due now waits", "push", "dues[i] <= now", "dues[i] < now"),
    (
        "a key sticks",
        "prelude",
        "  if #fields > 0 then call('HDEL', KEYED, unpack(fields)) end\n",
        "",
    ),
    (
        "a line sticks",
        "prelude",
        "  if size.attempts > 0 then call('HDEL', ATTEMPTS, unpack(ids)) end\n",
        "",
    ),
    (
        "release spends a failure",
        "release",
        "pair(lines, id, line)",
        "pair(lines, id, line_of(deliveries, _ + 1, max, history_of(line)))",
    ),
    ("release turns the order round", "release", "for i = #ids, 1, -1 do", "for i = 1, #ids do"),
    (
        "redrive keeps the failures",
        "prelude",
        "line_of(deliveries, 0, max",
        "line_of(deliveries, _, max",
    ),
    ("a lost driver redrives", "steer", "known == expected then", "true then"),
    ("redrive takes what died later", "prelude", "tonumber(died) <= tonumber(before) and", ""),
    ("a cancelled record stays", "cancel", "forget(gone, size)", "#gone"),
    (
        "a cancelled id stays ready",
        "cancel",
        "if in_ready then call('LREM', READY, 1, in_ready) end",
        "",
    ),
    ("extend brings deadlines nearer", "extend", "'XX', 'GT', ", "'XX', "),
    (
        "bury takes any line",
        "bury",
        "max and digits(deliveries) == attempt, 'BADARG an attempt line",
        "true, 'BADARG an attempt line",
    ),
    (
        "retry takes any delay",
        "retry",
        "now + whole(ARGV[4 * i])",
        "now + (tonumber(ARGV[4 * i]) or 0)",
    ),
    // Only the state after a refusal tells.
    (
        "extend writes before it validates",
        "extend",
        "    last_lease, deadline = lease, digits(at)\n  end\n",
        "    last_lease, deadline = lease, digits(at)\n  end\n  \
         if held[i] then call('ZADD', PENDING, 'XX', 'GT', deadline, id) end\n",
    ),
    ("one trimmed too many", "trim", "math.min(beyond, limit) - 1", "math.min(beyond, limit)"),
    ("one kept too few", "trim", "size.dead - entries", "size.dead - entries + 1"),
    (
        "due now is not promoted",
        "redeliver",
        "SCHEDULED, '-inf', text",
        "SCHEDULED, '-inf', '(' .. text",
    ),
    ("reclaim keeps the attempt", "redeliver", "deliveries + 1, failures", "deliveries, failures"),
    ("reclaim drops the history", "redeliver", "maxima[i], history_of(lines[i])", "maxima[i]"),
    ("the budget cuts by the unread", "redeliver", "done = unread[first] - 1", "done = first - 1"),
    ("no budget", "redeliver", "budget <= 0", "false"),
    ("four watch", "redeliver", "#watchers >= 3", "#watchers > 3"),
    ("the wait is up to 1 ms too long", "redeliver", "wait * 1000 - micros", "wait * 1000"),
    (
        "a claim keeps the bell to itself",
        "claim",
        "if left > 0 then ring_bell(size) elseif",
        "if left > 0 then elseif",
    ),
    ("resume wakes nobody", "resume", "if size.ready > 0 then ring_bell(size) end\n", ""),
    ("a bell with two tokens", "prelude", "size.bell == 0 and not size.paused", "not size.paused"),
    ("an alarm for what nobody waits for", "prelude", ">= MAX_IDLE_MS", "> MAX_IDLE_MS"),
    ("no alarm at a tie", "prelude", "[2]) >= at then", "[2]) > at then"),
];

/// Where the bug is found, if it is.
fn found(bug: &Bug, server: &TestServer) -> Option<String> {
    let (_, place, from, to) = *bug;
    set_up(server, Some(SHORT_BUDGET), |verb, text| {
        let text = short_budget(verb, text);
        let changes = place == verb || place == "prelude";
        if changes { replaced(&text, from, to) } else { text }
    });
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        // The first look at a failure takes one.
        max_shrink_iters: 1,
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::XorShift);
    crate::walk(TestRunner::new_with_rng(config, rng)).err()
}

#[test]
fn every_planted_bug_is_caught() {
    let known = |place: &str| place == "prelude" || VERBS.contains(&place);
    assert!(BUGS.len() >= 15 && BUGS.iter().all(|(_, place, _, _)| known(place)));
    let server = TestServer::start(&crate::WHOLE_SCANS);
    let missed = BUGS.iter().filter(|bug| found(bug, &server).is_none());
    let missed: Vec<_> = missed.map(|(what, ..)| *what).collect();
    assert!(missed.is_empty(), "nobody noticed: {missed:#?}");
}
