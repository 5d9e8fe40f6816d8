//! What can be asked.

use redeliver::{Message, MessageId, Raw};
use serde_json::json;

use crate::fixture::SECOND;
use crate::site::{Site, wait_for};

#[tokio::test]
async fn the_overview_tells_counts_rates_and_the_poller() {
    let (site, placed) = Site::new(&[]).await;
    wait_for("a pass of the poller", || site.overview()["poller"]["state"] == "ok");
    let queue = site.overview();
    for state in ["ready", "scheduled", "pending", "dead"] {
        assert_eq!(queue[state], 1, "{state}");
    }
    assert_eq!(queue["ready_head"], placed.ready.to_string());
    assert_eq!((&queue["paused"], &queue["stalled"]), (&json!(false), &json!(null)));
    assert!(queue["rates"]["pushed"].is_number() && queue["late_ms"].is_number());
    let without = Site::new(&["--no-poller"]).await.0;
    assert_eq!(without.overview()["poller"], json!(null));
}

#[tokio::test]
async fn every_viewer_is_told_of_changes_as_they_happen() {
    let (site, _placed) = Site::new(&[]).await;
    let told = site.event(|tick| tick["queues"][0]["ready"] == 1);
    assert_eq!(told["queues"][0]["name"], site.queue.queue.name().to_string());
    site.queue.push_many(5).await;
    site.event(|tick| tick["queues"][0]["ready"] == 6);
}

#[tokio::test]
async fn queues_are_found_as_they_appear_and_only_named_ones_if_named() {
    let (site, _placed) = Site::new(&[]).await;
    let other = site.queue.queue.server().queue::<Raw>("another").unwrap();
    other.push(Raw::from("x")).await.unwrap();
    wait_for("the other queue", || site.get("/api/queues/another/history").status == 200);
    other.destroy().await.unwrap();
    wait_for("its end", || site.get("/api/queues/another/history").status == 404);

    let named = Site::with(async |_| {}, &["named"]).await;
    assert_eq!(named.get("/api/queues/named/history").status, 200);
    let other = named.queue.queue.server().queue::<Raw>("another").unwrap();
    other.push(Raw::from("x")).await.unwrap();
    named.event(|tick| tick["queues"][0]["name"] == "named");
    assert_eq!(named.get("/api/queues/another/history").status, 404);
}

#[tokio::test]
async fn history_has_as_many_values_in_each_column() {
    let (site, _placed) = Site::new(&[]).await;
    let columns = site.get(&site.path("/history")).json();
    let columns = columns.as_object().unwrap();
    let length = columns["at_ms"].as_array().unwrap().len();
    assert!(length > 0);
    for (name, column) in columns.iter().filter(|(name, _)| *name != "step_ms") {
        assert_eq!(column.as_array().unwrap().len(), length, "{name}");
    }
    assert!(site.get("/api/sparks").json().as_object().unwrap().len() == 1);
}

#[tokio::test]
async fn a_forecast_counts_what_falls_due_in_each_slice() {
    let prepare = async |queue: &crate::fixture::Fixture| {
        for seconds in [30 * 60, 30 * 60, 20 * 3600, 48 * 3600] {
            let later = Message::new(Raw::from("x")).delay(SECOND * seconds);
            queue.queue.push(later).await.unwrap();
        }
    };
    let site = Site::with(prepare, &[]).await;
    let told = |span: &str| site.get(&site.path(&format!("/forecast?span={span}"))).json();
    let sum = |told: &serde_json::Value| -> u64 {
        let slices = told["scheduled"]["slices"].as_array().unwrap();
        slices.iter().map(|count| count.as_u64().unwrap()).sum()
    };
    assert_eq!(["minute", "hour", "day"].map(|span| sum(&told(span))), [0, 2, 3]);
    assert_eq!(told("day")["scheduled"]["upto"], 3);
    assert_eq!(told("minute")["slice_ms"], 1000);
    assert_eq!(site.get(&site.path("/forecast?span=year")).status, 400);
}

#[tokio::test]
async fn messages_are_listed_by_state_page_by_page() {
    let prepare = async |queue: &crate::fixture::Fixture| {
        queue.push_many(5).await;
    };
    let site = Site::with(prepare, &[]).await;
    let page = |query: &str| site.get(&site.path(&format!("/messages?{query}"))).json();
    let first = page("state=ready&limit=2");
    let payload = |page: &serde_json::Value| page["messages"][0]["payload"]["text"].clone();
    assert_eq!((payload(&first), &first["next"]), (json!("0"), &json!(2)));
    let last = page("state=ready&limit=2&start=4");
    assert_eq!((payload(&last), &last["next"]), (json!("4"), &json!(null)));
    assert_eq!(page("state=dead")["messages"], json!([]));
    for wrong in ["state=nowhere", "limit=1", "state=ready&start=-1"] {
        assert_eq!(site.get(&site.path(&format!("/messages?{wrong}"))).status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn a_search_looks_into_payloads_headers_and_errors() {
    let prepare = async |queue: &crate::fixture::Fixture| {
        queue.push_many(300).await;
        let hidden = Message::new(Raw::from("{\"name\":\"Ünïque\"}")).header("h", "needle");
        queue.queue.push(hidden).await.unwrap();
    };
    let site = Site::with(prepare, &[]).await;
    let search = |text: &str| {
        let found = site.get(&site.path(&format!("/messages?state=ready&contains={text}"))).json();
        (found["messages"].as_array().unwrap().len(), found["looked"].clone())
    };
    assert_eq!(search("NEEDLE"), (1, json!(301)));
    assert_eq!(search("%C3%BCn%C3%AFque"), (1, json!(301)));
    assert_eq!(search("nowhere"), (0, json!(301)));
    let long = "x".repeat(300);
    let path = site.path(&format!("/messages?state=ready&contains={long}"));
    assert_eq!(site.get(&path).status, 400);
}

#[tokio::test]
async fn a_message_is_shown_whole_and_as_text_or_base_16() {
    let (site, placed) = Site::new(&[]).await;
    let told = |id: MessageId| site.get(&site.path(&format!("/messages/{id}"))).json();
    let dead = told(placed.dead);
    assert_eq!((&dead["state"], &dead["failures"]), (&json!("dead"), &json!(1)));
    assert_eq!(dead["history"][0]["error"], "hopeless");
    assert_eq!(dead["body"], json!({"encoding": "text", "text": "dead", "is_cut": false}));

    let script = "<script>alert(1)</script>\u{1b}[2J\u{202e}";
    let hostile = site.queue.queue.push(Raw::from(script)).await.unwrap().id();
    assert_eq!(told(hostile)["body"]["text"], script);
    let bytes = site.queue.queue.push(Raw(vec![0xff, 0x00])).await.unwrap().id();
    assert_eq!(told(bytes)["body"]["encoding"], "hex");
    assert_eq!(told(bytes)["body"]["text"], "ff00");
    let missing = site.path(&format!("/messages/{}", MessageId::generate()));
    assert_eq!(site.get(&missing).status, 404);
    assert_eq!(site.get(&site.path("/messages/no-id")).status, 400);
    assert_eq!(site.get("/api/queues/none/messages?state=ready").status, 404);
}

#[tokio::test]
async fn dead_letters_are_grouped_by_error_and_exported() {
    let prepare = async |queue: &crate::fixture::Fixture| {
        queue.push_many(5).await;
        for (number, delivery) in queue.queue.claim(5).await.unwrap().into_iter().enumerate() {
            let error = if number < 3 { format!("timeout after {number} s") } else { "<b>".into() };
            let _settled = delivery.bury(&error).await.unwrap();
        }
    };
    let site = Site::with(prepare, &[]).await;
    let groups = site.get(&site.path("/dead/groups")).json();
    assert_eq!((&groups["looked"], &groups["dead"]), (&json!(5), &json!(5)));
    let groups = groups["by_error"].as_array().unwrap();
    let told: Vec<_> = groups.iter().map(|group| (&group["error"], &group["count"])).collect();
    assert_eq!(told, [(&json!("timeout after # s"), &json!(3)), (&json!("<b>"), &json!(2))]);

    let export = site.get(&site.path("/dead/export"));
    assert!(export.header("content-disposition").unwrap().starts_with("attachment;"));
    let lines: Vec<serde_json::Value> =
        export.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[0]["history"][0]["error"], "timeout after 0 s");
    let some = site.get(&site.path("/dead/export?group=%3Cb%3E"));
    assert_eq!(some.body.lines().count(), 2);
}
