use std::path::Path;
use std::process::{Command, Stdio};

use crate::fixture::{Holder, Site, wait_for};

#[test]
fn exit_status_65_buries_and_keeps_the_end_of_stderr() {
    let site = Site::new();
    let _server = site.holder("other");
    site.run(&["push", "q", "x"]).ok();
    let command = "seq 1 10000 >&2; echo the reason >&2; exit 65";
    site.run(&["work", "q", "--exec", command, "--until-empty"]).ok();
    let dead = site.run(&["dead", "ls", "q"]).ok().json();
    let error = dead["history"][0]["error"].as_str().unwrap();
    assert!(error.starts_with("exit status: 65: "), "{error}");
    assert!(error.ends_with("the reason"), "{error}");
    assert!(error.len() <= 1024);
    assert_eq!(site.counts("q")["buried"], 1);
}

#[test]
fn exit_status_75_releases_without_spending_a_failure() {
    let site = Site::new();
    let _server = site.holder("other");
    site.run(&["push", "q", "x", "--max-attempts", "1"]).ok();
    let command = "test \"$REDELIVER_ATTEMPT\" -ge 3 || exit 75";
    let work = ["work", "q", "--exec", command, "--release-delay", "10ms", "--until-empty"];
    site.run(&work).ok();
    let counts = site.counts("q");
    assert_eq!((&counts["released"], &counts["acked"]), (&2.into(), &1.into()));
    assert_eq!(counts["dead"], 0);
}

#[test]
fn a_record_that_cannot_be_read_is_buried_with_its_bytes_and_the_others_are_worked_on() {
    let site = Site::new();
    let _server = site.holder("other");
    let push = |payload| site.run(&["push", "q", payload]).ok().json()["id"].clone();
    let records: [&[u8]; 3] = [b"", b"\xff foreign", b"3\nno header\nx"];
    for record in records {
        let id = push("placeholder");
        let mut plant = redis::cmd("HSET");
        plant.arg("rd:{q.0}:messages").arg(id.as_str().unwrap()).arg(record);
        plant.exec(&mut site.connection()).unwrap();
        push("fine");
    }
    let seen = site.path().join("seen");
    let note = format!("cat >>{}; echo >>{}", seen.display(), seen.display());
    site.run(&["work", "q", "--exec", &note, "--until-empty", "-c", "1"]).ok();
    assert_eq!(std::fs::read_to_string(seen).unwrap(), "fine\n".repeat(3));

    let dead = site.run(&["dead", "ls", "q"]).ok().lines();
    let mut payloads: Vec<_> = dead
        .iter()
        .map(|letter| {
            let error = letter["history"][0]["error"].as_str().unwrap();
            assert!(error.starts_with("the record cannot be read: it"), "{error}");
            letter["payload"].as_str().or(letter["payload_base16"].as_str()).unwrap()
        })
        .collect();
    payloads.sort_unstable();
    assert_eq!(payloads, ["", "3\nno header\nx", "ff20666f726569676e"]);
    site.run(&["dead", "redrive", "q", "--all"]).ok();
    assert_eq!(site.counts("q")["ready"], 3);
}

#[test]
fn death_by_a_signal_is_a_failure() {
    let site = Site::new();
    let _server = site.holder("other");
    site.run(&["push", "q", "x", "--max-attempts", "1"]).ok();
    site.run(&["work", "q", "--exec", "kill -9 $$", "--until-empty"]).ok();
    let dead = site.run(&["dead", "ls", "q"]).ok().json();
    assert!(dead["history"][0]["error"].as_str().unwrap().contains("signal: 9"));
}

#[test]
fn a_command_that_does_not_read_its_payload_succeeds() {
    let site = Site::new();
    let _server = site.holder("other");
    // More than a pipe holds, so that the write fails.
    site.run_with(&["push", "q", "-"], &"x".repeat(200_000)).ok();
    site.run(&["work", "q", "--exec", "exec 0<&-; true", "--until-empty"]).ok();
    assert_eq!(site.counts("q")["acked"], 1);
}

#[test]
fn the_command_gets_payload_and_environment_and_its_output_is_shown_on_request() {
    let site = Site::new();
    let _server = site.holder("other");
    let id = site.run(&["push", "q", "pay load", "--max-attempts", "7"]).ok().json()["id"].clone();
    let command = "printf '%s %s %s %s [%s]\\n' \"$REDELIVER_QUEUE\" \"$REDELIVER_ATTEMPT\" \
        \"$REDELIVER_MAX_ATTEMPTS\" \"$REDELIVER_ID\" \"$(cat)\"";
    let shown = site.run(&["work", "q", "--exec", command, "--until-empty", "--show-output"]).ok();
    assert_eq!(shown.stdout, format!("q 1 7 {} [pay load]\n", id.as_str().unwrap()));
    site.run(&["push", "q", "again"]).ok();
    assert_eq!(site.run(&["work", "q", "--exec", "echo hidden", "--until-empty"]).ok().stdout, "");
}

#[test]
fn sigterm_lets_running_commands_finish() {
    let site = Site::new();
    let _server = site.holder("other");
    site.run(&["push", "q", "x"]).ok();
    let (started, go) = (site.path().join("started"), site.path().join("go"));
    let command =
        format!("touch {}; until test -e {}; do sleep 0.02; done", started.display(), go.display());
    let mut worker = start(&site, &["work", "q", "--exec", &command]);
    wait_for("the command", || started.exists());
    worker.signal("TERM");
    std::fs::write(&go, "").unwrap();
    assert_eq!(worker.exit_code(), Some(0));
    assert_eq!(site.counts("q")["acked"], 1);
}

#[test]
fn a_second_signal_stops_at_once_and_kills_the_command() {
    let site = Site::new();
    let _server = site.holder("other");
    site.run(&["push", "q", "x"]).ok();
    let pid = site.path().join("pid");
    let command = hang(&pid);
    let mut worker = start(&site, &["work", "q", "--exec", &command, "--lease", "1h"]);
    wait_for("the command", || pid.exists());
    worker.signal("INT");
    // The first one has to be seen before the second one counts.
    wait_for("the first signal", || {
        worker.signal("INT");
        std::thread::sleep(std::time::Duration::from_millis(100));
        worker.0.try_wait().unwrap().is_some()
    });
    assert_eq!(worker.exit_code(), Some(1));
    wait_for_end_of_group(&pid);
    assert_eq!(site.counts("q")["messages"], 1, "the message is kept");
}

#[test]
fn a_command_whose_lease_is_lost_is_killed() {
    let site = Site::new();
    let _server = site.holder("other");
    let id = site.run(&["push", "q", "x"]).ok().json()["id"].clone();
    let pid = site.path().join("pid");
    let _worker = start(&site, &["work", "q", "--exec", &hang(&pid), "--lease", "300ms"]);
    wait_for("the command", || pid.exists());
    // Whoever cancels a message takes it from its holder.
    site.run(&["cancel", "q", id.as_str().unwrap()]).ok();
    wait_for_end_of_group(&pid);
}

/// A command that never ends, and that has started another one.
fn hang(pid: &Path) -> String {
    let pid = pid.display();
    format!("echo $$ >{pid}.new; mv {pid}.new {pid}; sleep 600; true")
}

fn wait_for_end_of_group(pid: &Path) {
    let group = std::fs::read_to_string(pid).unwrap();
    let alive = format!("kill -0 -{}", group.trim());
    wait_for("the end of the command", || {
        let mut look = Command::new("sh");
        let look = look.args(["-c", &alive]).stderr(Stdio::null());
        !look.status().unwrap().success()
    });
}

fn start(site: &Site, args: &[&str]) -> Holder {
    let mut command = site.command(args);
    Holder(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}
