//! One module for each verb, against a real server.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of tests fail as tests do"
)]

mod ack;
mod bury;
mod extend;
mod fixture;
mod receipts;
mod release;
mod retry;
