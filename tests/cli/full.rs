//! What `push --lines` tells when it cannot push them all.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Stdio;

use crate::fixture::{Run, Site, finish, wait_for};

fn lines(count: usize) -> String {
    (1..=count).fold(String::new(), |mut lines, number| {
        writeln!(lines, "{number}").unwrap();
        lines
    })
}

/// As a file, so that its batches are full.
fn push(site: &Site, lines: &str, options: &[&str]) -> Run {
    let file = site.path().join("lines");
    std::fs::write(&file, lines).unwrap();
    let from = format!("@{}", file.display());
    site.run(&[&["push", "q", &from, "--lines"][..], options].concat())
}

#[test]
fn a_full_queue_tells_how_many_lines_it_took_and_the_first_that_it_refused() {
    let site = Site::new();
    let _server = site.holder("other");
    site.run(&["queue", "set", "q", "--max-ready", "1500"]).ok();
    let run = push(&site, &lines(2_000), &[]);
    let told = "1500 pushed; line 1501 was the first that was not: the queue is full, its max_ready \
                is 1500";
    assert_eq!((run.code, run.stderr.contains(told)), (1, true), "{run:?}");
    assert_eq!(site.counts("q")["ready"], 1500);
    let again = push(&site, "x\n", &[]);
    assert!(again.stderr.contains("0 pushed; line 1 was the first that was not"), "{again:?}");
}

#[test]
fn lines_that_were_duplicates_are_no_refused_ones() {
    let site = Site::new();
    let _server = site.holder("other");
    site.run(&["queue", "set", "q", "--max-ready", "8"]).ok();
    push(&site, &lines(5), &["--key", "k-{line}"]).ok();
    let run = push(&site, &lines(20), &["--key", "k-{line}"]);
    let told = "3 pushed; line 9 was the first that was not: the queue is full, its max_ready is 8";
    assert_eq!((run.code, run.stderr.contains(told)), (1, true), "{run:?}");
}

#[test]
fn lines_that_were_worked_on_meanwhile_count_as_pushed() {
    let site = Site::new();
    let _server = site.holder("other");
    site.run(&["queue", "set", "q", "--max-ready", "150"]).ok();
    let mut push = site.command(&["push", "q", "--lines"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut pipe = push.stdin.take().unwrap();
    pipe.write_all(lines(100).as_bytes()).unwrap();
    wait_for("the first lines", || site.counts("q")["ready"] == 100);
    site.run(&["work", "q", "--exec", "true", "--until-empty"]).ok();
    pipe.write_all(lines(200).as_bytes()).unwrap();
    drop(pipe);
    let run = finish(push);
    let told = "250 pushed; line 251 was the first that was not: the queue is full, its max_ready \
                is 150";
    assert_eq!((run.code, run.stderr.contains(told)), (1, true), "{run:?}");
}

#[test]
fn with_partitions_too_each_line_that_was_taken_is_counted() {
    let site = Site::new();
    let _server = site.holder("other");
    site.run(&["queue", "set", "q", "--max-ready", "100", "--partitions", "2"]).ok();
    let run = push(&site, &lines(400), &[]);
    let ready = &site.counts("q")["ready"];
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.contains(&format!("redeliver: {ready} pushed; line ")), "{run:?}");
}

#[test]
fn a_line_that_is_too_long_is_named_and_says_whether_anything_was_sent() {
    let site = Site::new();
    let _server = site.holder("other");
    let long = "x".repeat(256 * 1024 + 1);
    let run = push(&site, &format!("a\n{long}\nb\n"), &[]);
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.stderr.contains("line 2 is too long"), "{run:?}");
    assert!(run.stderr.contains("nothing was pushed"), "{run:?}");
    let run = push(&site, &format!("{}{long}\n", lines(520)), &[]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.contains("line 521 is too long"), "{run:?}");
    assert!(run.stderr.contains("512 pushed, and none from line 513 on"), "{run:?}");
    assert_eq!(site.counts("q")["ready"], 512);
}
