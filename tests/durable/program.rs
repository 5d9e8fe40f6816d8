//! What the program says of it.

use std::process::{Command, Output};

use serde_json::Value;

use crate::fixture::TestServer;
use crate::pair::Pair;

fn redeliver(server: &TestServer, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redeliver"));
    command.args(args).args(["--url", &server.url()]).env("XDG_CONFIG_HOME", "/nowhere");
    command.output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn what_is_accepted_and_not_proven_is_told_by_exit_code_6_and_can_be_asked_for_again() {
    let server = TestServer::start(&[]);
    let proof = ["--durability", "replicated", "--proof-timeout", "10ms", "-o", "json"];
    let push =
        |more: &[&str]| redeliver(&server, &[&["push", "q", "x"], &proof[..], more].concat());
    let first = push(&[]);
    assert_eq!(first.status.code(), Some(6), "{first:?}");
    let told = json(&first);
    assert_eq!((&told["state"], &told["proven"]), (&"ready".into(), &false.into()), "{told}");
    assert_eq!(told["confirmed"], 0);
    let words = String::from_utf8_lossy(&first.stderr).into_owned();
    let id = told["id"].as_str().unwrap();
    assert!(words.contains("accepted, not proven replicated"), "{words}");
    assert!(words.contains(&format!("--id {id}")), "{words}");
    assert_eq!(push(&["--id", id]).status.code(), Some(6));
    let counts = redeliver(&server, &["counts", "q", "-o", "json"]);
    assert_eq!(json(&counts)["pushed"], 1, "{counts:?}");

    let pushed = redeliver(&server, &["push", "q", "y", "--durability", "disk"]);
    assert_eq!(pushed.status.code(), Some(2), "{pushed:?}");
}

#[test]
fn what_is_proven_is_told_like_any_push_and_doctor_says_that_it_can_be() {
    let pair = Pair::start();
    let proof = ["--durability", "replicated:1", "--proof-timeout", "60s", "-o", "json"];
    let pushed = redeliver(&pair.master, &[&["push", "q", "x"], &proof[..]].concat());
    assert!(pushed.status.success(), "{pushed:?}");
    assert!(json(&pushed)["proven"].is_null(), "{pushed:?}");
    let found = json(&redeliver(&pair.master, &["doctor", "-o", "json"]));
    let says = |about: &str| {
        let found = found.as_array().unwrap().iter().find(|finding| finding["about"] == about);
        let found = found.unwrap_or_else(|| panic!("nothing about {about}"));
        assert!(found["fix"].is_string(), "{found}");
        found["says"].as_str().unwrap().to_owned()
    };
    assert!(says("synced").contains("there is no append-only file"));
    assert!(says("replicated").contains("can be proven for up to 1 replica"));
}
