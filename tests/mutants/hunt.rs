//! The hunt for mutants that survive, by several judges at a time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use sha1_smol::Sha1;

use crate::binary::Verdict;
use crate::fixture::TestServer;
use crate::judge::{Judge, Judged, ROUNDS, built};
use crate::operators::{Mutant, mutants};
use crate::sources::{SOURCES, joined, source};
use crate::survivors::{Survivors, survivors};

/// Between two lines that say how far it is.
const NEWS: Duration = Duration::from_secs(15);

/// What is hunted with all other tests, in seconds: scripts whose mutants their own tests all kill.
const FEW: [&str; 3] = ["bury", "redrive", "resume"];

/// What is asked for: `scripts/mutants.sh` tells of these variables.
struct Asked {
    scripts: Vec<String>,
    judges: usize,
    rounds: usize,
    goes_on: bool,
    book: &'static str,
}

fn asked() -> Asked {
    if std::env::var_os("REDELIVER_MUTANTS_OF").is_none() {
        let (scripts, book) = (FEW.map(str::to_owned).to_vec(), "killed-few.txt");
        return Asked { scripts, judges: 1, rounds: 1, goes_on: false, book };
    }
    let told = |name: &str| std::env::var(format!("REDELIVER_MUTANTS_{name}")).unwrap_or_default();
    let scripts: Vec<_> = told("OF").split_whitespace().map(str::to_owned).collect();
    for script in &scripts {
        source(script);
    }
    let number = |name: &str, without: usize| match &*told(name) {
        "" => without,
        told => told.parse().expect("a number"),
    };
    let (judges, rounds) = (number("JOBS", 2), number("ROUNDS", ROUNDS.len()));
    let (goes_on, book) = (!told("RESUME").is_empty(), "killed-mutants.txt");
    Asked { scripts, judges, rounds, goes_on, book }
}

impl Asked {
    /// Compiling or not.
    fn mutants(&self) -> Vec<Mutant> {
        let chosen = |name: &str| self.scripts.is_empty() || self.scripts.iter().any(|s| s == name);
        // The prelude's mutants take longest: they have no tests of their own.
        let scripts = SOURCES.iter().rev().filter(|(script, _)| chosen(script));
        scripts.flat_map(|(script, text)| mutants(script, text)).collect()
    }
}

/// What became of the mutants of one script.
#[derive(Default)]
struct Tally {
    mutants: usize,
    killed: usize,
    timed_out: usize,
    reasoned: usize,
    unexplained: usize,
}

/// What one round of tests was asked, and what it killed.
#[derive(Default)]
struct Round {
    asked: usize,
    killed: usize,
    took: Duration,
}

struct Hunt {
    waiting: Mutex<VecDeque<Mutant>>,
    done: Mutex<Done>,
    survivors: Survivors,
    begun: Instant,
    /// The mutants that were killed, by their hashes, and what killed them; for the next hunt.
    book: PathBuf,
}

#[derive(Default)]
struct Done {
    tallies: BTreeMap<&'static str, Tally>,
    rounds: BTreeMap<&'static str, Round>,
    faults: Vec<String>,
    judged: usize,
    told: Option<Instant>,
}

#[test]
fn every_mutant_is_killed_or_has_a_reason_to_live() {
    let asked = asked();
    let hunt = Hunt::of(&asked);
    let built = built();
    std::thread::scope(|scope| {
        for _ in 0..asked.judges {
            scope.spawn(|| hunt.work(&built, asked.rounds));
        }
    });
    let done = hunt.done.into_inner().unwrap();
    for fault in &done.faults {
        say(fault);
    }
    say(&table(&done.tallies));
    for name in ROUNDS {
        if let Some(Round { asked, killed, took }) = done.rounds.get(name) {
            say(&format!(
                "tests {name}: killed {killed} of {asked} in {:.0} s",
                took.as_secs_f64()
            ));
        }
    }
    say(&summary(&done.tallies));
    assert!(done.faults.is_empty(), "without a word in survivors.txt, or without a mutant");
}

impl Hunt {
    fn of(asked: &Asked) -> Self {
        let book = Path::new(env!("CARGO_TARGET_TMPDIR")).join(asked.book);
        if !asked.goes_on {
            std::fs::remove_file(&book).ok();
        }
        let (killed, survivors) = (known(&book), survivors());
        let (mut waiting, mut done) = (VecDeque::new(), Done::default());
        for mutant in compiling(asked.mutants()) {
            let tally = done.tallies.entry(mutant.script).or_default();
            tally.mutants += 1;
            let listed = survivors.contains_key(&(mutant.script, mutant.name.clone()));
            match (killed.contains(&hash(&mutant)), listed && asked.goes_on) {
                (true, false) => tally.killed += 1,
                (false, true) => tally.reasoned += 1,
                _ => waiting.push_back(mutant),
            }
        }
        let all: usize = done.tallies.values().map(|tally| tally.mutants).sum();
        say(&format!("{all} mutants, of {} it is known what becomes of them", all - waiting.len()));
        let (waiting, done) = (waiting.into(), done.into());
        Self { waiting, done, survivors, begun: Instant::now(), book }
    }

    fn work(&self, built: &[PathBuf], rounds: usize) {
        let mut judge = Judge::new(built, rounds);
        let unchanged = judge.measure().took;
        let took =
            unchanged.iter().map(|(name, took)| format!("{name} {:.1} s", took.as_secs_f64()));
        say(&format!("without a mutant: {}", took.collect::<Vec<_>>().join(", ")));
        loop {
            let Some(mutant) = self.waiting.lock().unwrap().pop_front() else { break };
            let judged = judge.of(&mutant);
            let listed = self.survivors.contains_key(&(mutant.script, mutant.name.clone()));
            self.note(&mutant, judged, listed);
        }
    }

    fn note(&self, mutant: &Mutant, judged: Judged, listed: bool) {
        let (script, name) = (mutant.script, &mutant.name);
        let mut done = self.done.lock().unwrap();
        done.judged += 1;
        let (verdict, noticed) = (judged.verdict, judged.took.len());
        for (at, (round, took)) in judged.took.into_iter().enumerate() {
            let spent = done.rounds.entry(round).or_default();
            spent.asked += 1;
            spent.took += took;
            spent.killed += usize::from(verdict != Verdict::Passed && at + 1 == noticed);
        }
        let tally = done.tallies.get_mut(script).unwrap();
        let by = match verdict {
            Verdict::Passed => None,
            Verdict::Failed(by) => Some(by),
            Verdict::TimedOut => {
                tally.timed_out += 1;
                Some("time-out".to_owned())
            }
        };
        let fault = match (&by, listed) {
            (None, true) => {
                tally.reasoned += 1;
                None
            }
            (None, false) => {
                tally.unexplained += 1;
                Some(format!("survives: {script} | {name}"))
            }
            (Some(by), _) => {
                tally.killed += 1;
                listed.then(|| format!("listed, but killed by {by}: {script} | {name}"))
            }
        };
        if let Some(by) = by {
            let mut book = std::fs::OpenOptions::new();
            let mut book = book.create(true).append(true).open(&self.book).unwrap();
            writeln!(book, "{} {script} | {name} | {by}", hash(mutant)).unwrap();
        }
        if let Some(fault) = fault {
            say(&fault);
            done.faults.push(fault);
        }
        self.tell(&mut done);
    }

    fn tell(&self, done: &mut Done) {
        let waiting = self.waiting.lock().unwrap().len();
        if waiting > 0 && done.told.is_some_and(|told| told.elapsed() < NEWS) {
            return;
        }
        done.told = Some(Instant::now());
        let seconds = self.begun.elapsed().as_secs_f64();
        let judged = u32::try_from(done.judged).unwrap();
        let rate = f64::from(judged) / seconds;
        say(&format!("{judged} judged, {waiting} wait, {rate:.1} a second, {seconds:.0} s"));
    }
}

/// A mutant that the server does not load is none.
fn compiling(all: Vec<Mutant>) -> Vec<Mutant> {
    let server = TestServer::start(&[]);
    let mut connection = server.client().get_connection().unwrap();
    let mut loads = |mutant: &Mutant| {
        let text = match mutant.script {
            "prelude" => joined(&mutant.text, source("counts")),
            _ => joined(source("prelude"), &mutant.text),
        };
        redis::cmd("SCRIPT").arg("LOAD").arg(text).exec(&mut connection).is_ok()
    };
    all.into_iter().filter(|mutant| loads(mutant)).collect()
}

/// What tells a mutant from all others, as long as its script and the prelude stay as they are.
fn hash(mutant: &Mutant) -> String {
    let mut hash = Sha1::from(&mutant.text);
    hash.update(source("prelude").as_bytes());
    hash.digest().to_string()
}

fn known(book: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(book).unwrap_or_default();
    text.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

fn table(tallies: &BTreeMap<&str, Tally>) -> String {
    let mut rows = vec![String::from(
        "script       mutants  killed  of these timed out  reasoned survivors  unexplained",
    )];
    let mut all = Tally::default();
    let mut row = |script: &str, tally: &Tally| {
        let Tally { mutants, killed, timed_out, reasoned, unexplained } = tally;
        rows.push(format!(
            "{script:<12} {mutants:>7} {killed:>7} {timed_out:>19} {reasoned:>19} {unexplained:>12}"
        ));
    };
    for (script, tally) in tallies {
        row(script, tally);
        all.mutants += tally.mutants;
        all.killed += tally.killed;
        all.timed_out += tally.timed_out;
        all.reasoned += tally.reasoned;
        all.unexplained += tally.unexplained;
    }
    row("all", &all);
    rows.join("\n")
}

/// The last line: for a glance, and for other programs.
fn summary(tallies: &BTreeMap<&str, Tally>) -> String {
    let sum = |of: fn(&Tally) -> usize| tallies.values().map(of).sum::<usize>();
    let (mutants, killed) = (sum(|tally| tally.mutants), sum(|tally| tally.killed));
    let (listed, live) = (sum(|tally| tally.reasoned), sum(|tally| tally.unexplained));
    format!("mutants {mutants}, killed {killed}, listed {listed}, live {live}")
}

fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").ok();
}
