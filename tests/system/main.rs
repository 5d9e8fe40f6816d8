//! What only shows with a whole server, many workers, or a crash.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    reason = "a test that cannot go on has failed, and tells what it saw"
)]

mod batching;
mod crowd;
#[cfg(feature = "cli")]
mod doctor;
mod faults;
#[path = "../ops/fixture.rs"]
#[expect(dead_code, reason = "the verbs' tests use the rest of it")]
mod fixture;
mod history;
mod memory;
mod poller;
#[cfg(feature = "cli")]
mod process;
mod repair;
#[cfg(feature = "cli")]
mod rights;
mod stepped;
mod undone;
mod unreadable;
mod verdicts;
mod worker;
