use std::collections::HashMap;

use redeliver::{Cancelled, Message, MessageId, Policy, Pushed, Queue, Raw, State};

use crate::fixture::{Fixture, SECOND, TestServer};
use crate::stage::{assert_sound, laws, living, partitioned, script};

fn keyed(key: &str) -> Message<Raw> {
    Message::new(Raw::from("x")).key(key)
}

async fn push(queue: &Queue<Raw>, key: &str) -> Pushed {
    queue.push(keyed(key)).await.unwrap()
}

#[tokio::test]
async fn a_key_has_one_partition_whoever_pushes_it() {
    let fixture = partitioned(5).await;
    for key in 0..50 {
        let first = push(&fixture.queue, &key.to_string()).await.id();
        let other = fixture.other().await;
        let again = push(&other, &key.to_string()).await;
        assert_eq!(again, Pushed::Duplicate { id: first, state: State::Ready });
        let all = other.push_all([keyed(&key.to_string())]).await.unwrap();
        assert_eq!(all, [again]);
    }
    assert!(laws(&fixture.queue).await.iter().all(|counts| counts.ready > 0));
    assert_eq!(fixture.counts().await.ready, 50);
    assert_sound(&fixture).await;
}

#[tokio::test]
async fn a_key_from_before_a_change_is_found_wherever_its_message_lives_and_however_it_waits() {
    let fixture = Fixture::new().await;
    let keys: Vec<_> = (0..40).map(|key| key.to_string()).collect();
    let mut first = Vec::new();
    for (number, key) in keys.iter().enumerate() {
        let later = keyed(key).delay(3600 * SECOND);
        let message = if number % 2 == 0 { keyed(key) } else { later };
        first.push(fixture.queue.push(message).await.unwrap());
    }
    // One of them is dead, one in somebody's hands.
    let mut claimed = fixture.queue.claim(2).await.unwrap();
    let pending = claimed.pop().unwrap();
    let dead = claimed.pop().unwrap();
    let (dead_id, pending_id) = (dead.id(), pending.id());
    assert_eq!(dead.bury("hopeless").await.unwrap(), redeliver::Settled::Done);
    for count in [4, 6, 3, 1, 7] {
        fixture.queue.set_partitions(count).await.unwrap();
        let fresh = fixture.other().await;
        for (key, first) in keys.iter().zip(&first) {
            let state = match first {
                first if first.id() == dead_id => State::Dead,
                first if first.id() == pending_id => State::Pending,
                Pushed::Scheduled(_) => State::Scheduled,
                _ => State::Ready,
            };
            let found = Pushed::Duplicate { id: first.id(), state };
            assert_eq!(push(&fresh, key).await, found, "{key} of {count}");
        }
        let all = fresh.push_all(keys.iter().map(|key| keyed(key))).await.unwrap();
        assert!(all.iter().zip(&first).all(|(again, first)| again.id() == first.id()));
        assert_eq!(living(&fixture.queue).await.len(), 40);
    }
    // Once it is gone, the key is free, and has its partition by the present number.
    let ids: Vec<_> = first.iter().map(|pushed| pushed.id()).collect();
    assert_eq!(fixture.queue.cancel(&ids).await.unwrap(), [Cancelled::Done; 40]);
    for key in &keys {
        assert!(matches!(push(&fixture.queue, key).await, Pushed::Ready(_)));
    }
    assert!(laws(&fixture.queue).await.iter().all(|counts| counts.ready > 0));
    assert_sound(&fixture).await;
}

#[tokio::test]
async fn a_producer_that_knows_an_older_number_makes_no_second_message() {
    let fixture = Fixture::new().await;
    let stale = fixture.other().await;
    push(&stale, "first").await;
    for (round, count) in [4, 2, 9, 1, 3].into_iter().enumerate() {
        fixture.queue.set_partitions(count).await.unwrap();
        let fresh = fixture.other().await;
        for key in (0..30).map(|key| format!("{round}-{key}")) {
            let id = push(&fresh, &key).await.id();
            assert_eq!(push(&stale, &key).await, Pushed::Duplicate { id, state: State::Ready });
        }
    }
    assert_eq!(fixture.counts().await.messages, 151);
    assert_sound(&fixture).await;
}

/// Whoever changed the number told the first partition and nobody else, so that the others take what
/// comes by the older one until somebody has looked for a key there.
#[tokio::test]
async fn a_partition_that_was_not_told_yet_takes_no_key_that_somebody_looked_for() {
    let fixture = partitioned(2).await;
    let stale = fixture.other().await;
    push(&stale, "first").await;
    script(&fixture, 0, "fence", &["2 3 2 1"]);
    let fresh = fixture.other().await;
    for key in (0..60).map(|key| key.to_string()) {
        let id = push(&fresh, &key).await.id();
        assert_eq!(push(&stale, &key).await, Pushed::Duplicate { id, state: State::Ready });
    }
    assert_eq!(living(&fresh).await.len(), 61);
    laws(&fresh).await;
}

#[tokio::test]
async fn a_message_that_is_pushed_again_under_its_id_stays_single() {
    let fixture = Fixture::new().await;
    let ids: Vec<_> = (0..40).map(|_| MessageId::generate()).collect();
    let message = |id: &MessageId| Message::new(Raw::from("x")).id(*id);
    fixture.queue.push_all(ids.iter().map(message)).await.unwrap();
    for count in [4, 3, 8] {
        fixture.queue.set_partitions(count).await.unwrap();
        let fresh = fixture.other().await;
        let again = fresh.push_all(ids.iter().map(message)).await.unwrap();
        assert!(again.iter().all(|pushed| matches!(pushed, Pushed::Duplicate { .. })));
        let again = fresh.push(message(&ids[0])).await.unwrap();
        assert_eq!(again, Pushed::Duplicate { id: ids[0], state: State::Ready });
    }
    assert_eq!(living(&fixture.queue).await, ids.iter().map(|id| (*id, 0)).collect::<Vec<_>>());
    assert_sound(&fixture).await;
}

#[tokio::test]
async fn a_former_home_is_asked_until_it_was_seen_empty() {
    let server = TestServer::start(&[]);
    let fixture = Fixture::named("asked", &server, Policy::default()).await;
    fixture.push("before").await;
    fixture.queue.set_partitions(4).await.unwrap();
    let other = fixture.other().await;
    let spent = async |keys: std::ops::Range<u32>| {
        other.counts().await.unwrap();
        let before = scripts_called(&fixture);
        for key in keys {
            push(&other, &key.to_string()).await;
        }
        scripts_called(&fixture) - before
    };
    let at_home = |parts: &[redeliver::Counts]| parts[0].ready - 1;
    let asked = spent(0..40).await;
    assert_eq!(
        asked,
        40 + 40 - at_home(&laws(&other).await),
        "one look for each that lives elsewhere"
    );
    let ids: Vec<_> = living(&other).await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(other.cancel(&ids).await.unwrap(), [Cancelled::Done; 41]);
    // The first of these that is at home elsewhere sees partition 0 empty, unless one has come there.
    let first = spent(40..80).await;
    let ids: Vec<_> = living(&other).await.into_iter().map(|(id, _)| id).collect();
    assert!((40..=80).contains(&first) && ids.len() == 40);
    other.cancel(&ids).await.unwrap();
    other.set_partitions(5).await.unwrap();
    other.set_partitions(4).await.unwrap();
    assert_eq!(spent(80..120).await, 40, "all were seen empty at the change");
    assert_sound(&fixture).await;
}

/// How many scripts the server has run.
fn scripts_called(fixture: &Fixture) -> u64 {
    let stats: String = fixture.redis(&["INFO", "commandstats"]);
    let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    line.and_then(|rest| rest.split(',').next()).map_or(0, |calls| calls.parse().unwrap())
}

#[tokio::test]
async fn a_keyed_message_stays_single_while_the_count_is_raised() {
    const KEYS: u64 = 60;
    let fixture = Fixture::new().await;
    let mut producers = tokio::task::JoinSet::new();
    for producer in 0..6 {
        let queue = fixture.other().await;
        producers.spawn(async move {
            let mut first: HashMap<String, MessageId> = HashMap::new();
            for round in 0..150_u64 {
                let key = (fastrand::u64(..) % KEYS).to_string();
                let pushed = if (round + producer) % 4 == 0 {
                    queue.push_all([keyed(&key)]).await.unwrap()[0]
                } else {
                    queue.push(keyed(&key)).await.unwrap()
                };
                let known = *first.entry(key.clone()).or_insert(pushed.id());
                assert_eq!(known, pushed.id(), "{key} is two messages");
            }
            first
        });
    }
    for count in [2, 5, 3, 8, 1, 4, 64, 2, 7] {
        fixture.queue.set_partitions(count).await.unwrap();
        laws(&fixture.queue).await;
    }
    let mut all: HashMap<String, MessageId> = HashMap::new();
    while let Some(first) = producers.join_next().await {
        for (key, id) in first.unwrap() {
            assert_eq!(*all.entry(key.clone()).or_insert(id), id, "{key} is two messages");
        }
    }
    let mut living: Vec<_> = living(&fixture.queue).await.into_iter().map(|(id, _)| id).collect();
    let mut known: Vec<_> = all.into_values().collect();
    living.sort_unstable();
    known.sort_unstable();
    assert_eq!(living, known);
    assert_sound(&fixture).await;
}
