//! What the program writes, as it was reviewed.

use insta::{assert_snapshot, with_settings};

use crate::fixture::Site;

/// What differs from run to run, and with it the widths of columns.
const FILTERS: [(&str, &str); 5] = [
    (r"[0-9A-HJKMNP-TV-Z]{26}", "<id>"),
    (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "<time>"),
    (r"(in )?\d+(\.\d)? (s|min|h)( ago)?\b", "<span>"),
    (r#""(oldest_ready_ms|late_ms)": ?\d+"#, "\"$1\": <ms>"),
    (r" {2,}(\S)", "  $1"),
];

/// A queue with a message of each kind of state but pending.
fn site() -> (Site, crate::fixture::Holder, String) {
    let site = Site::new();
    let server = site.holder("other");
    let push = ["push", "emails", r#"{"to":"ada"}"#, "--kind", "mail", "--header", "trace=42"];
    let dead = site.run(&[&push[..], &["--backoff", "fixed:1s"]].concat()).ok().json();
    let exec = "echo 'timeout: db' >&2; exit 65";
    site.run(&["work", "emails", "--exec", exec, "--until-empty"]).ok();
    site.run(&["push", "emails", "later", "--delay", "3h"]).ok();
    site.run(&["push", "emails", "now"]).ok();
    (site, server, dead["id"].as_str().unwrap().to_owned())
}

#[test]
fn tables_read_as_they_were_reviewed() {
    let (site, _server, dead) = site();
    let commands: [(&str, &[&str]); 6] = [
        ("queue_ls", &["queue", "ls"]),
        ("queue_show", &["queue", "show", "emails"]),
        ("msg_ls", &["msg", "ls", "emails"]),
        ("msg_show", &["msg", "show", "emails", &dead]),
        ("stats", &["stats"]),
        ("dead_redrive_dry_run", &["dead", "redrive", "emails", "--all", "--dry-run"]),
    ];
    for (name, args) in commands {
        let run = site.run(&[args, &["-o", "table"]].concat()).ok();
        with_settings!({filters => FILTERS.to_vec()}, {
            assert_snapshot!(format!("{name}.table"), run.stdout);
        });
    }
}

#[test]
fn json_reads_as_it_was_reviewed() {
    let (site, _server, dead) = site();
    let commands: [(&str, &[&str]); 5] = [
        ("queue_show", &["queue", "show", "emails"]),
        ("msg_show", &["msg", "show", "emails", &dead]),
        ("stats", &["stats"]),
        ("dead_export", &["dead", "export", "emails"]),
        ("msg_cancel", &["msg", "cancel", "emails", &dead]),
    ];
    for (name, args) in commands {
        let run = site.run(&[args, &["-o", "json"]].concat()).ok();
        with_settings!({filters => FILTERS.to_vec()}, {
            assert_snapshot!(format!("{name}.json"), run.stdout);
        });
    }
}

#[test]
fn each_script_is_listed_shown_named_and_checked() {
    let site = Site::new();
    let _server = site.holder("q");
    let listed = site.run(&["scripts", "ls"]).ok().lines();
    let sha = site.run(&["scripts", "sha", "counts"]).ok().stdout;
    let counts = listed.iter().find(|script| script["script"] == "counts").unwrap();
    assert_eq!(counts["sha1"], sha.trim());
    let text = site.run(&["scripts", "cat", "counts"]).ok().stdout;
    assert_eq!(sha1_smol::Sha1::from(text).digest().to_string(), sha.trim());
    site.run(&["counts", "q"]).ok();
    let checked = site.run(&["scripts", "check"]).ok().lines();
    let cached =
        |name| checked.iter().find(|script| script["script"] == name).unwrap()["cached"].clone();
    assert_eq!((cached("counts"), cached("destroy")), (true.into(), false.into()));
    assert_eq!(site.run(&["scripts", "cat", "no"]).code, 2);
}

#[test]
fn completions_and_man_pages_are_written() {
    let site = Site::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = site.run(&["completions", shell]).ok().stdout;
        assert!(script.contains("redrive"), "{shell}");
    }
    assert!(site.run(&["man"]).ok().stdout.contains(".SH SYNOPSIS"));
    let dir = site.path().join("man");
    site.run(&["man", dir.to_str().unwrap()]).ok();
    let page = std::fs::read_to_string(dir.join("redeliver-dead-redrive.1")).unwrap();
    assert!(page.contains("canary") && page.contains("redeliver dead redrive"), "{page}");
    assert!(!dir.join("redeliver-demo-worker.1").exists());
    assert!(!site.data().exists(), "no server was started");
}
