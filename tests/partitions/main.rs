//! Queues with more than one partition: all on one server, which shows everything but routing to nodes.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of tests fail as tests do"
)]

mod costs;
#[path = "../ops/fixture.rs"]
#[expect(dead_code, reason = "the verbs' tests use the rest of it")]
mod fixture;
mod keys;
mod lowering;
mod operators;
mod raising;
mod stage;
mod standing;
mod workers;
