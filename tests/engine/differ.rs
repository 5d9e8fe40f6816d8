//! Random sequences, sent to both.

use std::cell::RefCell;

use proptest::collection::vec;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestRunner};
use redis::ProtocolVersion;

use crate::fixture::KEYS;
use crate::pair::{Ends, Pair};
use crate::step::{Step, calls, commands, keys, timed};

const DEFAULT_CASES: u32 = 200;
const STEPS: std::ops::Range<usize> = 1..60;
const BEGINNING_MS: u64 = 1_800_000_000_000;

fn config() -> Config {
    let cases = std::env::var("REDELIVER_ENGINE_CASES").ok().map(|text| text.parse().unwrap());
    Config {
        cases: cases.unwrap_or(DEFAULT_CASES),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "tests/engine/proptest-regressions.txt",
        ))),
        ..Config::default()
    }
}

/// One walk on empty servers; the seed of a failure is told and kept.
fn walk(steps: impl Strategy<Value = Step>) {
    let Some(pair) = Pair::start() else { return };
    for protocol in [ProtocolVersion::RESP3, ProtocolVersion::RESP2] {
        let ends = RefCell::new(pair.connect(protocol));
        let walked = TestRunner::new(config()).run(&vec(&steps, STEPS), |steps| {
            let ends = &mut *ends.borrow_mut();
            ends.forget();
            let mut now_ms = BEGINNING_MS;
            for (at, step) in steps.iter().enumerate() {
                let differs = |told| TestCaseError::fail(format!("step {at}: {told}"));
                take(ends, step, &mut now_ms).map_err(differs)?;
                ends.same_content(&keys()).map_err(differs)?;
            }
            Ok(())
        });
        assert!(walked.is_ok(), "{protocol:?}: {}", walked.unwrap_err());
    }
}

fn take(ends: &mut Ends, step: &Step, now_ms: &mut u64) -> Result<(), String> {
    match step {
        Step::Command(words) => ends.same(words),
        Step::Flush => ends.same_text("SCRIPT FLUSH"),
        Step::Call { verb, argv, ms } => {
            *now_ms += ms;
            let mut words =
                vec![b"EVAL".to_vec(), timed(verb).into(), KEYS.len().to_string().into()];
            words.extend(keys().into_iter().skip(4).map(String::into_bytes));
            words.extend(argv.iter().cloned().map(String::into_bytes));
            words.push((*now_ms * 1000).to_string().into());
            ends.same_but_order(&words, *verb == "check")
                .map_err(|told| format!("{verb} {argv:?} at {now_ms}: {told}"))
        }
    }
}

#[test]
fn every_command_comes_to_the_same() {
    walk(commands());
}

#[test]
fn every_verb_comes_to_the_same() {
    walk(calls());
}

#[test]
fn verbs_among_meddling_commands_come_to_the_same() {
    // Commands that meet the queue's own keys, of the right type and of the wrong one.
    let meddling = commands().prop_map(|step| {
        let Step::Command(mut words) = step else { return step };
        for word in &mut words {
            if let [b'k', number @ b'0'..=b'3'] = word[..] {
                *word = keys()[4 + usize::from(number - b'0') * 2].clone().into_bytes();
            }
        }
        Step::Command(words)
    });
    walk(proptest::prop_oneof![4 => calls(), 1 => meddling]);
}

/// What random words seldom come to.
const RARE: [&str; 12] = [
    "RPUSH k0 a b a c a",
    "LREM k0 -1 a",
    "LRANGE k0 0 -1",
    "LREM k0 1 a",
    "LRANGE k0 0 -1",
    "RPUSH k0 a a",
    "LREM k0 -2 a",
    "LRANGE k0 0 -1",
    "LREM k0 -9 a",
    "ZADD k1 0 a",
    "ZADD k1 -0 b",
    "ZRANGE k1 0 -1",
];

#[test]
fn rare_words_come_to_the_same() {
    let Some(pair) = Pair::start() else { return };
    let mut ends = pair.connect(ProtocolVersion::RESP3);
    for command in RARE {
        ends.same_text(command).unwrap();
    }
}
