//! The embedded engine beside a real server: whatever is sent to both has to come to the same.
//!
//! `REDELIVER_ENGINE_CASES` says how many random sequences; proptest's own variables work too.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod differ;
#[path = "../ops/fixture.rs"]
#[expect(dead_code, reason = "the verbs' tests use the rest of it")]
mod fixture;
mod pair;
mod sandbox;
mod site;
mod step;
mod testing;
mod told;
mod waiting;
