//! What the tests say of one mutant: those of its verb, then the walks, then those of all verbs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::binary::{Binary, Verdict, build};
use crate::operators::Mutant;
use crate::sources::{SOURCES, source};

/// The same walks for each mutant.
const WALKS: [(&str, &str); 3] = [
    ("REDELIVER_MODEL_CASES", "200"),
    ("PROPTEST_RNG_SEED", "1"),
    // Nobody wants to know the shortest way to a failure.
    ("PROPTEST_MAX_SHRINK_ITERS", "1"),
];
/// The prelude has no tests of its own: these of verbs notice most of its mutants.
const OF_THE_PRELUDE: [&str; 5] = ["push::", "claim::", "redeliver::", "retry::", "redrive::"];
/// Quick tests of many verbs.
const NEIGHBOURS: [&str; 5] = ["ghosts::", "crossed_keys::", "limit::", "receipts::", "check::"];
/// Tests of every verb on hundreds of queues: more than half of the time of all tests of verbs.
const SLOW: &str = "unreadable::no_script";
/// What such a test asks of every verb after its call: a mutant of these may show after any call.
const ASKED_AFTER_ALL: [&str; 4] = ["prelude", "check", "counts", "repair"];
/// Tests of verbs wait for their servers more than they compute.
const THREADS: &str = "--test-threads=6";
/// What hangs has had so many times as long as its round took without a mutant.
const PATIENCE: u32 = 5;
/// The machine may have other things to do.
const LEAST_PATIENCE: Duration = Duration::from_secs(60);
/// Of rounds that nobody has measured.
const UNMEASURED: Duration = Duration::from_secs(600);

/// Copies of the test binaries, which one mutant at a time is put into.
pub(crate) struct Judge {
    ops: Binary,
    model: Binary,
    /// By round.
    patience: BTreeMap<&'static str, Duration>,
    /// Only so many rounds of tests are asked; the cheapest come first.
    rounds: usize,
    /// The binaries are in it.
    _folder: TempDir,
}

/// All rounds that there are, the cheapest first.
pub(crate) const ROUNDS: [&str; 5] =
    ["of its verb", "of neighbours", "walks", "of all verbs", "damaged data"];

/// Tests that are asked together.
struct Round<'a> {
    name: &'static str,
    binary: &'a Binary,
    tests: Vec<&'a str>,
    env: Vec<(&'a str, &'a str)>,
}

/// What the tests say, and how long each round of them took, up to the one that noticed.
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    pub(crate) took: Vec<(&'static str, Duration)>,
}

pub(crate) fn built() -> Vec<PathBuf> {
    build(&["ops", "model"])
}

impl Judge {
    pub(crate) fn new(built: &[PathBuf], rounds: usize) -> Self {
        let folder = TempDir::with_prefix_in("mutants-", env!("CARGO_TARGET_TMPDIR")).unwrap();
        let copy = |index: usize, name| Binary::copy(&built[index], folder.path().join(name));
        let (ops, model) = (copy(0, "ops"), copy(1, "model"));
        Self { ops, model, patience: BTreeMap::new(), rounds, _folder: folder }
    }

    /// Everything has to pass on the scripts as they are; by how long that takes mutants get their time.
    pub(crate) fn measure(&mut self) -> Judged {
        let (script, text) = SOURCES[0];
        let unchanged = Mutant { script, name: String::new(), text: text.to_owned() };
        let judged = self.of(&unchanged);
        assert_eq!(judged.verdict, Verdict::Passed, "without a mutant");
        let patience = |took: Duration| (took * PATIENCE).max(LEAST_PATIENCE);
        self.patience = judged.took.iter().map(|(round, took)| (*round, patience(*took))).collect();
        judged
    }

    pub(crate) fn of(&self, mutant: &Mutant) -> Judged {
        let Mutant { script, text, .. } = mutant;
        self.put(script, text);
        let (own, bounds) = (format!("{script}::"), format!("{script}_bounds::"));
        let mut judged = Judged { verdict: Verdict::Passed, took: Vec::new() };
        for round in self.rounds(mutant, &own, &bounds) {
            let begun = Instant::now();
            let patience = self.patience.get(round.name).copied().unwrap_or(UNMEASURED);
            judged.verdict = round.binary.test(&round.tests, &round.env, patience);
            judged.took.push((round.name, begun.elapsed()));
            if judged.verdict != Verdict::Passed {
                break;
            }
        }
        self.put(script, source(script));
        judged
    }

    fn rounds<'a>(&'a self, mutant: &Mutant, own: &'a str, bounds: &'a str) -> Vec<Round<'a>> {
        let script = mutant.script;
        let is_prelude = script == "prelude";
        let calls = if ASKED_AFTER_ALL.contains(&script) { "" } else { script };
        let ops = |tests: &[&'a str]| {
            (&self.ops, [tests, &[THREADS]].concat(), vec![("REDELIVER_CALLS_OF", calls)])
        };
        let walks = |tests: &[&'a str]| (&self.model, tests.to_vec(), WALKS.to_vec());
        let of_its_verb = [own, bounds];
        let rounds = [
            ops(if is_prelude { &OF_THE_PRELUDE } else { &of_its_verb }),
            ops(&NEIGHBOURS),
            walks(&["the_scripts_do_what_the_model_does", "bounds::"]),
            ops(&["--skip", own, "--skip", SLOW]),
            ops(&[SLOW]),
        ];
        let rounds = ROUNDS.into_iter().zip(rounds).take(self.rounds);
        rounds.map(|(name, (binary, tests, env))| Round { name, binary, tests, env }).collect()
    }

    fn put(&self, script: &str, text: &str) {
        self.ops.put(script, text);
        self.model.put(script, text);
    }
}
