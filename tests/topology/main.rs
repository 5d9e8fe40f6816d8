//! Several servers: a Cluster, and a master that sentinels watch. Real processes, real elections.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed, and tells what it saw"
)]

#[cfg(feature = "tls")]
#[path = "../access/authority.rs"]
mod authority;
mod bus;
mod calm;
mod clock;
mod cluster;
mod failover;
mod faketime;
mod healthy;
mod migration;
mod nodes;
#[cfg(feature = "cli")]
mod program;
mod proven;
#[cfg(feature = "tls")]
mod secured;
mod sentinels;
mod shards;
mod traffic;
#[path = "../ops/under_test.rs"]
#[expect(dead_code, reason = "the verbs' tests use the rest of it")]
mod under_test;
mod watched;
