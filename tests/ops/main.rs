//! One module for each verb, against a real server.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of tests fail as tests do"
)]

mod ack;
mod ambiguity;
mod bury;
mod cancel;
mod check;
mod claim;
mod counts;
mod crossed_keys;
mod destroy;
mod extend;
mod fence;
mod find;
#[expect(dead_code, reason = "the system tests use the rest of it")]
mod fixture;
mod forecast;
mod ghosts;
mod held;
mod limit;
mod noscript;
mod pages;
mod pause;
mod peek;
mod proxy;
mod purge;
mod push;
mod push_bounds;
mod receipts;
mod redeliver;
mod redeliver_bounds;
mod redrive;
mod release;
mod repair;
mod reschedule;
mod resume;
mod retry;
mod steer;
mod trim;
mod unreadable;
mod verbs;
