//! The engine that the program carries, on a machine without a server.

use crate::fixture::{Run, Site, finish, wait_for};

/// Runs the program with nothing at all on its PATH.
fn bare(site: &Site, args: &[&str]) -> Run {
    let mut command = site.command(args);
    command.env("PATH", site.path().join("nothing"));
    finish(command.spawn().unwrap())
}

#[test]
fn without_a_server_the_embedded_engine_runs_and_keeps_its_data() {
    let site = Site::new();
    let told = bare(&site, &["push", "q", "kept"]).ok().stderr;
    assert!(told.starts_with("redeliver: private embedded engine "), "{told}");
    assert!(told.contains("production means Redis or Valkey"), "{told}");
    wait_for("the end of the engine", || !site.is_up());
    assert_eq!(bare(&site, &["counts", "q"]).ok().json()["ready"], 1);
}

#[test]
fn an_engine_that_was_shut_down_is_replaced_with_its_data() {
    let site = Site::new();
    let mut holder = site.command(&["--engine", "embedded", "poll", "q"]);
    let holder = site.held(&mut holder);
    site.run(&["--engine", "embedded", "push", "q", "x"]).ok();
    site.crash_server();
    let counts = site.run(&["--engine", "embedded", "counts", "q"]).ok().json();
    assert_eq!(counts["ready"], 1);
    site.run(&["--engine", "embedded", "check", "q"]).ok();
    drop(holder);
}

#[test]
fn whoever_wants_a_server_gets_no_engine() {
    let site = Site::new();
    let run = bare(&site, &["--engine", "server", "counts"]);
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.stderr.contains("apt-get install"), "{run:?}");
}

#[test]
fn the_demo_needs_no_server() {
    let site = Site::new();
    let run = bare(&site, &["demo", "--json"]).ok();
    let summary: serde_json::Value =
        serde_json::from_str(run.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((&summary["pushed"], &summary["lost"]), (&200.into(), &0.into()));
    assert_eq!(summary["law"], "holds");
}
