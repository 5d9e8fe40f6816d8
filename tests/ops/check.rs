use std::time::Duration;

use redeliver::{Damage, Message, MessageId, Policy, Raw};

use crate::fixture::{Fixture, TestServer};

/// The next cursor, how many ids were seen, and what was found.
fn check(fixture: &Fixture, place: &str, cursor: &str, limit: &str) -> (String, u64, Vec<String>) {
    let reply: Vec<redis::Value> = fixture.call("check", &[place, cursor, limit]);
    let mut texts = reply.into_iter().map(|item| redis::from_redis_value::<String>(item).unwrap());
    let next = texts.next().unwrap();
    let seen = texts.next().unwrap().parse().unwrap();
    (next, seen, texts.collect())
}

fn end(seen: u64, findings: &[&str]) -> (String, u64, Vec<String>) {
    let findings = findings.iter().map(|text| (*text).to_owned());
    ("0".into(), seen, findings.collect())
}

async fn damage(fixture: &Fixture) -> Vec<(String, Damage)> {
    let report = fixture.queue.check(|_| {}).await.unwrap();
    assert_eq!(report.damaged, report.damage.len() as u64);
    assert_eq!(report.is_clean(), report.damaged == 0 && report.counts.law_holds());
    report.damage
}

#[tokio::test]
async fn check_finds_nothing_in_a_healthy_queue_and_touches_nothing() {
    let fixture = Fixture::new().await;
    let placed = fixture.every_state().await;
    let before = fixture.dump();
    let ready = placed.ready.to_string();
    assert_eq!(check(&fixture, "messages", "0", "1000"), end(4, &[&ready, "unplaced"]));
    assert_eq!(check(&fixture, "ready", "0", "1000"), end(1, &[&ready, "listed"]));
    for (state, id) in placed.ids() {
        if state != "ready" {
            assert_eq!(check(&fixture, state, "0", "1000"), end(1, &[]));
        }
        let id = id.to_string();
        assert_eq!(check(&fixture, "one", &id, "1"), end(1, &[&id, "placed"]));
    }
    assert_eq!(check(&fixture, "one", "nobody", "1"), end(1, &["nobody", "gone"]));
    let mut told = 0;
    let report = fixture.queue.check(|looked_at| told = looked_at).await.unwrap();
    assert_eq!((report.looked_at, told), (9, 9));
    assert!(report.is_clean() && report.damage.is_empty());
    assert_eq!((report.counts.pushed, report.counts.messages), (4, 4));
    assert!(fixture.dump() == before);
}

#[tokio::test]
async fn check_reports_a_ghost_in_each_state() {
    let fixture = Fixture::new().await;
    let placed = fixture.every_state().await;
    for (state, id) in &placed.ids() {
        let id = id.to_string();
        let messages = fixture.key("messages");
        let record: String = fixture.redis(&["HGET", &messages, &id]);
        fixture.redis::<()>(&["HDEL", &messages, &id]);
        assert_eq!(check(&fixture, state, "0", "10"), end(1, &[&id, "ghost"]));
        let mut told = end(1, &[&id, "ghost"]);
        if *state == "dead" {
            told.2.extend([id.clone(), "stray_line".to_owned()]);
        }
        assert_eq!(check(&fixture, "one", &id, "1"), told);
        let damage = damage(&fixture).await;
        assert_eq!(damage[0], (id.clone(), Damage::Ghost));
        assert_eq!(damage.last(), Some(&("pushed".to_owned(), Damage::Counters)));
        assert_eq!(damage.len(), 1 + told.2.len() / 2);
        fixture.redis::<()>(&["HSET", &messages, &id, &record]);
        fixture.assert_law().await;
    }
}

#[tokio::test]
async fn check_reports_an_orphan() {
    let fixture = Fixture::new().await;
    let placed = fixture.every_state().await;
    for (state, id) in &placed.ids()[..2] {
        let id = id.to_string();
        let key = fixture.key(state);
        if *state == "ready" {
            fixture.redis::<()>(&["LREM", &key, "1", &id]);
        } else {
            fixture.redis::<()>(&["ZREM", &key, &id]);
        }
        assert_eq!(check(&fixture, "one", &id, "1"), end(1, &[&id, "orphan"]));
        assert_eq!(damage(&fixture).await, [(id.clone(), Damage::Orphan)]);
        fixture.redis::<()>(&["ZADD", &fixture.key("scheduled"), "4000000000000", &id]);
        fixture.assert_law().await;
    }
}

#[tokio::test]
async fn check_reports_an_id_in_two_states_or_twice_in_ready() {
    let fixture = Fixture::new().await;
    let placed = fixture.every_state().await;
    let id = placed.dead.to_string();
    let scheduled = fixture.key("scheduled");
    fixture.redis::<()>(&["ZADD", &scheduled, "4000000000000", &id]);
    for (place, seen) in [("scheduled", 2), ("dead", 1)] {
        assert_eq!(check(&fixture, place, "0", "10"), end(seen, &[&id, "twice"]));
    }
    assert!(check(&fixture, "messages", "0", "10").2.contains(&"twice".to_owned()));
    assert_eq!(damage(&fixture).await, [(id.clone(), Damage::Twice)]);
    fixture.redis::<()>(&["ZREM", &scheduled, &id]);
    fixture.assert_law().await;

    let ready = fixture.key("ready");
    for id in [placed.dead, placed.ready].map(|id| id.to_string()) {
        fixture.redis::<()>(&["RPUSH", &ready, &id]);
        assert_eq!(check(&fixture, "one", &id, "1"), end(1, &[&id, "twice"]));
        assert_eq!(damage(&fixture).await, [(id.clone(), Damage::Twice)]);
        fixture.redis::<()>(&["LREM", &ready, "-1", &id]);
        fixture.assert_law().await;
    }
}

#[tokio::test]
async fn check_walks_through_every_place_in_steps() {
    let fixture = Fixture::new().await;
    let ids = fixture.push_many(1500).await;
    let _held = fixture.queue.claim(700).await.unwrap();
    for (place, expected) in [("messages", 1500), ("ready", 800), ("pending", 700), ("dead", 0)] {
        let (mut cursor, mut seen, mut steps) = ("0".to_owned(), 0, 0);
        loop {
            let (next, count, _) = check(&fixture, place, &cursor, "100");
            (seen, steps, cursor) = (seen + count, steps + 1, next);
            if cursor == "0" {
                break;
            }
        }
        assert_eq!((seen, steps > 1), (expected, expected > 0), "{place}");
    }
    let messages = fixture.key("messages");
    fixture.redis::<()>(&["HDEL", &messages, &ids[1].to_string()]);
    let (ghost, counters) = ((ids[1].to_string(), Damage::Ghost), Damage::Counters);
    assert_eq!(damage(&fixture).await, [ghost, ("pushed".to_owned(), counters)]);
}

#[tokio::test]
async fn check_lists_a_hundred_problems_and_counts_all() {
    let fixture = Fixture::new().await;
    fixture.push("a").await;
    let ghosts: Vec<_> = (0..150).map(|_| MessageId::generate().to_string()).collect();
    let key = fixture.key("ready");
    let mut command = vec!["RPUSH", key.as_str()];
    command.extend(ghosts.iter().map(String::as_str));
    fixture.redis::<()>(&command);
    let report = fixture.queue.check(|_| {}).await.unwrap();
    assert_eq!((report.damaged, report.damage.len()), (150, 100));
    assert!(!report.is_clean());
}

#[tokio::test]
async fn check_takes_1000_ids_a_step_and_refuses_more() {
    let fixture = Fixture::new().await;
    fixture.push_many(1001).await;
    let bad = [
        ["ready", "0", "0"],
        ["ready", "0", "1001"],
        ["ready", "-1", "1"],
        ["ready", "x", "1"],
        ["ready", "0", "1.5"],
        ["nowhere", "0", "1"],
        ["bell", "0", "1"],
        ["", "0", "1"],
    ];
    for argv in bad {
        fixture.refused("check", &argv, "BADARG");
    }
    fixture.refused("check", &["ready", "0"], "BADARG");
    fixture.refused("check", &["messages", "x", "1"], "ERR");
    let (next, seen, findings) = check(&fixture, "ready", "0", "1000");
    assert_eq!((next.as_str(), seen, findings.len()), ("1", 1000, 2000));
    assert_eq!(check(&fixture, "ready", &next, "1000").1, 1);
    fixture.assert_law().await;
}

#[tokio::test]
async fn check_tells_a_small_key_of_any_length_at_once() {
    let server = TestServer::start(&["--zset-max-listpack-entries", "20000"]);
    let fixture = Fixture::on(&server, Policy::default()).await;
    let key = fixture.key("pending");
    let ids: Vec<_> = (0..9000).map(|number| number.to_string()).collect();
    let mut command = vec!["ZADD", key.as_str()];
    command.extend(ids.iter().flat_map(|id| ["1", id.as_str()]));
    fixture.redis::<()>(&command);
    let (next, seen, findings) = check(&fixture, "pending", "0", "1");
    assert_eq!((next.as_str(), seen, findings.len()), ("0", 9000, 18_000));
}

#[tokio::test]
async fn check_places_each_of_more_ids_than_one_command_names() {
    let server = TestServer::start(&["--hash-max-listpack-entries", "20000"]);
    let fixture = Fixture::on(&server, Policy::default()).await;
    let later = (0..2100).map(|_| Message::new(Raw::from("")).delay(Duration::from_secs(60)));
    fixture.queue.push_all(later).await.unwrap();
    assert_eq!(check(&fixture, "messages", "0", "1"), end(2100, &[]));
}

#[tokio::test]
async fn check_near_walks_through_ready_only_for_a_record_that_is_nowhere_else() {
    let fixture = Fixture::new().await;
    let placed = fixture.every_state().await;
    for (_, id) in placed.ids() {
        let id = id.to_string();
        assert_eq!(check(&fixture, "near", &id, "1"), end(1, &[&id, "placed"]));
    }
    let pending = placed.pending.to_string();
    fixture.redis::<()>(&["RPUSH", &fixture.key("ready"), &pending, "ghost"]);
    assert_eq!(check(&fixture, "near", &pending, "1"), end(1, &[&pending, "placed"]));
    assert_eq!(check(&fixture, "near", "ghost", "1"), end(1, &["ghost", "gone"]));
    assert_eq!(check(&fixture, "one", "ghost", "1"), end(1, &["ghost", "ghost"]));
    let found = damage(&fixture).await;
    assert!(found.contains(&(pending, Damage::Twice)), "a page of ready shows it");
    assert!(found.contains(&("ghost".to_owned(), Damage::Ghost)));
}

#[tokio::test]
async fn check_tells_a_key_of_another_type_unless_the_layout_is_another() {
    let fixture = Fixture::new().await;
    fixture.every_state().await;
    let ready = fixture.key("ready");
    fixture.redis::<()>(&["SET", &ready, "damage"]);
    assert_eq!(check(&fixture, "types", "0", "1"), end(0, &[&ready, "wrong_type"]));
    fixture.redis::<()>(&["HSET", &fixture.key("meta"), "layout", "3"]);
    fixture.refused("check", &["types", "0", "1"], "LAYOUT");
}

#[tokio::test]
async fn what_comes_back_to_the_head_of_ready_hides_nothing_from_a_check() {
    let fixture = Fixture::new().await;
    fixture.push_many(400).await;
    let ready = fixture.key("ready");
    let push = |how: &str, ids: &[String]| {
        let ids = ids.iter().map(String::as_str);
        fixture.redis::<()>(&[how, &ready].into_iter().chain(ids).collect::<Vec<_>>());
    };
    let mut held: Vec<String> = fixture.redis(&["LRANGE", &ready, "0", "-1"]);
    let mut rest = held.split_off(40);
    // In the second page from the tail, until what is held comes back.
    rest.insert(151, "nobody".to_owned());
    fixture.redis::<()>(&["DEL", &ready]);
    push("RPUSH", &rest);
    let (mut held, mut pages) = (Some(held), 0);
    let report = fixture.queue.check(|looked_at| {
        // All records, and the first page.
        if looked_at > 400
            && let Some(held) = held.take()
        {
            push("LPUSH", &held);
        }
        pages += 1;
    });
    let report = report.await.unwrap();
    assert!(pages > 4 && held.is_none());
    assert_eq!(report.damage, [("nobody".to_owned(), Damage::Ghost)]);
    assert_eq!(report.looked_at, 400 + 401);
}
