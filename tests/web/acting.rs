//! What changes something, and what is written about it.

use serde_json::{Value, json};

use crate::fixture::Fixture;
use crate::site::{Site, wait_for};

#[tokio::test]
async fn a_queue_is_paused_and_resumed() {
    let (site, _placed) = Site::new(&[]).await;
    assert_eq!(site.post(&site.path("/pause"), "{}").json()["outcome"], "paused");
    assert!(site.queue.counts().await.paused);
    site.event(|tick| tick["queues"][0]["paused"] == true);
    assert_eq!(site.post(&site.path("/resume"), "{}").json()["outcome"], "resumed");
    assert!(!site.queue.counts().await.paused);
    assert_eq!(site.post("/api/queues/none/pause", "{}").status, 404);
}

#[tokio::test]
async fn a_message_is_cancelled_rescheduled_redriven_and_purged() {
    let (site, placed) = Site::new(&[]).await;
    let act = |id: redeliver::MessageId, body: &str| {
        let answer = site.post(&site.path(&format!("/messages/{id}")), body);
        (answer.status, answer.json())
    };
    let done = |outcome: &str| (200, json!({"outcome": outcome}));
    let later = r#"{"action":"reschedule","after_ms":3600000}"#;
    assert_eq!(act(placed.ready, later), done("scheduled"));
    let now = r#"{"action":"reschedule","after_ms":0}"#;
    assert_eq!(act(placed.ready, now), done("ready"));
    assert_eq!(act(placed.pending, now).0, 409);
    assert_eq!(act(placed.dead, now).0, 409);
    assert_eq!(act(placed.dead, r#"{"action":"redrive"}"#), done("redriven"));
    assert_eq!(act(placed.dead, r#"{"action":"redrive"}"#).0, 409);
    assert_eq!(act(placed.dead, r#"{"action":"purge"}"#).0, 409);
    assert_eq!(act(placed.scheduled, r#"{"action":"cancel"}"#), done("cancelled"));
    assert_eq!(act(placed.scheduled, r#"{"action":"cancel"}"#).0, 409);
    for wrong in ["{}", r#"{"action":"destroy"}"#, "", r#"{"action":"reschedule"}"#] {
        let answer = site.post(&site.path(&format!("/messages/{}", placed.ready)), wrong);
        assert!([400, 422].contains(&answer.status), "{wrong} {answer:?}");
    }
    let far = r#"{"action":"reschedule","after_ms":999999999999999}"#;
    assert_eq!(act(placed.ready, far).0, 400);
    assert_eq!(site.queue.states().await, [2, 0, 1, 0]);
    let id = site.queue.queue.push(redeliver::Raw::from("x")).await.unwrap().id();
    site.queue.queue.pause().await.unwrap();
    assert_eq!(act(id, r#"{"action":"cancel"}"#), done("cancelled"));
    site.queue.assert_law().await;
}

async fn letters(queue: &Fixture) {
    queue.push_many(3000).await;
    for round in 0..3 {
        for delivery in queue.queue.claim(1000).await.unwrap() {
            let error = if round == 1 { "no space" } else { "timeout after 3 s" };
            let _settled = delivery.bury(error).await.unwrap();
        }
    }
}

fn ended(site: &Site, task: &Value) -> Value {
    let live = ["running", "canary", "paused", "stopped"];
    wait_for("the end of the task", || !live.contains(&site.task(task)["stand"].as_str().unwrap()));
    site.task(task)
}

#[tokio::test]
async fn dead_letters_are_redriven_and_purged_all_or_by_group() {
    let site = Site::with(letters, &[]).await;
    let sweep = |verb: &str, body: &str| site.post(&site.path(&format!("/dead/{verb}")), body);
    for wrong in ["{}", r#"{"all":false}"#, r#"{"all":true,"group":"x"}"#] {
        assert_eq!(sweep("purge", wrong).status, 400, "{wrong}");
    }
    let task = sweep("redrive", r#"{"group":"no space"}"#).json()["task"].clone();
    let told = ended(&site, &task);
    assert_eq!((&told["stand"], &told["done"]), (&json!("done"), &json!(1000)));
    assert_eq!((&told["which"], &told["total"]), (&json!(r#"group "no space""#), &json!(3000)));
    assert_eq!(site.queue.states().await, [1000, 0, 0, 2000]);
    let task = sweep("purge", r#"{"group":"timeout after # s"}"#).json()["task"].clone();
    let told = ended(&site, &task);
    assert_eq!((&told["done"], &told["looked"]), (&json!(2000), &json!(2000)));
    assert_eq!(site.queue.states().await, [1000, 0, 0, 0]);
    let again = sweep("redrive", r#"{"all":true}"#).json()["task"].clone();
    assert_eq!(ended(&site, &again)["done"], 0);
    site.queue.assert_law().await;
}

#[tokio::test]
async fn a_purge_can_be_cancelled_and_only_one_runs_for_a_queue() {
    let site = Site::with(letters, &[]).await;
    let path = site.path("/dead/purge");
    // Nothing is written while the server is held, so the task cannot end by itself.
    site.queue.redis::<()>(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    let task = site.post(&path, r#"{"all":true}"#).json()["task"].clone();
    assert_eq!(site.task(&task)["stand"], "running");
    assert_eq!(site.post(&path, r#"{"all":true}"#).status, 409);
    let cancel = format!("/api/purges/{}/cancel", task.as_str().unwrap());
    assert_eq!(site.post(&cancel, "{}").status, 200);
    assert_eq!(ended(&site, &task)["stand"], "cancelled");
    assert_eq!(site.post(&cancel, "{}").status, 404);
    // The call under way, and its repetitions if this test was held up, go with their connections.
    site.queue.redis::<()>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    site.queue.redis::<()>(&["CLIENT", "UNPAUSE"]);
    assert_eq!(site.queue.states().await, [0, 0, 0, 3000], "nothing followed the cancel");
    let task = site.post(&path, r#"{"all":true}"#).json()["task"].clone();
    assert_eq!(ended(&site, &task)["stand"], "done");
    assert_eq!(site.queue.states().await, [0, 0, 0, 0]);
    site.queue.assert_law().await;
}

#[tokio::test]
async fn a_redrive_is_paused_resumed_and_cancelled() {
    let site = Site::with(letters, &[]).await;
    let start = |body: &str| site.post(&site.path("/dead/redrive"), body);
    let steer = |verb: &str| site.post(&site.path(&format!("/redrive/{verb}")), "{}");
    for verb in ["pause", "resume", "cancel"] {
        assert_eq!(steer(verb).status, 409, "{verb}");
    }
    for wrong in [r#"{"all":true,"canary":257}"#, r#"{"all":true,"max_failure_ratio":2}"#] {
        assert_eq!(start(wrong).status, 400, "{wrong}");
    }
    assert_eq!(start(r#"{"all":true,"speed":1}"#).status, 422);
    // So slow that it does not end by itself.
    let task = start(r#"{"all":true,"rate":1}"#).json()["task"].clone();
    assert_eq!(site.task(&task)["stand"], "running");
    assert_eq!(start(r#"{"all":true}"#).status, 409);
    assert_eq!(steer("pause").status, 200);
    assert_eq!(site.task(&task)["stand"], "paused");
    assert_eq!(steer("pause").status, 409);
    assert_eq!(steer("resume").json()["task"], task);
    assert_eq!(site.task(&task)["stand"], "running");
    assert_eq!(steer("cancel").status, 200);
    assert_eq!(ended(&site, &task)["stand"], "cancelled");
    let task = start(r#"{"all":true}"#).json()["task"].clone();
    assert_eq!(ended(&site, &task)["stand"], "done");
    assert_eq!(site.queue.states().await, [3000, 0, 0, 0]);
    site.queue.assert_law().await;
}

#[tokio::test]
async fn a_canary_that_dies_again_stops_the_redrive_and_the_page_says_so() {
    let site = Site::with(letters, &[]).await;
    let body = r#"{"group":"no space","canary":20}"#;
    let task = site.post(&site.path("/dead/redrive"), body).json()["task"].clone();
    let mut left = 20;
    while left > 0 {
        for delivery in site.queue.queue.claim(20).await.unwrap() {
            let _settled = delivery.bury("no space").await.unwrap();
            left -= 1;
        }
    }
    wait_for("the stop", || site.task(&task)["stand"] == "stopped");
    let told = site.task(&task);
    assert_eq!((&told["done"], &told["watched"]), (&json!(20), &json!([0, 20, 0])));
    assert!(told["reason"].as_str().unwrap().contains("20 of 20"), "{told}");
    site.queue.assert_law().await;
}

#[tokio::test]
async fn a_redrive_from_elsewhere_is_shown_and_taken_over_when_its_driver_dies() {
    let site = Site::with(letters, &[]).await;
    let plan = redeliver::RedrivePlan::default();
    // Nobody drives it: this process has just died.
    let task = site.queue.queue.dead().start_redrive(plan).await.unwrap().task().clone();
    site.queue.orphan_redrive().await;
    let shown = || {
        let overview = site.get("/api/overview").json();
        let tasks = overview["tasks"].as_array().unwrap().clone();
        tasks.into_iter().find(|shown| shown["id"] == task.id.to_string())
    };
    wait_for("the takeover", || shown().is_some_and(|task| task["stand"] == "done"));
    assert_eq!(site.queue.states().await, [3000, 0, 0, 0]);
    site.queue.assert_law().await;
}

#[tokio::test]
async fn every_action_is_written_to_the_audit_log() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("audit.ndjson");
    let (site, placed) = Site::new(&["--audit-file", file.to_str().unwrap()]).await;
    site.post(&site.path("/pause"), "{}");
    site.post(&site.path(&format!("/messages/{}", placed.dead)), r#"{"action":"purge"}"#);
    site.post(&site.path(&format!("/messages/{}", placed.dead)), r#"{"action":"purge"}"#);
    let task = site.post(&site.path("/dead/redrive"), r#"{"all":true}"#).json()["task"].clone();
    ended(&site, &task);
    let name = site.queue.queue.name().to_string();
    let told = site.end();
    let log = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let verbs: Vec<_> = lines.iter().map(|line| line["verb"].as_str().unwrap()).collect();
    assert_eq!(verbs, ["pause", "purge", "purge", "redrive", "redrive"]);
    assert_eq!(
        (&lines[1]["subject"], &lines[1]["outcome"]),
        (&json!(placed.dead.to_string()), &json!("purged"))
    );
    assert!(lines[2]["outcome"].as_str().unwrap().contains("not there any more"));
    for line in &lines {
        assert_eq!(line["queue"], name);
        assert!(line["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
        assert!(line["at"].as_str().unwrap().ends_with('Z'));
    }
    assert_eq!(told.matches("redeliver::audit").count(), 5, "{told}");
}
