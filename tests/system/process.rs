//! Workers as real processes: killed, or on hosts whose clocks are wrong.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redeliver::{Message, Policy, Raw};

use crate::fixture::{Fixture, SECOND, shared};

/// The program, on the shared server.
fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redeliver"));
    command.args(["--url", &shared().url()]).args(arguments).stdin(Stdio::null());
    command
}

/// The program on a host whose clock is off by so much; the time that passes there is right.
fn skewed(skew: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command.args([
        "100",
        "faketime",
        "--exclude-monotonic",
        "-f",
        skew,
        env!("CARGO_BIN_EXE_redeliver"),
    ]);
    command.args(["--url", &shared().url()]).args(arguments).stdin(Stdio::null());
    command
}

async fn until_claimed(fixture: &Fixture, worker: &mut Child) {
    while fixture.counts().await.pending == 0 {
        assert_eq!(worker.try_wait().unwrap(), None, "the worker ended by itself");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_a_killed_worker_held_comes_back_with_its_attempt_raised() {
    let fixture = Fixture::on(shared(), Policy::default().max_attempts(3)).await;
    let id = fixture.push("x").await;
    let queue = fixture.queue.name().as_str();
    let mut worker = program(&["work", queue, "--exec", "sleep 20", "--lease", "1h"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until_claimed(&fixture, &mut worker).await;
    worker.kill().unwrap();
    worker.wait().unwrap();
    assert_eq!(fixture.queue.redeliver(10).await.unwrap().reclaimed, 0);
    fixture.age("pending", id, 3600 * SECOND);
    assert_eq!(fixture.queue.redeliver(10).await.unwrap().reclaimed, 1);
    let delivery = fixture.queue.claim(1).await.unwrap().remove(0);
    assert_eq!((delivery.id(), delivery.attempt(), delivery.failures()), (id, 2, 1));
    let _settled = delivery.ack().await.unwrap();
    fixture.assert_law().await;
}

/// What `redis-cli TIME` wrote, in ms.
fn handled_ms(file: &Path) -> u64 {
    let told = std::fs::read_to_string(file).unwrap();
    let mut numbers = told.split_whitespace().map(|number| number.parse::<u64>().unwrap());
    numbers.next().unwrap() * 1000 + numbers.next().unwrap() / 1000
}

#[tokio::test]
async fn a_host_whose_clock_is_wrong_delivers_neither_early_nor_late() {
    const DELAY_MS: u64 = 1000;
    /// Far less than the hour that the clock of such a host would add.
    const LATEST_MS: u64 = 120_000;
    let folder = tempfile::tempdir().unwrap();
    let socket = shared().url().trim_start_matches("unix://").to_owned();
    for skew in ["+8s", "-8s", "+1h", "-1h"] {
        let fixture = Fixture::on(shared(), Policy::default()).await;
        let queue = fixture.queue.name().as_str();
        let file = folder.path().join(skew);
        let before = fixture.counts().await.now_ms;
        let pushed = skewed(skew, &["push", queue, "x", "--delay", "1s"]).output().unwrap();
        assert!(pushed.status.success(), "{pushed:?}");
        // Its allocator and the shim would wait for each other.
        let note = format!("LD_PRELOAD= redis-cli -s {socket} TIME > {}", file.display());
        let worked = skewed(skew, &["work", queue, "--exec", &note, "--until-empty"]);
        let worked = { worked }.output().unwrap();
        assert!(worked.status.success(), "{worked:?}");
        let waited = handled_ms(&file) - before;
        assert!((DELAY_MS..LATEST_MS).contains(&waited), "{skew}: {waited} ms");
        assert_eq!(fixture.counts().await.acked, 1, "{skew}");
    }
}

/// An id tells when its producer's clock says that it was made; nothing may depend on it.
#[tokio::test]
async fn an_id_from_a_wrong_clock_changes_nothing() {
    let fixture = Fixture::on(shared(), Policy::default()).await;
    for id in ["00000000000000000000000000", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"] {
        let message = Message::new(Raw::from("x")).id(id.parse().unwrap());
        fixture.queue.push(message.delay(Duration::from_millis(1))).await.unwrap();
    }
    let mut promoted = 0;
    while promoted < 2 {
        promoted += fixture.queue.redeliver(10).await.unwrap().promoted;
    }
    assert_eq!(fixture.queue.claim(10).await.unwrap().len(), 2);
}
