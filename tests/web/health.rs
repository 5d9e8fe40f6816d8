//! Health and metrics.

use std::cell::Cell;

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
async fn a_queue_that_cannot_be_read_is_no_outage_and_is_told_once() {
    let args = ["--stalled-after", "1ms"];
    let site = Site::with(async |_| {}, &args).await;
    let name = site.queue.queue.name().to_string();
    let readable = |is: u8| {
        let line = format!("redeliver_readable{{queue=\"{name}\"}} {is}");
        site.get("/metrics").body.contains(&line)
    };
    wait_for("the first look", || readable(1));
    site.queue.redis::<()>(&["SET", &site.queue.key("dead"), "foo"]);
    wait_for("the fault", || readable(0));
    wait_for("the overview", || {
        site.overview()["fault"].as_str().is_some_and(|fault| fault.contains("WRONGTYPE"))
    });
    // Some more looks find the same.
    let ticks = Cell::new(0);
    site.event(|tick| {
        ticks.set(ticks.get() + 1);
        assert!(tick["outage"].is_null(), "{tick}");
        ticks.get() == 4
    });
    assert_eq!(["/readyz", "/healthz"].map(|path| site.get(path).status), [200, 200]);
    assert!(site.get("/metrics").body.contains("redeliver_up 1"));
    site.queue.redis::<()>(&["DEL", &site.queue.key("dead")]);
    wait_for("the mend", || readable(1));
    wait_for("the overview", || site.overview()["fault"].is_null());
    let log = site.end();
    let told = log.lines().filter(|line| line.contains("the queue cannot be read"));
    assert_eq!(told.count(), 1, "{log}");
}

#[tokio::test]
async fn a_queue_that_could_never_be_read_is_listed_with_its_fault() {
    let prepare = async |queue: &Fixture| {
        queue.push("x").await;
        queue.redis::<()>(&["HSET", &queue.key("meta"), "layout", "9"]);
    };
    let site = Site::with(prepare, &[]).await;
    wait_for("the overview", || site.overview()["fault"].is_string());
    assert_eq!(site.get("/readyz").status, 200);
}

#[tokio::test]
async fn a_list_of_queues_that_cannot_be_read_is_an_outage_until_it_can() {
    let (site, _placed) = Site::new(&["--stalled-after", "1ms"]).await;
    site.queue.redis::<()>(&["RENAME", "rd:queues", "kept"]);
    site.queue.redis::<()>(&["SET", "rd:queues", "foo"]);
    wait_for("the outage", || site.get("/readyz").status == 503);
    wait_for("the alarm", || site.get("/healthz").status == 503);
    wait_for("the overview", || {
        let overview = site.get("/api/overview").json();
        overview["outage"].as_str().is_some_and(|outage| outage.contains("the list of queues"))
    });
    assert_eq!(site.overview()["ready"], 1, "the queues that are known are still looked at");
    site.queue.redis::<()>(&["RENAME", "kept", "rd:queues"]);
    wait_for("the list", || site.get("/readyz").status == 200);
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
