//! What the library tells of itself: metrics and spans.

#![cfg(feature = "metrics")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "../ops/fixture.rs"]
#[expect(dead_code, clippy::expect_used, reason = "the verbs' tests use the rest of it")]
mod fixture;
mod metrics;
#[cfg(feature = "otel")]
mod spans;
