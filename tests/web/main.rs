//! `redeliver serve` from the outside: what it answers, and whom.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod acting;
#[path = "../ops/fixture.rs"]
#[expect(dead_code, clippy::expect_used, reason = "the verbs' tests use the rest of it")]
mod fixture;
mod gate;
mod health;
mod looking;
mod site;
