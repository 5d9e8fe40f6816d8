//! What only shows with a whole server, many workers, or a crash.

#[path = "../ops/fixture.rs"]
mod fixture;
mod memory;
