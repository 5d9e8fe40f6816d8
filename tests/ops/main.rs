//! One module for each verb, against a real server.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of tests fail as tests do"
)]

mod ack;
mod bury;
mod claim;
mod extend;
mod fixture;
mod push;
mod push_bounds;
mod receipts;
mod release;
mod retry;
