//! Queues that cannot be read, beside one that can.

use std::io::{BufRead as _, BufReader};

use serde_json::Value;

use crate::fixture::{Holder, Run, Site, wait_for};

/// A sound queue between one with a key of another type and one of a later version.
fn site() -> (Site, Holder) {
    let site = Site::new();
    let server = site.holder("other");
    for queue in ["bad1", "good", "newer"] {
        site.run(&["push", queue, "x"]).ok();
    }
    let mut redis = site.connection();
    redis::cmd("SET").arg("rd:{bad1.0}:dead").arg("foo").exec(&mut redis).unwrap();
    redis::cmd("HSET").arg("rd:{newer.0}:meta").arg(&["layout", "9"]).exec(&mut redis).unwrap();
    (site, server)
}

fn assert_tells_both(run: &Run) {
    let lines: Vec<_> = run.stderr.lines().filter(|line| line.contains("cannot be read")).collect();
    assert_eq!(lines.len(), 2, "{run:?}");
    assert!(lines[0].contains("bad1: cannot be read: ") && lines[0].contains("WRONGTYPE"));
    assert!(lines[1].contains("newer: cannot be read: ") && lines[1].contains("layout"));
}

#[test]
fn a_queue_that_cannot_be_read_hides_no_other_and_is_told_by_exit_code_1() {
    let (site, _server) = site();
    for args in [&["counts"][..], &["queue", "ls"], &["stats"]] {
        let run = site.run(args);
        assert_eq!(run.code, 1, "{run:?}");
        let rows = run.lines();
        let names: Vec<_> = rows.iter().map(|row| row["queue"].as_str().unwrap()).collect();
        assert_eq!(names, ["good"], "{run:?}");
        assert_tells_both(&run);
        let table = site.run(&[args, &["-o", "table"]].concat());
        assert!(table.code == 1 && table.stdout.contains("good"), "{table:?}");
        let json = site.run(&[args, &["-o", "json"]].concat()).json();
        assert_eq!(json.as_array().unwrap().len(), 1, "{json}");
    }
    let named = site.run(&["counts", "bad1"]);
    assert!(named.code == 1 && named.stdout.is_empty(), "{named:?}");
}

#[test]
fn a_watched_list_goes_on_beside_a_queue_that_cannot_be_read() {
    let (site, _server) = site();
    let args = ["queue", "ls", "--watch", "100ms"];
    let mut watch = Holder(site.command(&args).spawn().unwrap());
    let lines = BufReader::new(watch.0.stdout.take().unwrap()).lines();
    assert_eq!(lines.take(3).filter(|line| line.as_ref().unwrap().contains("good")).count(), 3);
    watch.signal("TERM");
    assert_eq!(watch.exit_code(), Some(1));
}

#[test]
fn a_server_that_goes_away_ends_the_list_at_once() {
    let (site, _server) = site();
    let args = ["queue", "ls", "--watch", "100ms"];
    let mut watch = Holder(site.command(&args).spawn().unwrap());
    let mut lines = BufReader::new(watch.0.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("good"));
    site.crash_server();
    let ended = watch.exit_code();
    assert!(matches!(ended, Some(1 | 3)), "{ended:?}");
    wait_for("the end of the lines", || lines.next().is_none());
}

#[test]
fn a_queue_that_cannot_be_read_has_no_counts_and_no_law_that_holds() {
    let site = Site::new();
    let _server = site.holder("other");
    site.run(&["push", "dmg", "x"]).ok();
    redis::cmd("SET").arg("rd:{dmg.0}:dead").arg("foo").exec(&mut site.connection()).unwrap();
    for options in [&[][..], &["--repair"], &["--repair", "--dry-run"]] {
        let check = [&["check", "dmg"], options].concat();
        let run = site.run(&check);
        assert_eq!(run.code, 1, "{run:?}");
        let told = run.json();
        assert_eq!((&told["clean"], &told["damaged"]), (&false.into(), &1.into()));
        let told = told.as_object().unwrap();
        assert_eq!(told.get("law_holds"), Some(&Value::Null), "{run:?}");
        assert_eq!(told.get("counts"), Some(&Value::Null), "{run:?}");
        let table = site.run(&[&check[..], &["-o", "table"]].concat());
        assert_eq!(table.code, 1, "{table:?}");
        assert!(table.stdout.contains("The queue cannot be read."), "{table:?}");
        assert!(!table.stdout.contains("The law"), "{table:?}");
    }
    let sound = site.run(&["check", "other"]).ok().json();
    assert_eq!((&sound["law_holds"], &sound["counts"]["ready"]), (&true.into(), &0.into()));
}
