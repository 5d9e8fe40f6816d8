//! The program, on a Cluster and behind sentinels.

use std::process::{Command, Stdio};

use crate::{cluster, sentinels};

/// What it prints, which has to end well.
fn run(url: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redeliver"));
    command.args(["--url", url, "-o", "json"]).args(arguments).stdin(Stdio::null());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_program_finds_each_queue_on_its_node() {
    let cluster = cluster::whole().await;
    let url = cluster.url();
    let names = cluster.masters().into_iter().map(|master| cluster.name_on(master));
    let names: Vec<_> = names.collect();
    for name in &names {
        run(&url, &["push", name, "x"]);
    }
    let listed = run(&url, &["queue", "ls"]);
    let stats = run(&url, &["stats"]);
    for name in &names {
        assert!(listed.contains(name) && stats.contains(name), "{listed} {stats}");
        run(&url, &["work", name, "--exec", "true", "--until-empty"]);
        let report = run(&url, &["check", name]);
        assert!(report.contains("\"clean\": true"), "{report}");
    }
    // Others leave queues behind in which something may be due.
    let found = run(&url, &["doctor", &names[0]]);
    for master in cluster.masters() {
        let node = format!("127.0.0.1:{}: ", cluster.nodes[master].port);
        assert!(found.contains(&node), "{found}");
    }
    assert!(found.contains("masters serve all slots"), "{found}");
    run(&url, &["scripts", "check"]);
}

#[tokio::test]
async fn the_program_finds_the_master_that_sentinels_name() {
    let stage = sentinels::whole().await;
    let url = stage.url();
    run(&url, &["push", "program", "x"]);
    run(&url, &["work", "program", "--exec", "true", "--until-empty"]);
    let found = run(&url, &["doctor", "program"]);
    assert!(found.contains("the law holds"), "{found}");
}
