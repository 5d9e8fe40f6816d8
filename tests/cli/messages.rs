use crate::fixture::{Holder, Site, wait_for};

/// A message in the hands of a worker that does not end; nobody else is given anything.
fn held(site: &Site) -> (Holder, String) {
    let id = site.run(&["push", "q", "x"]).ok().json()["id"].as_str().unwrap().to_owned();
    let work = ["work", "q", "--exec", "sleep 60", "--lease", "1h", "--grace", "0s"];
    let worker = Holder(site.command(&work).spawn().unwrap());
    wait_for("the claim", || site.counts("q")["pending"] == 1);
    site.run(&["pause", "q"]).ok();
    (worker, id)
}

#[test]
fn msg_ls_shows_all_states_or_one_and_only_what_the_filter_takes() {
    let site = Site::new();
    let _server = site.holder("other");
    site.run(&["push", "q", "dies", "--kind", "mail"]).ok();
    site.run(&["work", "q", "--exec", "echo 'timeout: db' >&2; exit 65", "--until-empty"]).ok();
    site.run(&["push", "q", "waits", "--kind", "mail", "--delay", "1h"]).ok();
    site.run_with(&["push", "q", "--lines"], "a\nb\nc\n").ok();
    let payloads = |args: &[&str]| -> Vec<String> {
        let lines = site.run(&[&["msg", "ls", "q"][..], args].concat()).ok().lines();
        lines.iter().map(|line| line["payload"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(payloads(&[]), ["a", "b", "c", "waits", "dies"]);
    assert_eq!(payloads(&["--state", "ready", "--limit", "2"]), ["a", "b"]);
    assert_eq!(payloads(&["--kind", "mail"]), ["waits", "dies"]);
    assert_eq!(payloads(&["--kind", "mail", "--limit", "1"]), ["waits"]);
    assert_eq!(payloads(&["--error", "timeout"]), ["dies"]);
    assert_eq!(payloads(&["--state", "dead", "--error", "web"]), [""; 0]);
    assert_eq!(payloads(&["--older-than", "1h"]), [""; 0]);
    let some = site.run(&["msg", "ls", "q", "--state", "ready", "--limit", "2"]).ok();
    assert!(some.stderr.contains("go on with --start 2"), "{some:?}");
}

#[test]
fn msg_retry_makes_scheduled_and_dead_messages_due_now() {
    let site = Site::new();
    let _server = site.holder("other");
    let id = |run: crate::fixture::Run| run.ok().json()["id"].as_str().unwrap().to_owned();
    let dead = id(site.run(&["push", "q", "dies"]));
    site.run(&["work", "q", "--exec", "exit 65", "--until-empty"]).ok();
    let waits = id(site.run(&["push", "q", "waits", "--delay", "1h"]));
    let unknown = "01JD0Z3N9Q6V2G7T8K4M5R1XYZ";

    let moved = site.run(&["msg", "reschedule", "q", &waits, "--delay", "2h"]).ok().json();
    assert_eq!(moved["scheduled"][0], waits.as_str());
    let stays = site.run(&["msg", "reschedule", "q", &dead, "--delay", "2h"]);
    assert_eq!((stays.code, &stays.json()["dead"][0]), (1, &dead.as_str().into()));

    let retried = site.run(&["msg", "retry", "q", &waits, &dead]).ok().json();
    assert_eq!(retried["ready"], serde_json::json!([waits, dead]));
    assert_eq!(site.counts("q")["ready"], 2);
    assert_eq!(site.run(&["msg", "retry", "q", unknown]).code, 4);
    site.run(&["check", "q"]).ok();
}

#[test]
fn a_held_message_is_released_only_by_the_attempt_that_is_under_way() {
    let site = Site::new();
    let _server = site.holder("other");
    let (_worker, id) = held(&site);
    let release = |args: &[&str]| site.run(&[&["msg", "release", "q", &id][..], args].concat());
    let refused = release(&[]);
    assert_eq!(refused.code, 5, "{refused:?}");
    assert!(refused.stderr.contains("--attempt 1"), "{refused:?}");
    assert_eq!(release(&["--attempt", "2"]).code, 1);
    assert_eq!(site.run(&["msg", "retry", "q", &id]).code, 1, "its holder keeps it");
    assert_eq!(site.counts("q")["pending"], 1, "until here nothing was changed");

    assert_eq!(release(&["--attempt", "1"]).ok().json()["outcome"], "released");
    let counts = site.counts("q");
    assert_eq!((&counts["ready"], &counts["released"]), (&1.into(), &1.into()));
    assert_eq!(release(&["--attempt", "2"]).code, 1, "nobody holds it");
    let shown = site.run(&["msg", "show", "q", &id]).ok().json();
    assert_eq!((&shown["attempt"], &shown["failures"]), (&2.into(), &0.into()));
    site.run(&["check", "q"]).ok();
}

#[test]
fn a_held_message_is_killed_and_its_holder_changes_nothing_any_more() {
    let site = Site::new();
    let _server = site.holder("other");
    let (mut worker, id) = held(&site);
    assert_eq!(site.run(&["msg", "kill", "q", &id]).code, 5);
    let kill = ["msg", "kill", "q", &id, "--attempt", "1", "--reason", "never ends"];
    assert_eq!(site.run(&kill).ok().json()["outcome"], "killed");
    assert_eq!(site.run(&kill).code, 1, "it is dead");
    worker.signal("TERM");
    worker.exit_code();
    let dead = site.run(&["dead", "ls", "q"]).ok().json();
    assert_eq!((&dead["id"], &dead["state"]), (&id.as_str().into(), &"dead".into()));
    assert_eq!(dead["history"][0]["error"], "never ends");
    site.run(&["check", "q"]).ok();
}
