//! What is left of a queue when the server loses its power, or parts of its file.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed, and tells what it saw"
)]

mod aof;
mod cuts;
mod damage;
#[path = "../ops/fixture.rs"]
#[expect(dead_code, reason = "the verbs' tests use the rest of it")]
mod fixture;
mod history;
mod loss;
mod syncs;
mod traffic;

/// A number from the environment, for longer runs and for repeating one.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Randomness that can be had again: `REDELIVER_SEED` takes the seed that a run has printed.
fn seeded() -> fastrand::Rng {
    let seed = setting("REDELIVER_SEED", fastrand::u64(..));
    eprintln!("seed {seed}");
    fastrand::Rng::with_seed(seed)
}
