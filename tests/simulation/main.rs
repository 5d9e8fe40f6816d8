//! The simulation itself: it is the same each time, it finds what is planted, and what it once found
//! it never finds again.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cluster;
#[path = "../system/history/mod.rs"]
#[expect(dead_code, reason = "the checker's own tests and the chaos suite use the rest of it")]
mod history;
mod planted;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use cluster::{Outcome, Plan, run};
use history::Verdict;
use planted::BUGS;

/// Seeds that have to be enough for every bug; `simulate --planted` looks for the first of them.
const FINDERS: &str = include_str!("finders.txt");
/// Seeds that once failed, each with what it found.
const KEPT: &str = include_str!("seeds.txt");
const SEEDS: u64 = 30;
const FAULTS: [&str; 16] = [
    "clients",
    "flush",
    "kill_after_steps",
    "kill_at_a_point",
    "kill_now",
    "memory",
    "net_cuts",
    "net_silent",
    "net_slow",
    "net_split",
    "pause",
    "retire",
    "server_always",
    "server_everysec",
    "stall",
    "writes_lost",
];

fn root(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Runs these, two at a time.
fn runs(seeds: &[u64]) -> Vec<Outcome> {
    let next = AtomicU64::new(0);
    let work = || {
        let take = || usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap();
        let seeds = std::iter::from_fn(|| seeds.get(take()).copied());
        seeds.map(|seed| run(seed, Plan::DEFAULT).unwrap()).collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

fn all_pass(outcomes: &[Outcome]) {
    let failing = outcomes.iter().filter(|outcome| !outcome.passes());
    let failing: Vec<_> = failing.map(|outcome| (outcome.seed, &outcome.failures)).collect();
    assert!(failing.is_empty(), "{failing:#?}");
}

/// The lines of a list, apart from remarks: a number and a text.
fn listed(text: &str) -> Vec<(u64, &str)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.map(|line| line.split_once(' ').unwrap());
    pairs.map(|(seed, rest)| (seed.parse().unwrap(), rest)).collect()
}

#[test]
fn clusters_of_many_seeds_pass_and_meet_every_fault() {
    let outcomes = runs(&(0..SEEDS).collect::<Vec<_>>());
    all_pass(&outcomes);
    for fault in FAULTS {
        assert!(outcomes.iter().any(|outcome| outcome.faults.contains_key(fault)), "no {fault}");
    }
    // Each of them has been somewhere, and messages came through all that.
    assert!(outcomes.iter().all(|outcome| outcome.states.len() > 10 && outcome.messages > 0));
    assert!(outcomes.iter().all(|outcome| outcome.verdicts.contains_key(&Verdict::Ok)));
}

#[test]
fn seeds_that_once_failed_pass() {
    all_pass(&runs(&listed(KEPT).iter().map(|(seed, _)| *seed).collect::<Vec<_>>()));
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in [3, 4, 5] {
        let (one, other) = (run(seed, Plan::DEFAULT).unwrap(), run(seed, Plan::DEFAULT).unwrap());
        assert_eq!(one.hash, other.hash, "{seed}");
        assert_eq!((one.steps, one.virtual_time), (other.steps, other.virtual_time), "{seed}");
    }
}

#[test]
fn every_planted_bug_is_found_by_its_seed() {
    let finders = listed(FINDERS);
    assert!(BUGS.len() >= 15);
    for bug in &BUGS {
        let script = root(&format!("lua/{}.lua", bug.place));
        assert_eq!(script.matches(bug.from).count(), 1, "{}: it has to stand there once", bug.name);
        let Some((seed, _)) = finders.iter().find(|(_, name)| *name == bug.name) else {
            panic!("no seed finds {}", bug.name);
        };
        let outcome = run(*seed, Plan { bug: Some(bug), ..Plan::DEFAULT }).unwrap();
        assert!(!outcome.passes(), "seed {seed} does not find {}", bug.name);
    }
}
