//! The program, run as its users run it, on a private server of each test's own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod bulk;
mod commands;
mod config;
mod damaged;
mod demo;
mod embedded;
mod fixture;
mod full;
mod live;
mod messages;
mod outputs;
mod private_server;
mod redrive;
mod retention;
mod round_trip;
mod transfer;
#[path = "../ops/under_test.rs"]
#[expect(dead_code, reason = "the verbs' tests use the rest of it")]
mod under_test;
mod work;
