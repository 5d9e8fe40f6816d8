//! Health and metrics.

use redeliver::{Message, Raw};

use crate::fixture::{Fixture, SECOND};
use crate::site::{Site, wait_for};

#[tokio::test]
async fn what_is_due_and_does_not_move_is_shouted() {
    let prepare = async |queue: &Fixture| {
        let id = queue.queue.push(Message::new(Raw::from("x")).delay(60 * SECOND)).await.unwrap();
        queue.age("scheduled", id.id(), 120 * SECOND);
    };
    let site = Site::with(prepare, &["--no-poller", "--stalled-after", "1ms"]).await;
    wait_for("the alarm", || site.get("/healthz").status == 503);
    let name = site.queue.queue.name().to_string();
    let told = site.get("/healthz").json();
    assert_eq!(told["stalled"][0]["queue"], name);
    assert!(told["stalled"][0]["why"].as_str().unwrap().contains("no poller has moved it"));
    // Health is told as soon as it is seen, the overview once its tick is whole.
    wait_for("the overview", || site.overview()["stalled"].is_string());
    let stalled = format!("redeliver_stalled{{queue=\"{name}\"}} 1");
    assert!(site.get("/metrics").body.contains(&stalled));
    // It moves: a poller elsewhere, and then somebody who takes it.
    site.queue.queue.redeliver(10).await.unwrap();
    let held = site.queue.claim().await;
    wait_for("the end of the alarm", || site.get("/healthz").status == 200);
    let _settled = held.ack().await.unwrap();
    let log = site.end();
    assert!(log.contains("STALLED") && log.contains(&name), "{log}");
}

#[tokio::test]
async fn an_open_probe_tells_no_names() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "a-token-of-some-length").unwrap();
    let args = ["--stalled-after", "1ms", "--token-file", file.to_str().unwrap()];
    let site = Site::with(
        async |queue| {
            queue.push("x").await;
        },
        &args,
    )
    .await;
    wait_for("the alarm", || site.get("/healthz").status == 503);
    let name = site.queue.queue.name().to_string();
    assert!(!site.get("/healthz").body.contains(&name));
    let bearer = "Authorization: Bearer a-token-of-some-length";
    assert!(site.get_with("/healthz", &[bearer]).body.contains(&name));
}

#[tokio::test]
async fn a_server_that_is_away_is_told_and_found_again() {
    let (mut site, _placed) = Site::new(&["--stalled-after", "1ms"]).await;
    site.server.kill();
    wait_for("the outage", || site.get("/readyz").status == 503);
    wait_for("the alarm", || site.get("/healthz").status == 503);
    wait_for("the overview", || site.get("/api/overview").json()["outage"].is_string());
    assert!(site.get("/metrics").body.contains("redeliver_up 0"));
    site.server.restart();
    wait_for("the server", || site.get("/readyz").status == 200);
    assert!(site.get("/metrics").body.contains("redeliver_up 1"));
}

#[tokio::test]
async fn metrics_tell_states_and_outcomes_and_neither_ids_nor_payloads() {
    let (site, placed) = Site::new(&[]).await;
    let text = site.get("/metrics").body;
    let name = site.queue.queue.name();
    for line in [
        format!("redeliver_messages{{queue=\"{name}\",state=\"ready\"}} 1"),
        format!("redeliver_messages{{queue=\"{name}\",state=\"dead\"}} 1"),
        format!("redeliver_outcomes_total{{queue=\"{name}\",outcome=\"pushed\"}} 4"),
        format!("redeliver_outcomes_total{{queue=\"{name}\",outcome=\"buried\"}} 1"),
        format!("redeliver_stalled{{queue=\"{name}\"}} 0"),
        format!("redeliver_paused{{queue=\"{name}\"}} 0"),
    ] {
        assert!(text.contains(&line), "{line} is missing in\n{text}");
    }
    for (_, id) in placed.ids() {
        assert!(!text.contains(&id.to_string()));
    }
    assert!(!text.contains("hopeless"));
    for (_, metric) in redeliver::metrics::all() {
        assert!(text.contains(&format!("\n{metric}")), "{metric} is missing in\n{text}");
    }
    let mut labels = text.split(['{', ',']).filter_map(|part| part.split_once("=\""));
    let known = ["queue", "state", "outcome", "verb", "le"];
    assert!(labels.all(|(label, _)| known.contains(&label)), "{text}");
}
