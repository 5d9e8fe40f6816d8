use crate::fixture::Site;

#[test]
fn failures_are_retried_die_and_are_redriven_and_nothing_is_lost() {
    let site = Site::new();
    let _server = site.holder("other");
    let numbers: Vec<_> = (1..=100).map(|n| n.to_string()).collect();
    let push = ["push", "numbers", "--lines", "--max-attempts", "3", "--backoff", "fixed:50ms"];
    let pushed = site.run_with(&push, &numbers.join("\n")).ok().json();
    assert_eq!((&pushed["pushed"], &pushed["duplicates"]), (&100.into(), &0.into()));

    let not_tens = "test $(( $(cat) % 10 )) -ne 0";
    let work = ["work", "numbers", "--exec", not_tens, "-c", "8", "--until-empty"];
    site.run(&work).ok();
    let counts = site.counts("numbers");
    assert_eq!((&counts["acked"], &counts["dead"]), (&90.into(), &10.into()));
    assert_eq!(counts["retried"], 20);
    let check = site.run(&["check", "numbers"]).ok().json();
    assert_eq!((&check["clean"], &check["damaged"]), (&true.into(), &0.into()));

    let dead = site.run(&["dead", "ls", "numbers"]).ok().lines();
    let mut payloads: Vec<u32> =
        dead.iter().map(|message| message["payload"].as_str().unwrap().parse().unwrap()).collect();
    payloads.sort_unstable();
    assert_eq!(payloads, [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]);
    assert_eq!(dead[0]["history"][0]["error"], "exit status: 1");

    let redriven = site.run(&["dead", "redrive", "numbers", "--all"]).ok().json();
    assert_eq!(redriven["redriven"], 10);
    site.run(&["work", "numbers", "--exec", "true", "-c", "8", "--until-empty"]).ok();
    let counts = site.counts("numbers");
    assert_eq!((&counts["acked"], &counts["dead"]), (&100.into(), &0.into()));
    site.run(&["check", "numbers"]).ok();
}

#[test]
fn dead_letters_are_purged_by_id_and_all_together() {
    let site = Site::new();
    let _server = site.holder("other");
    site.run_with(&["push", "q", "--lines"], "a\nb\nc\n").ok();
    site.run(&["work", "q", "--exec", "exit 65", "--until-empty"]).ok();
    let dead = site.run(&["dead", "ls", "q", "--limit", "2", "--start", "1"]).ok().lines();
    assert_eq!(dead.len(), 2);
    let id = dead[0]["id"].as_str().unwrap();
    assert_eq!(site.run(&["dead", "purge", "q", id]).ok().json()["purged"], 1);
    assert_eq!(site.run(&["dead", "purge", "q", id]).code, 4, "it is gone");
    assert_eq!(site.run(&["dead", "purge", "q", "--all"]).ok().json()["purged"], 2);
    assert_eq!(site.counts("q")["messages"], 0);
    site.run(&["check", "q"]).ok();
}
