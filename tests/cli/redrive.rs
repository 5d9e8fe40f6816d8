use std::fmt::Write as _;

use serde_json::Value;

use crate::fixture::{Holder, Site, wait_for};

/// A server, and as many dead letters with this error.
fn dead(site: &Site, count: usize) -> Holder {
    let server = site.holder("other");
    let mut lines = String::new();
    for number in 0..count {
        writeln!(lines, "{number}").unwrap();
    }
    site.run_with(&["push", "q", "--lines"], &lines).ok();
    let exec = ["--exec", "echo 'timeout: db' >&2; exit 65", "--until-empty"];
    site.run(&[&["work", "q"][..], &exec].concat()).ok();
    assert_eq!(site.counts("q")["dead"], count);
    server
}

fn redrive(site: &Site, args: &[&str]) -> Value {
    site.run(&[&["dead", "redrive", "q"][..], args].concat()).ok().json()
}

fn code(site: &Site, args: &[&str]) -> i32 {
    site.run(&[&["dead", "redrive", "q"][..], args].concat()).code
}

#[test]
fn dead_redrive_takes_what_the_filter_says_and_a_dry_run_counts_it() {
    let site = Site::new();
    let _server = dead(&site, 3);
    assert_eq!(redrive(&site, &["--error", "web", "--dry-run"])["matching"], 0);
    assert_eq!(redrive(&site, &["--class", "exit status", "--dry-run"])["matching"], 3);
    assert_eq!(redrive(&site, &["--older-than", "1h"])["redriven"], 0);
    assert_eq!(site.counts("q")["dead"], 3);
    let done = redrive(&site, &["--error", "timeout", "--min-attempts", "1"]);
    assert_eq!((&done["redriven"], &done["state"]), (&3.into(), &"done".into()));
    assert_eq!(site.counts("q")["ready"], 3);
    let status = redrive(&site, &["--status"]);
    assert_eq!((&status["task"], &status["redriven"]), (&done["task"], &3.into()));
}

#[test]
fn dead_redrive_refuses_what_makes_no_sense() {
    let site = Site::new();
    let _server = site.holder("q");
    let id = "01JD0Z3N9Q6V2G7T8K4M5R1XYZ";
    let wrong: [&[&str]; 7] = [
        &["--all", "--error", "x"],
        &[id, "--all"],
        &[id, "--rate", "5"],
        &["--pause", "--cancel"],
        &["--status", "--error", "x"],
        &["--all", "--rate", "0"],
        &["--all", "--max-failure-ratio", "2"],
    ];
    for args in wrong {
        assert_eq!(code(&site, args), 2, "{args:?}");
    }
    assert_eq!(code(&site, &["--canary", "5"]), 5, "a canary is no filter");
    assert_eq!(code(&site, &["--status"]), 4);
    assert_eq!(code(&site, &["--pause"]), 1);
}

#[test]
fn an_interrupted_redrive_is_paused_and_another_process_ends_it() {
    let site = Site::new();
    let _server = dead(&site, 20);
    let args = ["dead", "redrive", "q", "--all", "--rate", "2"];
    let mut first = Holder(site.command(&args).spawn().unwrap());
    wait_for("the first redriven", || site.counts("q")["redriven"].as_u64() > Some(0));
    assert_eq!(code(&site, &["--all"]), 1, "one at a time");
    first.signal("INT");
    assert_eq!(first.exit_code(), Some(0));
    let paused = redrive(&site, &["--status"]);
    assert_eq!(paused["state"], "paused");
    assert_eq!(paused["redriven"], site.counts("q")["redriven"]);
    let mut second = Holder(site.command(&["dead", "redrive", "q", "--resume"]).spawn().unwrap());
    assert_eq!(second.exit_code(), Some(0));
    let done = redrive(&site, &["--status"]);
    assert_eq!((&done["state"], &done["redriven"]), (&"done".into(), &20.into()));
    assert_eq!(site.counts("q")["ready"], 20);
    site.run(&["check", "q"]).ok();
}

#[test]
fn a_killed_redrive_is_ended_by_a_poller_with_exact_counts() {
    let site = Site::new();
    let _server = dead(&site, 20);
    let args = ["dead", "redrive", "q", "--all", "--rate", "2"];
    let first = Holder(site.command(&args).spawn().unwrap());
    wait_for("the first redriven", || site.counts("q")["redriven"].as_u64() > Some(0));
    first.kill();
    assert_eq!(redrive(&site, &["--status"])["state"], "running");
    let _poller = site.holder("q");
    wait_for("the end", || redrive(&site, &["--status"])["state"] == "done");
    assert_eq!(redrive(&site, &["--status"])["redriven"], 20);
    let counts = site.counts("q");
    assert_eq!((&counts["redriven"], &counts["ready"]), (&20.into(), &20.into()));
    site.run(&["check", "q"]).ok();
}

#[test]
fn what_is_no_dead_letter_is_named_and_the_others_are_taken() {
    let site = Site::new();
    let _server = dead(&site, 2);
    let dead: Vec<_> = site.run(&["dead", "ls", "q"]).ok().lines();
    let [first, second] = [0, 1].map(|at| dead[at]["id"].as_str().unwrap().to_owned());
    let ready = site.run(&["push", "q", "waits"]).ok().json()["id"].as_str().unwrap().to_owned();
    let unknown = "01JD0Z3N9Q6V2G7T8K4M5R1XYZ";
    let told = format!("redeliver: not a dead letter: {ready}, {unknown}\n");
    for (verb, done, id) in [("purge", "purged", &first), ("redrive", "redriven", &second)] {
        let run = site.run(&["dead", verb, "q", &ready, id, unknown, id]);
        assert_eq!((run.code, &run.json()[done]), (4, &1.into()), "{run:?}");
        assert!(run.stderr.ends_with(&told), "{run:?}");
        let again = site.run(&["dead", verb, "q", id]);
        assert!(again.stderr.ends_with(&format!("not a dead letter: {id}\n")), "{again:?}");
    }
}
