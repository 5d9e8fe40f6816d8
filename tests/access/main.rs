//! Who the server is, and how it lets us in: TLS with certificates of our own, and passwords that change.

#![cfg(all(feature = "tls", feature = "cli"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed, and tells what it saw"
)]

mod authority;
mod certificates;
#[path = "../ops/fixture.rs"]
#[expect(dead_code, reason = "the verbs' tests use the rest of it")]
mod fixture;
mod program;
mod rotation;
mod tls;

use fixture::under_test;
