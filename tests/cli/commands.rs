use crate::fixture::{Site, finish};

#[test]
fn wrong_values_are_usage_errors_and_start_no_server() {
    let site = Site::new();
    let wrong: [&[&str]; 9] = [
        &["push", "no name", "x"],
        &["push", "q", "x", "--backoff", "sometimes"],
        &["push", "q", "x", "--delay", "5"],
        &["push", "q", "x", "--at", "tomorrow"],
        &["push", "q", "--lines", "--key", "same"],
        &["peek", "q", "--state", "lost"],
        &["dead", "show", "q", "no-id"],
        &["acl", "nobody"],
        &["acl", "worker", "--user", "two words"],
    ];
    for args in wrong {
        assert_eq!(site.run(args).code, 2, "{args:?}");
    }
    assert!(!site.data().exists());
}

#[test]
fn a_server_that_is_not_there_is_told_by_exit_code_3() {
    let site = Site::new();
    let run = site.run(&["counts", "q", "--url", "redis://127.0.0.1:1"]);
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.stderr.starts_with("redeliver: cannot use the server at 127.0.0.1:1"), "{run:?}");
    assert_eq!(run.stderr.lines().count(), 1, "it is told once");
}

#[test]
fn whoever_wants_a_server_and_has_none_is_told_how_to_install_one() {
    let site = Site::new();
    let mut command = site.command(&["counts", "q", "--engine", "server"]);
    let run = finish(command.env("PATH", site.path()).spawn().unwrap());
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.stderr.contains("apt-get install -y redis-server"), "{run:?}");
}

#[test]
fn an_unknown_id_is_told_by_exit_code_4() {
    let site = Site::new();
    let _server = site.holder("other");
    let id = "01JD0Z3N9Q6V2G7T8K4M5R1XYZ";
    assert_eq!(site.run(&["dead", "show", "q", id]).code, 4);
    assert_eq!(site.run(&["dead", "redrive", "q", id]).code, 4);
    assert_eq!(site.run(&["cancel", "q", id]).code, 4);
}

#[test]
fn what_hits_everything_is_refused_by_exit_code_5() {
    let site = Site::new();
    for args in [&["dead", "purge", "q"][..], &["dead", "redrive", "q"], &["destroy", "q"]] {
        let run = site.run(args);
        assert_eq!(run.code, 5, "{run:?}");
        assert!(run.stderr.contains("--all") || run.stderr.contains("--yes"), "{run:?}");
    }
}

#[test]
fn a_password_is_never_shown() {
    let site = Site::new();
    let urls = [
        "redis://u:canary@127.0.0.1:1",
        "redis://:canary@127.0.0.1:1/0",
        "redis://u:canary@host:port",
        "http://u:canary@127.0.0.1",
        "unix:///nowhere?user=u&pass=canary",
    ];
    for url in urls {
        for args in [&["counts", "q", "-vvv"][..], &["--help"], &["push", "--help"], &["push"]] {
            let by_flag: Vec<&str> = args.iter().copied().chain(["--url", url]).collect();
            let mut by_variable = site.command(args);
            let by_variable = finish(by_variable.env("REDELIVER_URL", url).spawn().unwrap());
            for run in [site.run(&by_flag), by_variable] {
                assert!(!run.stdout.contains("canary"), "{run:?}");
                assert!(!run.stderr.contains("canary"), "{run:?}");
            }
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let site = Site::new();
    let _server = site.holder("other");
    let lines = "a line\n".repeat(3_000);
    site.run_with(&["push", "q", "--lines"], &lines).ok();
    let mut peek = site.command(&["peek", "q", "--limit", "3000"]).spawn().unwrap();
    drop(peek.stdout.take());
    let run = finish(peek);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(!run.stderr.contains("panic"), "{run:?}");
}

#[test]
fn each_way_to_give_a_payload_gives_the_same_bytes() {
    let site = Site::new();
    let _server = site.holder("other");
    let file = site.path().join("payload");
    std::fs::write(&file, "pay\nload").unwrap();
    site.run(&["push", "q", "pay\nload"]).ok();
    site.run(&["push", "q", &format!("@{}", file.display())]).ok();
    site.run_with(&["push", "q", "-"], "pay\nload").ok();
    site.run_with(&["push", "q"], "pay\nload").ok();
    let messages = site.run(&["peek", "q"]).ok().lines();
    assert_eq!(messages.len(), 4);
    assert!(messages.iter().all(|message| message["payload"] == "pay\nload"));
}

#[test]
fn bytes_that_are_no_text_are_shown_in_hex() {
    let site = Site::new();
    let _server = site.holder("other");
    let file = site.path().join("payload");
    std::fs::write(&file, [0xff, 0]).unwrap();
    site.run(&["push", "q", &format!("@{}", file.display())]).ok();
    assert_eq!(site.run(&["peek", "q"]).ok().json()["payload_base16"], "ff00");
}

#[test]
fn what_is_pushed_with_options_is_shown_with_them() {
    let site = Site::new();
    let _server = site.holder("other");
    let push = ["push", "q", "x", "--delay", "1h", "--key", "k", "--kind", "mail"];
    let push = [&push[..], &["--header", "a=b=c", "--backoff", "list:1s,5s"]].concat();
    let first = site.run(&push).ok().json();
    assert_eq!((&first["state"], &first["duplicate"]), (&"scheduled".into(), &false.into()));
    let again = site.run(&push).ok().json();
    assert_eq!((&again["id"], &again["duplicate"]), (&first["id"], &true.into()));

    let shown = site.run(&["peek", "q", "--state", "scheduled", "-o", "json"]).ok().json();
    let header = &shown[0]["header"];
    assert_eq!((&header["kind"], &header["headers"]["a"]), (&"mail".into(), &"b=c".into()));
    assert_eq!(header["backoff"]["delays_ms"], serde_json::json!([1000, 5000]));
    assert!(shown[0]["at"].as_str().unwrap().ends_with('Z'));
    let table = site.run(&["peek", "q", "--state", "scheduled", "-o", "table"]).ok();
    assert!(table.stdout.contains(" in "), "{table:?}");

    let id = first["id"].as_str().unwrap();
    assert_eq!(site.run(&["cancel", "q", id]).ok().json()["cancelled"][0], first["id"]);
    assert_eq!(site.counts("q")["cancelled"], 1);
}

#[test]
fn lines_with_numbered_keys_are_pushed_once_however_often_they_are_sent() {
    let site = Site::new();
    let _server = site.holder("other");
    let push = ["push", "q", "--lines", "--key", "import-{line}"];
    assert_eq!(site.run_with(&push, "a\na\n").ok().json()["pushed"], 2);
    let again = site.run_with(&push, "a\na\nb").ok().json();
    assert_eq!((&again["pushed"], &again["duplicates"]), (&1.into(), &2.into()));
}

#[test]
fn a_queue_is_listed_paused_resumed_and_destroyed() {
    let site = Site::new();
    let _server = site.holder("other");
    site.run(&["push", "q", "x"]).ok();
    assert_eq!(site.run(&["pause", "q"]).ok().json()["paused"], true);
    let all = site.run(&["counts"]).ok().lines();
    assert_eq!((all.len(), &all[0]["queue"], &all[0]["paused"]), (1, &"q".into(), &true.into()));
    site.run(&["resume", "q"]).ok();
    assert_eq!(site.counts("q")["paused"], false);
    assert_eq!(site.run(&["destroy", "q", "--yes"]).ok().json()["destroyed"], 1);
    assert!(site.run(&["counts"]).ok().lines().is_empty());
}

#[test]
fn a_queue_that_was_never_pushed_to_is_listed_once_it_is_paused_or_set_and_that_is_told() {
    let site = Site::new();
    let _server = site.holder("other");
    let names = || -> Vec<_> {
        let lines = site.run(&["queue", "ls"]).ok().lines();
        lines.iter().map(|line| line["queue"].as_str().unwrap().to_owned()).collect()
    };
    let told = "nothing was ever pushed";
    let paused = site.run(&["pause", "slip"]).ok();
    assert!(paused.stderr.contains(&format!("slip: {told}")), "{paused:?}");
    assert_eq!(names(), ["slip"]);
    let set = site.run(&["queue", "set", "early", "--max-ready", "1"]).ok();
    assert!(set.stderr.contains(&format!("early: {told}")), "{set:?}");
    assert_eq!(names(), ["early", "slip"]);
    assert!(!site.run(&["pause", "slip", "--quiet"]).ok().stderr.contains(told));
    site.run(&["push", "early", "x"]).ok();
    for args in [&["pause", "early"][..], &["queue", "set", "early", "--max-ready", "2"]] {
        assert!(!site.run(args).ok().stderr.contains(told), "{args:?}");
    }
}

#[test]
fn a_command_that_lacks_its_choice_names_all_of_them() {
    let site = Site::new();
    let id = "01JD0Z3N9Q6V2G7T8K4M5R1XYZ";
    let lacking: [(&[&str], &[&str]); 2] = [
        (&["queue", "set", "q"], &["--max-ready", "--max-bytes", "--partitions"]),
        (&["msg", "reschedule", "q", id], &["--delay", "--at"]),
    ];
    for (args, choices) in lacking {
        let run = site.run(args);
        assert_eq!(run.code, 2, "{run:?}");
        let (told, _) = run.stderr.split_once("Usage:").unwrap();
        assert!(choices.iter().all(|choice| told.contains(choice)), "{run:?}");
    }
    let both = ["msg", "reschedule", "q", id, "--delay", "1s", "--at", "2030-01-31T08:00:00Z"];
    assert_eq!(site.run(&both).code, 2);
}

#[test]
fn queue_set_caps_pushes_and_counts_tell_the_caps() {
    let site = Site::new();
    let _server = site.holder("q");
    assert_eq!(site.run(&["queue", "set", "q"]).code, 2);
    assert_eq!(site.run(&["queue", "set", "q", "--max-bytes", "2 weeks"]).code, 2);
    let set = site.run(&["queue", "set", "q", "--max-ready", "1"]).ok().json();
    assert_eq!((&set["max_ready"], &set["max_bytes"]), (&1.into(), &().into()));
    let set = site.run(&["queue", "set", "q", "--max-bytes", "1MiB"]).ok().json();
    assert_eq!((&set["max_ready"], &set["max_bytes"]), (&1.into(), &1_048_576.into()));
    site.run(&["push", "q", "a"]).ok();
    let refused = site.run(&["push", "q", "b"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("its max_ready is 1"), "{refused:?}");
    let counts = site.counts("q");
    assert_eq!((&counts["ready"], &counts["max_ready"]), (&1.into(), &1.into()));
    site.run(&["queue", "set", "q", "--max-ready", "0"]).ok();
    site.run(&["push", "q", "b"]).ok();
}

#[test]
fn queue_set_spreads_a_queue_and_tells_what_is_not_drained_yet() {
    let site = Site::new();
    let _server = site.holder("q");
    for wrong in ["0", "65", "-1", "two"] {
        assert_eq!(site.run(&["queue", "set", "q", "--partitions", wrong]).code, 2, "{wrong}");
    }
    let set = site.run(&["queue", "set", "q", "--partitions", "4"]).ok().json();
    assert_eq!((&set["partitions"], &set["draining"]), (&4.into(), &serde_json::json!([])));
    let all: Vec<_> = (0..40).map(|number| number.to_string()).collect();
    for number in &all {
        site.run(&["push", "q", number]).ok();
    }
    let counts = site.counts("q");
    assert_eq!((&counts["ready"], &counts["partitions"]), (&40.into(), &4.into()));
    let listed = site.run(&["msg", "ls", "q", "--limit", "100"]).ok().lines();
    assert_eq!(listed.len(), 40);
    let set = site.run(&["queue", "set", "q", "--partitions", "1"]).ok().json();
    assert_eq!((&set["partitions"], &set["draining"]), (&1.into(), &serde_json::json!([1, 2, 3])));
    let worked = site.run(&["work", "q", "--exec", "true", "--until-empty"]).ok();
    assert_eq!(site.counts("q")["ready"], 0, "{worked:?}");
    let set = site.run(&["queue", "set", "q", "--partitions", "1", "-o", "table"]).ok();
    assert!(set.stdout.contains("1 partition") && !set.stdout.contains("drain"), "{set:?}");
    assert_eq!(site.run(&["check", "q"]).code, 0);
    assert_eq!(site.run(&["destroy", "q", "--yes"]).ok().json()["destroyed"], 0);
}
