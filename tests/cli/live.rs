use std::io::{BufRead as _, BufReader};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::fixture::{Holder, Site};

#[test]
fn events_tell_what_the_counters_did_until_they_are_interrupted() {
    let site = Site::new();
    let _server = site.holder("q");
    let follow = ["events", "q", "--follow", "--every", "100ms"];
    let mut events = Holder(site.command(&follow).spawn().unwrap());
    let mut lines = BufReader::new(events.0.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    // It tells nothing before its first look: pushes go on until one is told.
    let is_told = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_told.load(Ordering::Relaxed) {
                site.run(&["push", "q", "x"]).ok();
            }
        });
        let first = next();
        is_told.store(true, Ordering::Relaxed);
        assert_eq!((&first["event"], &first["queue"]), (&"pushed".into(), &"q".into()));
    });
    site.run(&["pause", "q"]).ok();
    while next()["event"] != "paused" {}
    events.signal("INT");
    assert_eq!(events.exit_code(), Some(0));
}

#[test]
fn stats_tell_rates_and_what_waits() {
    let site = Site::new();
    let _server = site.holder("other");
    site.run(&["push", "q", "x"]).ok();
    let stats = site.run(&["stats", "q"]).ok().json();
    assert_eq!((&stats["queue"], &stats["ready"]), (&"q".into(), &1.into()));
    assert_eq!(stats["per_second"]["pushed"], 0.0);
    assert!(stats["oldest_ready_ms"].as_u64() > Some(0));
    assert_eq!(site.run(&["stats", "q", "--watch", "1ms"]).code, 2, "nobody reads that fast");
}

#[test]
fn a_watched_list_goes_on_until_it_is_interrupted() {
    let site = Site::new();
    let _server = site.holder("other");
    site.run(&["push", "q", "x"]).ok();
    let args = ["queue", "ls", "--watch", "100ms"];
    let mut watch = Holder(site.command(&args).spawn().unwrap());
    let lines = BufReader::new(watch.0.stdout.take().unwrap()).lines();
    assert_eq!(lines.take(3).filter(|line| line.as_ref().unwrap().contains("\"q\"")).count(), 3);
    watch.signal("TERM");
    watch.exit_code();
}

#[test]
fn top_needs_a_terminal() {
    let site = Site::new();
    let run = site.run(&["top"]);
    assert_eq!(run.code, 2, "{run:?}");
    assert!(!site.data().exists(), "no server was started");
}
