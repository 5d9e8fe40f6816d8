//! What the tests say of one mutant: those of its verb, then the walks, then those of all verbs.

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
/// Quick tests of many verbs.
const NEIGHBOURS: [&str; 3] = ["ghosts::", "crossed_keys::", "limit::"];
/// Tests of every verb on hundreds of queues: more than half of the time of all tests of verbs.
const SLOW: &str = "unreadable::no_script";
/// What hangs has had so many times as long as everything took without a mutant.
const PATIENCE: u32 = 5;
/// The machine may have other things to do.
const LEAST_PATIENCE: Duration = Duration::from_secs(120);
/// The text that walks of their own cut short, if it is there.
const BUDGET: &str = "2 * 1024 * 1024";

/// Copies of the test binaries, which one mutant at a time is put into.
pub(crate) struct Judge {
    ops: Binary,
    model: Binary,
    patience: Duration,
    /// Only so many rounds of tests are asked; the cheapest come first.
    rounds: usize,
    /// The binaries are in it.
    _folder: TempDir,
}

/// All rounds that there are.
pub(crate) const ROUNDS: usize = 6;

pub(crate) fn built() -> Vec<PathBuf> {
    build(&["ops", "model"])
}

impl Judge {
    pub(crate) fn new(built: &[PathBuf], rounds: usize) -> Self {
        let folder = TempDir::with_prefix_in("mutants-", env!("CARGO_TARGET_TMPDIR")).unwrap();
        let copy = |index: usize, name| Binary::copy(&built[index], folder.path().join(name));
        let (ops, model) = (copy(0, "ops"), copy(1, "model"));
        Self { ops, model, patience: Duration::from_secs(600), rounds, _folder: folder }
    }

    /// Everything has to pass on the scripts as they are; how long that takes is what a mutant gets.
    pub(crate) fn measure(&mut self) -> Duration {
        let (script, text) = SOURCES[0];
        let unchanged = Mutant { script, name: String::new(), text: text.to_owned() };
        let begun = Instant::now();
        assert_eq!(self.of(&unchanged), Verdict::Passed, "without a mutant");
        let took = begun.elapsed();
        self.patience = (took * PATIENCE).max(LEAST_PATIENCE);
        took
    }

    pub(crate) fn of(&self, mutant: &Mutant) -> Verdict {
        let Mutant { script, text, .. } = mutant;
        self.put(script, text);
        let (own, bounds) = (format!("{script}::"), format!("{script}_bounds::"));
        let has_own = *script != "prelude";
        let budget = !has_own || text.contains(BUDGET);
        let ops = |args: &[&str]| self.ops.test(args, &[], self.patience);
        let walks = |args: &[&str]| self.model.test(args, &WALKS, self.patience);
        let rounds: [(bool, &dyn Fn() -> Verdict); ROUNDS] = [
            (has_own, &|| ops(&[&own, &bounds])),
            (true, &|| ops(&NEIGHBOURS)),
            (true, &|| walks(&["the_scripts_do_what_the_model_does", "bounds::"])),
            (budget, &|| walks(&["redelivery_stops_at_its_budget_of_bytes"])),
            (true, &|| ops(&["--skip", &own, "--skip", SLOW])),
            (true, &|| ops(&[SLOW])),
        ];
        let rounds = rounds.iter().take(self.rounds);
        let mut verdicts = rounds.filter(|(due, _)| *due).map(|(_, round)| round());
        let verdict = verdicts.find(|verdict| *verdict != Verdict::Passed);
        self.put(script, source(script));
        verdict.unwrap_or(Verdict::Passed)
    }

    fn put(&self, script: &str, text: &str) {
        self.ops.put(script, text);
        self.model.put(script, text);
    }
}
