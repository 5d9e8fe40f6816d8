//! How safe a message is when its push returns: real replicas that stop, real masters that die.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed, and tells what it saw"
)]

mod cost;
#[path = "../ops/fixture.rs"]
#[expect(dead_code, reason = "the verbs' tests use the rest of it")]
mod fixture;
mod pair;
#[cfg(feature = "cli")]
mod program;
mod promoted;
mod replicated;
mod synced;
