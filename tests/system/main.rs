//! What only shows with a whole server, many workers, or a crash.

mod batching;
mod crowd;
mod faults;
#[path = "../ops/fixture.rs"]
#[expect(dead_code, reason = "the verbs' tests use the rest of it")]
mod fixture;
mod memory;
mod worker;
