//! Clients that wait for an item.

use std::time::Duration;

use redis::{Value, cmd};

use crate::site::Site;

#[test]
fn whoever_waits_longest_is_served_first_and_by_scripts_too() {
    let site = Site::new();
    let mut pushing = site.connect();
    let (first, second) = (site.wait(1), site.wait(2));
    let script = "return redis.call('RPUSH', KEYS[1], 'one', 'two', 'three')";
    let length: u64 = cmd("EVAL").arg(script).arg(1).arg("bell").query(&mut pushing).unwrap();
    assert_eq!(length, 3);
    assert_eq!(first.join().unwrap(), ["bell", "one"]);
    assert_eq!(second.join().unwrap(), ["bell", "two"]);
    let left: Vec<String> = cmd("LRANGE").arg("bell").arg(0).arg(-1).query(&mut pushing).unwrap();
    assert_eq!(left, ["three"]);
}

#[test]
fn a_client_that_has_gone_gets_nothing() {
    let site = Site::new();
    let mut gone = site.connect();
    gone.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    assert!(cmd("BLPOP").arg("bell").arg(60).query::<Value>(&mut gone).is_err());
    drop(gone);
    let mut pushing = site.connect();
    while !cmd("INFO").query::<String>(&mut pushing).unwrap().contains("connected_clients:1\r\n") {
        std::thread::yield_now();
    }
    let waiter = site.wait(1);
    cmd("LPUSH").arg("bell").arg("x").exec(&mut pushing).unwrap();
    assert_eq!(waiter.join().unwrap(), ["bell", "x"]);
}

#[test]
fn waiting_ends_in_time() {
    let mut connection = Site::new().connect();
    let site = Site::new();
    let nothing = cmd("BLPOP").arg("bell").arg(0.01).query::<Value>(&mut site.connect());
    assert_eq!(nothing.unwrap(), Value::Nil);
    assert!(cmd("PING").exec(&mut connection).is_err(), "its engine has ended");
}

#[test]
fn replies_that_nobody_reads_yet_do_not_stop_the_writer() {
    let site = Site::new();
    let mut connection = site.connect();
    let mut pipeline = redis::pipe();
    let text = "x".repeat(1000);
    for _ in 0..20_000 {
        pipeline.cmd("ECHO").arg(&text);
    }
    let replies: Vec<String> = pipeline.query(&mut connection).unwrap();
    assert!(replies.len() == 20_000 && replies.iter().all(|reply| *reply == text));
}
