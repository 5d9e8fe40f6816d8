//! Random walks over all verbs, the scripts on a real server against a reference queue in Rust.
//!
//! `REDELIVER_MODEL_CASES` says how many walks; proptest's own variables work too.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod bounds;
mod coverage;
#[path = "../ops/fixture.rs"]
#[expect(dead_code, reason = "the verbs' tests use the rest of it")]
mod fixture;
mod laws;
mod lost_token;
mod planted;
mod real;
mod reference;
mod reply;
mod step;
mod walk;

use std::fmt::Write as _;

use proptest::test_runner::{Config, FileFailurePersistence, RngAlgorithm, TestRunner};
use proptest_state_machine::{ReferenceStateMachine as _, StateMachineTest};

use fixture::TestServer;
use laws::Laws;
use real::{Real, set_up};
use step::Step;
use walk::{Done, Walk};

/// Steps of one walk.
const STEPS: std::ops::Range<usize> = 1..80;
/// Less than the records of two pages.
const SHORT_BUDGET: usize = 200;
const DEFAULT_CASES: u32 = 1000;
/// A walk's queue is scanned as a whole, so that the model knows what a scan tells.
const WHOLE_SCANS: [&str; 4] =
    ["--zset-max-listpack-entries", "9999", "--hash-max-listpack-entries", "9999"];
/// Calls that a failure shows.
const SHOWN: usize = 30;

/// A queue on the server, on its way through a walk.
struct Walker {
    real: Real,
    laws: Laws,
    log: Vec<String>,
}

impl StateMachineTest for Walker {
    type SystemUnderTest = Self;
    type Reference = Walk;

    fn init_test(_: &Walk) -> Self {
        Self { real: Real::new(), laws: Laws::default(), log: Vec::new() }
    }

    fn apply(mut walker: Self, walk: &Walk, _: Step) -> Self {
        let (told, now_us) = (&walk.done, walk.model.now_us);
        let after = match told {
            Done::Nothing => return walker,
            Done::Flushed => walker.real.command("SCRIPT FLUSH", ""),
            Done::Took(key) => walker.real.command("LPOP", key),
            Done::Called(call, expected) => {
                walker.log.push(format!("{now_us} {} {:?}", call.verb, call.argv));
                let (reply, after) = walker.real.call(call.verb, &call.argv, now_us);
                assert!(reply == *expected, "{}", walker.differs("reply", expected, &reply));
                after
            }
        };
        let expected = walk.model.snapshot();
        assert!(after == expected, "{}", walker.differs("state", &expected, &after));
        walker.laws.hold(now_us, told, &after);
        walker
    }

    fn teardown(walker: Self, _: Walk) {
        walker.real.forget();
    }
}

impl Walker {
    fn differs(
        &self,
        what: &str,
        expected: &impl std::fmt::Debug,
        got: &impl std::fmt::Debug,
    ) -> String {
        let mut told = format!("another {what}\nexpected {expected:?}\n     got {got:?}\nafter");
        for call in &self.log[self.log.len().saturating_sub(SHOWN)..] {
            write!(told, "\n  {call}").unwrap();
        }
        told
    }
}

/// Walks until something differs; then says what, and the shortest way there.
fn walk(mut runner: TestRunner) -> Result<(), String> {
    let walks = Walk::sequential_strategy(STEPS);
    let config = runner.config().clone();
    let result = runner.run(&walks, |(walk, steps, seen)| {
        Walker::test_sequential(config.clone(), walk, steps, seen);
        Ok(())
    });
    result.map_err(|error| error.to_string())
}

fn config() -> Config {
    let cases = std::env::var("REDELIVER_MODEL_CASES").ok().map(|text| text.parse().unwrap());
    Config {
        cases: cases.unwrap_or(DEFAULT_CASES),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "tests/model/proptest-regressions/walks.txt",
        ))),
        max_shrink_time: 60_000,
        rng_algorithm: RngAlgorithm::XorShift,
        ..Config::default()
    }
}

/// The text of a script that reads fewer bytes of records in one redelivery.
fn short_budget(verb: &str, text: String) -> String {
    let short = SHORT_BUDGET.to_string();
    if verb == "redeliver" { real::replaced(&text, "2 * 1024 * 1024", &short) } else { text }
}

#[test]
fn the_scripts_do_what_the_model_does() {
    let server = TestServer::start(&WHOLE_SCANS);
    set_up(&server, None, |_, text| text);
    if let Err(told) = walk(TestRunner::new(config())) {
        panic!("{told}");
    }
}

#[test]
fn redelivery_stops_at_its_budget_of_bytes() {
    let server = TestServer::start(&WHOLE_SCANS);
    set_up(&server, Some(SHORT_BUDGET), short_budget);
    let config = Config { cases: config().cases / 4, ..config() };
    if let Err(told) = walk(TestRunner::new(config)) {
        panic!("{told}");
    }
}
