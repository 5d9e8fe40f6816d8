//! Servers whose clock is off, by libfaketime.

use std::process::Command;

use crate::under_test;

/// What `env` starts the server under test by, so that its clock is so many seconds ahead, or behind.
/// None where there is no libfaketime, or the server does not start by it.
///
/// The server's allocator asks for the time before the clock is ready to tell it: the system's does not.
pub(crate) fn clock(ahead_s: i64) -> Option<Vec<String>> {
    let found = Command::new("find").args(["/usr/lib", "-name", "libfaketime.so.1"]).output();
    let found = String::from_utf8(found.ok()?.stdout).ok()?;
    let preload = format!("LD_PRELOAD={} libc.so.6", found.lines().next()?);
    let skew = format!("FAKETIME={ahead_s:+}s");
    let words = ["env", &preload, &skew, "FAKETIME_DONT_FAKE_MONOTONIC=1"].map(str::to_owned);
    starts(&words).then(|| words.to_vec())
}

fn starts(by: &[String]) -> bool {
    let mut command = Command::new(&by[0]);
    command.args(&by[1..]).args(under_test::program()).arg("--version");
    command.output().is_ok_and(|told| told.status.success() && told.stderr.is_empty())
}
