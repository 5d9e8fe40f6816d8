//! One module for each verb, against a real server.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of tests fail as tests do"
)]

mod ack;
mod bury;
mod cancel;
mod claim;
mod extend;
#[expect(dead_code, reason = "the system tests use the rest of it")]
mod fixture;
mod purge;
mod push;
mod push_bounds;
mod receipts;
mod redeliver;
mod redrive;
mod release;
mod reschedule;
mod retry;
mod trim;
