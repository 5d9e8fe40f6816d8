use std::fmt::Write as _;

use crate::fixture::{Holder, Site, wait_for};

fn push(site: &Site, count: usize, options: &[&str]) {
    let mut lines = String::new();
    for number in 0..count {
        writeln!(lines, "{number}").unwrap();
    }
    site.run_with(&[&["push", "q", "--lines"][..], options].concat(), &lines).ok();
}

#[test]
fn what_is_done_to_many_needs_a_filter_or_all() {
    let site = Site::new();
    let bulk: [&[&str]; 4] = [
        &["queue", "purge", "q"],
        &["msg", "cancel", "q"],
        &["cancel", "q", "--state", "ready"],
        &["dead", "purge", "q", "--dry-run"],
    ];
    for args in bulk {
        let run = site.run(args);
        assert_eq!(run.code, 5, "{run:?}");
        assert!(run.stderr.contains("--all"), "{run:?}");
    }
    assert_eq!(site.run(&["queue", "purge", "q", "--all", "--kind", "x"]).code, 2);
    assert!(!site.data().exists(), "no server was started");
}

#[test]
fn queue_purge_takes_what_waits_and_a_dry_run_counts_it() {
    let site = Site::new();
    let _server = site.holder("other");
    push(&site, 3, &["--kind", "mail"]);
    site.run(&["work", "q", "--exec", "exit 65", "--until-empty"]).ok();
    push(&site, 5, &["--kind", "mail"]);
    push(&site, 2, &["--delay", "1h"]);
    let purge =
        |args: &[&str]| site.run(&[&["queue", "purge", "q"][..], args].concat()).ok().json();
    assert_eq!(purge(&["--all", "--dry-run"])["matching"], 7);
    assert_eq!(purge(&["--kind", "mail", "--dry-run"])["matching"], 5);
    assert_eq!(purge(&["--state", "dead", "--kind", "mail", "--dry-run"])["matching"], 3);
    assert_eq!(site.counts("q")["messages"], 10, "until here nothing was changed");
    assert_eq!(purge(&["--kind", "mail"])["purged"], 5);
    assert_eq!(purge(&["--all"])["purged"], 2);
    let counts = site.counts("q");
    assert_eq!((&counts["dead"], &counts["cancelled"]), (&3.into(), &7.into()));
    assert_eq!(purge(&["--state", "dead", "--all"])["purged"], 3);
    assert_eq!(site.counts("q")["purged"], 3);
    site.run(&["check", "q"]).ok();
}

/// Makes dead letters of all ready messages, as failures would one by one.
fn kill_ready(site: &Site) {
    let script = "for i, id in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
        redis.call('ZADD', KEYS[2], 1700000000000 + math.floor(i / 7), id) end
        redis.call('DEL', KEYS[1])";
    let mut kill = redis::cmd("EVAL");
    kill.arg(script).arg(2).arg("rd:{q.0}:ready").arg("rd:{q.0}:dead");
    kill.exec(&mut site.connection()).unwrap();
}

#[test]
fn dead_purge_takes_what_the_filter_says_over_all_pages() {
    let site = Site::new();
    let _server = site.holder("other");
    push(&site, 1_500, &["--kind", "mail"]);
    push(&site, 10, &[]);
    push(&site, 1_000, &["--kind", "mail"]);
    kill_ready(&site);
    let purge = |args: &[&str]| site.run(&[&["dead", "purge", "q"][..], args].concat()).ok().json();
    assert_eq!(purge(&["--kind", "mail", "--dry-run"])["matching"], 2_500);
    let exported = site.run(&["dead", "export", "q", "--kind", "mail"]).ok();
    assert_eq!(exported.stdout.lines().count(), 2_500);
    assert_eq!(purge(&["--kind", "mail"])["purged"], 2_500);
    assert_eq!(purge(&["--all"])["purged"], 10);
    site.run(&["check", "q"]).ok();
}

#[test]
fn an_interrupted_command_tells_exactly_what_it_did() {
    let site = Site::new();
    let _server = site.holder("other");
    push(&site, 20_000, &[]);
    let purge = site.command(&["queue", "purge", "q", "--all"]).spawn().unwrap();
    let purge = Holder(purge);
    wait_for("the first removal", || site.counts("q")["cancelled"].as_u64() > Some(0));
    purge.signal("INT");
    let ended = purge.run();
    let counts = site.counts("q");
    assert_eq!(ended.json()["purged"], counts["cancelled"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    let left = counts["ready"].as_u64().unwrap();
    assert!(left > 0 && ended.stderr.contains(&format!("{left} more stay")), "{ended:?}");
    site.run(&["check", "q"]).ok();
}

#[test]
fn what_waits_for_nobody_is_only_taken_by_its_state_and_that_is_told() {
    let site = Site::new();
    let _server = site.holder("other");
    push(&site, 2, &[]);
    site.run(&["work", "q", "--exec", "exit 65", "--until-empty"]).ok();
    let told = "dead and pending messages are taken only with --state";
    let bulk: [&[&str]; 3] = [
        &["msg", "cancel", "q", "--all"],
        &["msg", "cancel", "q", "--error", "exit status", "--dry-run"],
        &["queue", "purge", "q", "--all"],
    ];
    for args in bulk {
        let run = site.run(args).ok();
        assert!(run.stderr.contains(told), "{run:?}");
        let quiet = site.run(&[args, &["--quiet"]].concat()).ok();
        assert_eq!(quiet.stderr, "", "{quiet:?}");
    }
    let named = site.run(&["msg", "cancel", "q", "--state", "ready", "--all"]).ok();
    assert!(!named.stderr.contains(told), "{named:?}");
    push(&site, 1, &[]);
    let taken = site.run(&["queue", "purge", "q", "--all"]).ok();
    assert!(!taken.stderr.contains(told), "{taken:?}");
    assert_eq!(site.counts("q")["dead"], 2);
}
