//! That the walks go everywhere: each verb, and each word that it can answer.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use proptest_state_machine::ReferenceStateMachine as _;

use crate::reply::Reply;
use crate::walk::{Done, Walk};
use crate::{STEPS, real};

const WALKS: usize = 3000;
/// How often each has to come at least.
const OFTEN: usize = 10;
/// What a verb answers for each item, or in the first place.
const WORDS: [(&str, &[&str]); 15] = [
    ("ack", &["acked", "lost"]),
    ("bury", &["dead", "lost"]),
    ("retry", &["scheduled", "ready", "dead", "lost"]),
    ("release", &["scheduled", "ready", "lost"]),
    ("extend", &["extended", "lost"]),
    ("push", &["ready", "scheduled", "duplicate", "full"]),
    ("claim", &["more", "empty", "paused"]),
    ("cancel", &["cancelled", "missing", "deferred"]),
    ("reschedule", &["scheduled", "ready", "missing", "deferred", "pending", "dead"]),
    ("find", &["ready", "scheduled", "pending", "dead", "missing"]),
    ("check", &["gone", "placed", "listed", "lost_bell"]),
    ("repair", &["lost_bell"]),
    ("steer", &["steered", "lost"]),
    ("pause", &["paused"]),
    ("resume", &["resumed"]),
];
/// Verbs that answer with numbers, and the positions that have to be other than 0 at times.
const NUMBERS: [(&str, &[usize]); 7] = [
    ("redeliver", &[0, 1, 2, 4, 5]),
    ("redrive", &[0, 1]),
    ("purge", &[0, 1]),
    ("trim", &[0, 1]),
    ("limit", &[0]),
    ("peek", &[0]),
    // All but the ghosts, the vanished and the cap on bytes.
    (
        "counts",
        &[1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 29, 31, 33, 35, 37, 41, 43, 47, 49, 51],
    ),
];

/// One only counts, and its own tests compare it with the sets; the other is about many partitions,
/// and the model has one.
const UNWALKED: [&str; 2] = ["forecast", "fence"];

type Seen = BTreeMap<(&'static str, String), usize>;

fn note(seen: &mut Seen, verb: &'static str, reply: &Reply) {
    for (at, item) in reply.items().iter().enumerate() {
        let word = match item {
            Reply::Text(word) => word,
            Reply::List(of_one) => match &of_one[0] {
                Reply::Text(word) => word,
                _ => continue,
            },
            Reply::Number(0) | Reply::Fault(_) => continue,
            Reply::Number(_) => &at.to_string(),
        };
        *seen.entry((verb, word.clone())).or_default() += 1;
    }
    if let Reply::Text(word) = reply {
        *seen.entry((verb, word.clone())).or_default() += 1;
    }
    *seen.entry((verb, String::new())).or_default() += 1;
}

#[test]
fn the_walks_go_everywhere() {
    let rng = TestRng::deterministic_rng(RngAlgorithm::XorShift);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let (walks, mut seen) = (Walk::sequential_strategy(STEPS), Seen::new());
    for _ in 0..WALKS {
        let (mut walk, steps, _) = walks.new_tree(&mut runner).unwrap().current();
        for step in &steps {
            walk = Walk::apply(walk, step);
            if let Done::Called(call, reply) = &walk.done {
                note(&mut seen, call.verb, reply);
            }
        }
    }
    let often = |verb: &'static str, word: &str| {
        let times = seen.get(&(verb, word.to_owned())).copied().unwrap_or(0);
        assert!(times >= OFTEN, "{verb} answers {word:?} only {times} times");
    };
    for verb in real::VERBS {
        often(verb, "");
    }
    for (verb, words) in WORDS {
        for word in words {
            often(verb, word);
        }
    }
    for (verb, positions) in NUMBERS {
        for at in positions {
            often(verb, &at.to_string());
        }
    }
}

#[test]
fn every_script_is_walked() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("lua");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let scripts = paths.filter(|path| path.extension().is_some_and(|ending| ending == "lua"));
    let stem = |path: std::path::PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let walked = |stem: &String| stem != "prelude" && !UNWALKED.contains(&stem.as_str());
    let mut scripts: Vec<_> = scripts.map(stem).filter(walked).collect();
    scripts.sort();
    assert_eq!(scripts, real::VERBS);
}
