//! Small changes of the scripts: each has to be noticed by a test of a verb or by a random walk, or
//! to have a reason in `survivors.txt`. `scripts/mutants.sh` tries all of them.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod binary;
#[path = "../ops/fixture.rs"]
#[expect(dead_code, reason = "the verbs' tests use the rest of it")]
mod fixture;
mod hunt;
mod judge;
mod lua;
mod operators;
mod survivors;

use fixture::sources;

#[test]
fn every_survivor_in_the_list_is_still_a_mutant() {
    for (script, name) in survivors::survivors().into_keys() {
        let mutants = operators::mutants(script, sources::source(script));
        let found = mutants.iter().any(|mutant| mutant.name == name);
        assert!(found, "{script} has no mutant {name}");
    }
}

/// By a test of the verb, by one of all verbs, and by a walk.
#[test]
fn a_mutant_is_killed_by_whatever_notices_it() {
    let sample = [
        ("ack", "«remove(PENDING, kept) → »", "ack::"),
        ("ack", "«count('ghosts', #kept - records) → »", "ghosts::"),
        (
            "trim",
            "demand(limit > «0 → 1» and limit <= MAX_ITEMS, 'BADARG the limit is out of bounds')",
            "the_scripts_do_what_the_model_does",
        ),
    ];
    let judge = judge::Judge::new(&judge::built(), judge::ROUNDS.len());
    for (script, name, killer) in sample {
        let mutants = operators::mutants(script, sources::source(script));
        let mutant = mutants.into_iter().find(|mutant| mutant.name == name);
        let mutant = mutant.unwrap_or_else(|| panic!("{script} has no mutant {name}"));
        let verdict = judge.of(&mutant).verdict;
        let binary::Verdict::Failed(test) = verdict else { panic!("{script} {name}: {verdict:?}") };
        assert!(test.starts_with(killer), "{script} {name}: {test}");
    }
}
