use std::collections::BTreeMap;
use std::time::Duration;

use redeliver::{Damage, Message, MessageId, Raw, Repaired, Report, Retried, Settled};

use crate::fixture::{Fixture, Placed, SECOND};

/// Pairs of what it was about and what was mended.
pub(crate) fn repair(fixture: &Fixture, argv: &[&str]) -> Vec<String> {
    fixture.call("repair", argv)
}

/// What the check finds, having changed nothing.
pub(crate) async fn check(fixture: &Fixture) -> Report {
    let before = fixture.dump();
    let report = fixture.queue.check(|_| {}).await.unwrap();
    assert!(fixture.dump() == before, "a check changes nothing");
    report
}

/// That just this damage is found, mended as it was told, and gone; and that a second repair does nothing.
pub(crate) async fn mends(fixture: &Fixture, damage: &[(Damage, u64)]) -> Repaired {
    let expected: BTreeMap<_, _> = damage.iter().copied().collect();
    assert_eq!(check(fixture).await.kinds, expected);
    let repaired = fixture.queue.repair(|_| {}).await.unwrap();
    assert_eq!((&repaired.found.kinds, &repaired.mended), (&expected, &expected));
    assert!(repaired.is_clean(), "{repaired:?}");
    let counts = fixture.counts().await;
    assert_eq!(
        (repaired.counts.pushed, repaired.counts.messages),
        (counts.pushed, counts.messages)
    );
    assert!(check(fixture).await.is_clean());
    let sound = fixture.dump();
    let again = fixture.queue.repair(|_| {}).await.unwrap();
    assert!(again.mended.is_empty() && fixture.dump() == sound, "{again:?}");
    repaired
}

fn remove(fixture: &Fixture, state: &str, id: &str) {
    let removal = if state == "ready" { vec!["LREM", "1"] } else { vec!["ZREM"] };
    let key = fixture.key(state);
    let mut command = vec![removal[0], key.as_str()];
    command.extend(&removal[1..]);
    command.push(id);
    assert_eq!(fixture.redis::<u64>(&command), 1);
}

fn add(fixture: &Fixture, state: &str, id: &str) {
    match state {
        "ready" => fixture.redis::<()>(&["RPUSH", &fixture.key(state), id]),
        _ => fixture.redis::<()>(&["ZADD", &fixture.key(state), "4000000000000", id]),
    }
}

pub(crate) fn set(fixture: &Fixture, hash: &str, field: &str, value: &str) {
    fixture.redis::<()>(&["HSET", &fixture.key(hash), field, value]);
}

async fn placed() -> (Fixture, Placed) {
    let fixture = Fixture::new().await;
    let placed = fixture.every_state().await;
    (fixture, placed)
}

#[tokio::test]
async fn repair_changes_nothing_in_a_sound_queue() {
    let (fixture, placed) = placed().await;
    let keyed = Message::new(Raw::from("keyed")).key("k").delay(SECOND);
    fixture.queue.push(keyed).await.unwrap();
    let ids = placed.ids().map(|(_, id)| id.to_string());
    let mut argv: Vec<_> = ids.iter().map(String::as_str).collect();
    argv.extend(["=k", "=none", "nobody", ""]);
    let before = fixture.dump();
    assert!(repair(&fixture, &argv).is_empty());
    assert!(repair(&fixture, &[]).is_empty());
    mends(&fixture, &[]).await;
    assert!(fixture.dump() == before);
}

#[tokio::test]
async fn repair_takes_8_ids_and_refuses_more() {
    let (fixture, _placed) = placed().await;
    assert!(repair(&fixture, &["a"; 8]).is_empty());
    fixture.refused("repair", &["a"; 9], "BADARG");
}

#[tokio::test]
async fn repair_brings_an_orphan_of_any_state_to_the_tail_of_ready_and_rings() {
    let (fixture, placed) = placed().await;
    for (state, id) in placed.ids() {
        let id = id.to_string();
        remove(&fixture, state, &id);
        fixture.silence();
        assert_eq!(repair(&fixture, &[&id, &id]), [&id, "orphan"]);
        assert_eq!(fixture.ids("ready").last(), Some(&id));
        assert_eq!(fixture.len("bell"), 1);
    }
    mends(&fixture, &[]).await;
    assert_eq!(fixture.states().await, [4, 0, 0, 0]);
    assert_eq!(fixture.queue.claim(10).await.unwrap().len(), 4);
}

#[tokio::test]
async fn repair_rings_no_bell_for_an_orphan_of_a_paused_queue() {
    let (fixture, placed) = placed().await;
    fixture.queue.pause().await.unwrap();
    fixture.silence();
    remove(&fixture, "dead", &placed.dead.to_string());
    mends(&fixture, &[(Damage::Orphan, 1)]).await;
    assert_eq!(fixture.len("bell"), 0);
}

#[tokio::test]
async fn repair_removes_a_ghost_of_each_state_and_counts_it() {
    for places in [&["ready"][..], &["ready", "ready"], &["scheduled"], &["pending"], &["dead"]] {
        let (fixture, _placed) = placed().await;
        let (state, ghost) = (places[0], MessageId::generate().to_string());
        let before = fixture.ids(state);
        for place in places {
            add(&fixture, place, &ghost);
        }
        mends(&fixture, &[(Damage::Ghost, 1)]).await;
        assert_eq!(fixture.counts().await.ghosts, 1);
        assert_eq!(fixture.ids(state), before);
    }
}

#[tokio::test]
async fn repair_leaves_an_id_once_in_ready_at_its_first_place() {
    let fixture = Fixture::new().await;
    let ids: Vec<_> = fixture.push_many(3).await.iter().map(ToString::to_string).collect();
    for copies in 1..=2 {
        for _ in 0..copies {
            add(&fixture, "ready", &ids[0]);
        }
        mends(&fixture, &[(Damage::Twice, 1)]).await;
        assert_eq!(fixture.ids("ready"), ids);
    }
}

#[tokio::test]
async fn repair_keeps_an_id_in_pending_before_ready_before_scheduled_before_dead() {
    let order = ["pending", "ready", "scheduled", "dead"];
    for (rank, kept) in order.iter().enumerate() {
        for other in &order[rank + 1..] {
            let (fixture, placed) = placed().await;
            for state in [kept, other] {
                let (_, id) = placed.ids().into_iter().find(|(name, _)| name == state).unwrap();
                let (id, target) = (id.to_string(), if state == kept { other } else { kept });
                add(&fixture, target, &id);
                mends(&fixture, &[(Damage::Twice, 1)]).await;
                assert!(fixture.ids(kept).contains(&id), "{kept} before {other}");
            }
            assert_eq!(fixture.ids(kept).len(), 2);
        }
    }
}

#[tokio::test]
async fn repair_leaves_the_lease_of_a_held_message_that_stands_everywhere() {
    let (fixture, placed) = placed().await;
    let id = placed.pending.to_string();
    let deadline = fixture.time_of("pending", placed.pending);
    for state in ["ready", "ready", "scheduled", "dead"] {
        add(&fixture, state, &id);
    }
    mends(&fixture, &[(Damage::Twice, 1)]).await;
    assert_eq!(fixture.time_of("pending", placed.pending), deadline);
    assert_eq!(placed.held.ack().await.unwrap(), Settled::Done);
}

#[tokio::test]
async fn repair_leaves_a_lease_alone_when_the_impossible_time_is_elsewhere() {
    let (fixture, placed) = placed().await;
    let id = placed.pending.to_string();
    let deadline = fixture.time_of("pending", placed.pending);
    fixture.redis::<()>(&["ZADD", &fixture.key("scheduled"), "1.5", &id]);
    assert_eq!(repair(&fixture, &[&id]), [&id, "twice", &id, "bad_time"]);
    assert_eq!(fixture.time_of("pending", placed.pending), deadline);
    assert_eq!(fixture.time_of("scheduled", placed.pending), None);
    mends(&fixture, &[]).await;
}

#[tokio::test]
async fn repair_removes_an_attempt_line_without_a_record() {
    let fixture = Fixture::new().await;
    set(&fixture, "attempts", "nobody", "1 1 3");
    set(&fixture, "attempts", "nobody else", "garbage");
    mends(&fixture, &[(Damage::StrayLine, 2)]).await;
    assert_eq!(fixture.len("attempts"), 0);
}

#[tokio::test]
async fn repair_of_an_unreadable_attempt_line_makes_no_old_receipt_valid() {
    for damage in ["", "garbage", "1 2", "-1 0 0", "9007199254740992 0 0"] {
        let fixture = Fixture::new().await;
        let id = fixture.push("a").await;
        let old = fixture.claim().await;
        fixture.age("pending", id, 3600 * SECOND);
        fixture.queue.redeliver(10).await.unwrap();
        let held = fixture.claim().await;
        set(&fixture, "attempts", &id.to_string(), damage);
        mends(&fixture, &[(Damage::BadLine, 1)]).await;
        assert!(fixture.line_of(id).unwrap().ends_with(" 0 3"), "MAX is the record's");
        assert_eq!(old.ack().await.unwrap(), Settled::Lost, "{damage:?}");
        assert_eq!(held.ack().await.unwrap(), Settled::Lost, "{damage:?}");
        fixture.age("pending", id, 3600 * SECOND);
        assert_eq!(fixture.queue.redeliver(10).await.unwrap().reclaimed, 1);
        let next = fixture.claim().await;
        assert_eq!((next.failures(), next.attempt() > 1_700_000_000_000), (1, true));
        assert_eq!(
            next.retry_after(Duration::ZERO, "no").await.unwrap(),
            Retried::After(Duration::ZERO)
        );
        assert!(fixture.line_of(id).unwrap().contains(" 2 3 "));
        assert_eq!(fixture.claim().await.ack().await.unwrap(), Settled::Done);
        fixture.assert_law().await;
    }
}

#[tokio::test]
async fn repair_makes_an_impossible_time_now_so_that_the_message_flows_again() {
    for score in ["inf", "-inf", "-5", "1.5", "9007199254740992", "1e300"] {
        let (fixture, placed) = placed().await;
        for (state, id) in &placed.ids()[1..] {
            let (key, id) = (fixture.key(state), id.to_string());
            fixture.redis::<()>(&["ZADD", &key, "XX", score, &id]);
        }
        fixture.silence();
        fixture.redis::<()>(&["RPUSH", &fixture.key("bell"), "1"]);
        let earliest = fixture.now_us() / 1000;
        mends(&fixture, &[(Damage::BadTime, 3)]).await;
        assert_eq!(fixture.len("alarm"), 1, "a poller hears of it");
        let died = fixture.time_of("dead", placed.dead).unwrap();
        assert!((earliest..=fixture.now_us() / 1000).contains(&died), "{died}");
        let moved = fixture.queue.redeliver(10).await.unwrap();
        assert_eq!((moved.promoted, moved.reclaimed), (1, 1), "{score}");
    }
}

#[tokio::test]
async fn repair_rings_a_bell_whose_token_was_lost() {
    let (fixture, placed) = placed().await;
    fixture.silence();
    let head = placed.ready.to_string();
    assert_eq!(check(&fixture).await.damage, [(head, Damage::LostBell)]);
    mends(&fixture, &[(Damage::LostBell, 1)]).await;
    assert_eq!(fixture.len("bell"), 1);
}

#[tokio::test]
async fn repair_rings_no_bell_of_a_paused_or_empty_queue() {
    let fixture = Fixture::new().await;
    mends(&fixture, &[]).await;
    fixture.push("a").await;
    fixture.queue.pause().await.unwrap();
    fixture.silence();
    mends(&fixture, &[]).await;
    assert_eq!(fixture.len("bell"), 0);
}

#[tokio::test]
async fn repair_leaves_one_token_in_bell_and_alarm() {
    let (fixture, _placed) = placed().await;
    for keys in [&["bell"][..], &["alarm"], &["bell", "alarm"]] {
        for key in keys {
            fixture.redis::<()>(&["DEL", &fixture.key(key)]);
            fixture.redis::<()>(&["RPUSH", &fixture.key(key), "1", "1"]);
        }
        mends(&fixture, &[(Damage::Tokens, keys.len() as u64)]).await;
        assert!(keys.iter().all(|key| fixture.len(key) == 1));
    }
}

#[tokio::test]
async fn repair_counts_what_left_by_no_script_as_vanished() {
    let (fixture, placed) = placed().await;
    for (state, id) in &placed.ids()[1..3] {
        let id = id.to_string();
        fixture.redis::<()>(&["HDEL", &fixture.key("messages"), &id]);
        remove(&fixture, state, &id);
    }
    mends(&fixture, &[(Damage::Counters, 1)]).await;
    let counts = fixture.counts().await;
    assert_eq!((counts.pushed, counts.messages, counts.vanished), (4, 2, 2));
    assert!(counts.law_holds());
}

#[tokio::test]
async fn repair_raises_pushed_to_what_there_is() {
    let (fixture, placed) = placed().await;
    assert_eq!(placed.held.ack().await.unwrap(), Settled::Done);
    set(&fixture, "messages", "planted", "3\n\na");
    mends(&fixture, &[(Damage::Orphan, 1), (Damage::Counters, 1)]).await;
    let counts = fixture.counts().await;
    assert_eq!((counts.pushed, counts.messages, counts.acked), (5, 4, 1));
    assert_eq!(counts.vanished, 0);
}

#[tokio::test]
async fn repair_removes_a_counter_that_is_no_number_and_closes_the_others() {
    for damage in ["", "garbage", "-1", "1.5", "9007199254740992"] {
        for name in ["pushed", "acked", "vanished"] {
            let (fixture, placed) = placed().await;
            assert_eq!(placed.held.ack().await.unwrap(), Settled::Done);
            set(&fixture, "meta", name, damage);
            let closes = name == "vanished";
            let counters = (Damage::Counters, 1);
            let expected = [(Damage::BadCounter, 1), counters];
            mends(&fixture, if closes { &expected[..1] } else { &expected }).await;
            assert_eq!(fixture.counts().await.vanished, u64::from(name == "acked"));
        }
    }
}

#[tokio::test]
async fn repair_looks_again_and_leaves_alone_what_is_sound_by_now() {
    let (fixture, placed) = placed().await;
    let id = placed.scheduled.to_string();
    remove(&fixture, "scheduled", &id);
    assert_eq!(check(&fixture).await.damage, [(id.clone(), Damage::Orphan)]);
    add(&fixture, "dead", &id);
    let before = fixture.dump();
    assert!(repair(&fixture, &[&id]).is_empty());
    assert!(fixture.dump() == before);
}

#[tokio::test]
async fn repair_mends_an_id_that_is_no_text() {
    let fixture = Fixture::new().await;
    fixture.push("a").await;
    let plant = r"redis.call('HSET', KEYS[1], '\255', '0\n\n')";
    fixture.redis::<()>(&["EVAL", plant, "1", &fixture.key("messages")]);
    mends(&fixture, &[(Damage::Orphan, 1), (Damage::Counters, 1)]).await;
    assert_eq!(fixture.states().await, [2, 0, 0, 0]);
}

#[tokio::test]
async fn repair_reports_a_key_of_another_type_and_touches_nothing() {
    let empty = Fixture::new().await;
    assert!(check(&empty).await.is_clean());
    for name in crate::fixture::KEYS {
        let (fixture, _placed) = placed().await;
        let key = fixture.key(name);
        fixture.redis::<()>(&["SET", &key, "damage"]);
        let report = check(&fixture).await;
        assert_eq!(report.damage, [(key.clone(), Damage::WrongType)]);
        let before = fixture.dump();
        let repaired = fixture.queue.repair(|_| {}).await.unwrap();
        assert!(repaired.mended.is_empty() && !repaired.is_clean());
        assert_eq!(repaired.found.damage, [(key, Damage::WrongType)]);
        assert!(fixture.dump() == before);
    }
}

#[tokio::test]
async fn repair_mends_hundreds_of_each_kind_in_bounded_calls() {
    let fixture = Fixture::new().await;
    let ids = fixture.push_many(600).await;
    for id in &ids[..300] {
        remove(&fixture, "ready", &id.to_string());
        add(&fixture, "pending", &MessageId::generate().to_string());
    }
    let repaired = mends(&fixture, &[(Damage::Ghost, 300), (Damage::Orphan, 300)]).await;
    assert_eq!((repaired.found.damaged, repaired.found.damage.len()), (600, 100));
    assert_eq!(fixture.states().await, [600, 0, 0, 0]);
}
