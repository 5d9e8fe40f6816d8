//! How long dead letters are kept, by those who run pollers.

use std::time::Duration;

use crate::fixture::{Holder, Site, wait_for};

/// In seconds.
const DAY: u64 = 24 * 60 * 60;

/// As many dead letters, which died so many days ago.
fn dead(site: &Site, queue: &str, days: &[u64]) {
    for day in days {
        site.run(&["push", queue, &day.to_string()]).ok();
    }
    let script = "local now = redis.call('TIME')[1]
        for i, id in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
        redis.call('ZADD', KEYS[2], (now - ARGV[i]) * 1000, id) end
        redis.call('DEL', KEYS[1])";
    let mut kill = redis::cmd("EVAL");
    kill.arg(script).arg(2).arg(format!("rd:{{{queue}.0}}:ready"));
    kill.arg(format!("rd:{{{queue}.0}}:dead"));
    for day in days {
        kill.arg(day * DAY);
    }
    kill.exec(&mut site.connection()).unwrap();
}

/// What is left dead once this many are trimmed; all that goes goes in one step.
fn left(site: &Site, command: &[&str], options: &[&str], trimmed: u64) -> u64 {
    let poller = Holder(site.command(&[command, options].concat()).spawn().unwrap());
    wait_for("the trim", || site.counts("q")["trimmed"] == trimmed);
    poller.kill();
    site.run(&["check", "q"]).ok();
    site.counts("q")["dead"].as_u64().unwrap()
}

const POLLS: [&[&str]; 3] =
    [&["poll", "q"], &["work", "q", "--exec", "true"], &["serve", "q", "--listen", "127.0.0.1:0"]];

#[test]
fn dead_letters_are_kept_as_long_as_the_poller_is_told_and_no_longer() {
    for command in POLLS {
        let site = Site::new();
        let _server = site.holder("other");
        dead(&site, "q", &[95, 90, 31, 1]);
        assert_eq!(left(&site, command, &["--dead-retention", "92d"], 1), 3, "{command:?}");
        let for_ever = ["--dead-retention", "0", "--dead-max", "2"];
        assert_eq!(left(&site, command, &for_ever, 2), 2, "{command:?}");
        assert_eq!(left(&site, command, &[], 3), 1, "{command:?}: 30 days by default");
    }
}

#[test]
fn any_number_of_dead_letters_is_kept_where_none_is_named() {
    let site = Site::new();
    let _server = site.holder("other");
    dead(&site, "q", &[40, 3, 2, 1]);
    assert_eq!(left(&site, &["poll", "q"], &["--dead-max", "0"], 1), 3);
}

#[test]
fn a_server_of_pages_that_only_looks_trims_nothing() {
    let site = Site::new();
    let _server = site.holder("other");
    let serve = ["serve", "q", "--listen", "127.0.0.1:0", "--read-only"];
    let both = [&serve[..], &["--dead-max", "1"]].concat();
    assert_eq!(site.run(&both).code, 2, "who only looks keeps everything");
    dead(&site, "q", &[95, 90, 31, 1]);
    let _page = Holder(site.command(&serve).spawn().unwrap());
    // A pass that moves something is followed by a trim, and that by the next pass.
    for moved in 1..=2 {
        site.run(&["push", "q", "due", "--delay", "100ms"]).ok();
        wait_for("the pass", || site.counts("q")["promoted"] == moved);
        std::thread::sleep(Duration::from_millis(50));
    }
    let counts = site.counts("q");
    assert_eq!((&counts["dead"], &counts["trimmed"]), (&4.into(), &0.into()));
}
