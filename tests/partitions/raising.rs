use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use redeliver::{Cancelled, Error, Limits, MAX_PARTITIONS, Message, MessageId, Pushed, Raw};

use crate::fixture::{Fixture, SECOND};
use crate::stage::{
    Running, assert_sound, fill, key, laws, living, partitioned, script, telling, until,
};

#[tokio::test]
async fn messages_spread_over_all_partitions_and_are_claimed_from_all() {
    let fixture = partitioned(4).await;
    let ids = fixture.push_many(400).await;
    let parts = laws(&fixture.queue).await;
    assert_eq!(parts.len(), 4);
    assert!(parts.iter().all(|counts| counts.ready > 50), "{parts:?}");
    let counts = fixture.counts().await;
    assert_eq!((counts.ready, counts.partitions), (400, 4));
    let mut claimed = Vec::new();
    while claimed.len() < 400 {
        let more = fixture.queue.claim(150).await.unwrap();
        assert!(more.len() <= 150 && !more.is_empty());
        claimed.extend(more.iter().map(redeliver::Delivery::id));
        for delivery in more {
            assert_eq!(delivery.ack().await.unwrap(), redeliver::Settled::Done);
        }
    }
    claimed.sort_unstable();
    assert_eq!(claimed, ids);
    assert_eq!(laws(&fixture.queue).await.iter().map(|it| it.acked).sum::<u64>(), 400);
    assert_sound(&fixture).await;
}

#[tokio::test]
async fn numbers_out_of_bounds_are_refused() {
    let fixture = Fixture::new().await;
    for count in [0, MAX_PARTITIONS + 1] {
        assert!(fixture.queue.set_partitions(count).await.unwrap_err().is_invalid());
    }
    assert_eq!(fixture.queue.set_partitions(1).await.unwrap().count, 1);
    assert!(fixture.dump().iter().all(Option::is_none), "nothing was written");
    assert_eq!(fixture.queue.set_partitions(MAX_PARTITIONS).await.unwrap().count, MAX_PARTITIONS);
    fixture.push_many(1000).await;
    assert!(laws(&fixture.queue).await.iter().all(|counts| counts.ready > 0));
}

#[tokio::test]
async fn a_producer_that_does_not_know_is_told_and_pushes_elsewhere() {
    let fixture = Fixture::new().await;
    let stale = fixture.other().await;
    stale.push(Raw::from("0")).await.unwrap();
    fixture.queue.set_partitions(8).await.unwrap();
    for number in 1..100 {
        stale.push(Raw(number.to_string().into())).await.unwrap();
    }
    let pushed = stale.push_all((100..200).map(|it: u32| Raw(it.to_string().into()))).await;
    assert_eq!(pushed.unwrap().len(), 100);
    let parts = laws(&fixture.queue).await;
    assert!(parts.iter().all(|counts| counts.ready > 0), "{parts:?}");
    assert_eq!(fixture.counts().await.ready, 200);
    assert_sound(&fixture).await;
}

#[tokio::test]
async fn a_registry_that_lost_its_entry_or_has_an_older_one_costs_nothing() {
    let fixture = partitioned(3).await;
    fixture.push_many(30).await;
    let name = fixture.queue.name().as_str();
    let entry = || fixture.redis::<Option<String>>(&["HGET", "rd:queues", name]);
    assert_eq!(entry().as_deref(), Some("3 2 1 1"));
    for lost in [None, Some("1 1"), Some("garbage"), Some("2 2 0")] {
        match lost {
            None => fixture.redis::<()>(&["HDEL", "rd:queues", name]),
            Some(older) => fixture.redis::<()>(&["HSET", "rd:queues", name, older]),
        }
        let other = fixture.other().await;
        assert_eq!(other.counts().await.unwrap().ready, 30);
        assert_eq!(entry().is_some(), lost.is_some(), "who only looks makes no entry");
        other.push(Message::new(Raw::from("once")).key("k")).await.unwrap();
        assert_eq!(entry().as_deref(), Some("3 2 1 1"), "{lost:?}");
        let id = other.push(Message::new(Raw::from("once")).key("k")).await.unwrap().id();
        assert_eq!(other.cancel(&[id]).await.unwrap(), [Cancelled::Done]);
    }
    assert_sound(&fixture).await;
}

#[tokio::test]
async fn a_change_that_broke_off_after_its_decision_holds_all_the_same() {
    let fixture = Fixture::new().await;
    let stale = fixture.other().await;
    stale.push(Raw::from("before")).await.unwrap();
    // Whoever changes it is killed before it could tell anybody else.
    script(&fixture, 0, "fence", &["1 4 1"]);
    stale.push(Raw::from("told")).await.unwrap();
    let fresh = fixture.other().await;
    fresh.push_all((0..98).map(|it: u32| Raw(it.to_string().into()))).await.unwrap();
    let parts = laws(&fresh).await;
    assert_eq!(parts.iter().map(|it| it.ready).sum::<u64>(), 100);
    assert!(parts.len() == 4 && parts.iter().all(|counts| counts.ready > 0));
    assert_eq!(fixture.queue.set_partitions(4).await.unwrap().count, 4);
    for partition in 0..4 {
        let routing: String =
            fixture.redis(&["HGET", &key(&fixture, partition, "meta"), "routing"]);
        assert_eq!(routing, "1 4 1");
    }
}

#[tokio::test]
async fn of_two_changes_at_once_both_are_made_and_one_holds_everywhere() {
    let fixture = Fixture::new().await;
    let mut changes = tokio::task::JoinSet::new();
    for count in 2..10 {
        let queue = fixture.other().await;
        changes.spawn(async move { queue.set_partitions(count).await.map(|_| count) });
    }
    let mut done = 0;
    while let Some(changed) = changes.join_next().await {
        match changed.unwrap() {
            Ok(_) => done += 1,
            Err(error) => assert!(matches!(error, Error::Unavailable { .. }), "{error}"),
        }
    }
    assert!(done > 0);
    let routings: Vec<String> = (0..10)
        .filter_map(|it| fixture.redis(&["HGET", &key(&fixture, it, "meta"), "routing"]))
        .collect();
    let count: u32 = routings[0].split(' ').nth(1).unwrap().parse().unwrap();
    let other = fixture.other().await;
    assert_eq!(other.partitions().await.unwrap().count, count);
    other.push_many_named(50).await;
    assert_sound(&fixture).await;
}

/// Pushes with keys, which need every earlier home to answer.
trait Named {
    async fn push_many_named(&self, count: u32);
}

impl Named for redeliver::Queue<Raw> {
    async fn push_many_named(&self, count: u32) {
        let messages = (0..count).map(|it| Message::new(Raw::from("x")).key(it.to_string()));
        let pushed = self.push_all(messages.collect::<Vec<_>>()).await.unwrap();
        assert!(pushed.iter().all(|pushed| matches!(pushed, Pushed::Ready(_))));
    }
}

#[tokio::test]
async fn a_new_partition_is_paused_and_capped_as_the_others_are() {
    let fixture = Fixture::new().await;
    let caps = Limits { max_ready: Some(10), max_bytes: Some(1 << 30) };
    fixture.queue.limit(caps).await.unwrap();
    fixture.queue.pause().await.unwrap();
    fixture.queue.set_partitions(4).await.unwrap();
    let parts = laws(&fixture.queue).await;
    assert!(parts.iter().all(|counts| counts.paused));
    assert_eq!(parts.iter().map(|it| it.max_ready.unwrap()).collect::<Vec<_>>(), [3, 3, 2, 2]);
    let counts = fixture.counts().await;
    assert_eq!(
        (counts.max_ready, counts.max_bytes, counts.paused),
        (Some(10), Some(1 << 30), true)
    );
    let mut pushed = 0;
    let refused = loop {
        match fixture.queue.push(Raw::from("x")).await {
            Ok(_) => pushed += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::Limited { cap: "max_ready", .. }) && pushed <= 10);
    let all = fixture.queue.push_all((0..50).map(|_| Raw::from("x"))).await.unwrap_err();
    assert!(matches!(all, Error::Limited { cap: "max_ready", .. }), "{all}");
    assert_eq!(fixture.queue.claim(10).await.unwrap().len(), 0);
    fixture.queue.resume().await.unwrap();
    assert!(!fixture.queue.claim(10).await.unwrap().is_empty());
    let lifted = Limits { max_ready: Some(0), max_bytes: Some(0) };
    assert_eq!(fixture.queue.limit(lifted).await.unwrap(), lifted);
    assert_sound(&fixture).await;
}

#[tokio::test]
async fn names_with_dots_stay_apart() {
    let fixture = partitioned(11).await;
    let name = fixture.queue.name().to_string();
    let server = fixture.queue.server();
    let dotted = server.queue::<Raw>(&format!("{name}.1")).unwrap();
    dotted.set_partitions(2).await.unwrap();
    fill(&fixture, 1, 5);
    fill(&fixture, 10, 5);
    assert_eq!(dotted.counts().await.unwrap().ready, 0);
    dotted.push_all((0..20).map(|_| Raw::from("x"))).await.unwrap();
    assert_eq!((dotted.counts().await.unwrap().ready, fixture.counts().await.ready), (20, 10));
    assert_eq!(dotted.destroy().await.unwrap(), 20);
    assert_eq!(fixture.counts().await.ready, 10);
}

#[tokio::test]
async fn raising_while_producers_push_loses_nothing() {
    const PRODUCERS: usize = 6;
    const EACH: usize = 150;
    let fixture = Fixture::new().await;
    let seen: Arc<Mutex<HashMap<MessageId, u32>>> = Arc::default();
    let mut workers = Vec::new();
    for _ in 0..2 {
        let seen = Arc::clone(&seen);
        let worker = telling(&fixture.other().await, move |id, _| {
            *seen.lock().unwrap().entry(id).or_default() += 1;
            std::future::ready(())
        });
        workers.push(Running::start(worker.concurrency(8)));
    }
    let mut producers = tokio::task::JoinSet::new();
    for producer in 0..PRODUCERS {
        let queue = fixture.other().await;
        producers.spawn(async move {
            let mut ids = Vec::new();
            for number in 0..EACH {
                let message = Message::new(Raw(format!("{producer}-{number}").into()));
                if number % 3 == 0 {
                    let later = message.delay(std::time::Duration::from_millis(20));
                    ids.extend(queue.push_all([later]).await.unwrap().iter().map(|it| it.id()));
                } else {
                    ids.push(queue.push(message).await.unwrap().id());
                }
            }
            ids
        });
    }
    for count in [2, 5, 3, 8, 1, 4] {
        fixture.queue.set_partitions(count).await.unwrap();
        laws(&fixture.queue).await;
        tokio::time::sleep(SECOND / 50).await;
    }
    let mut pushed = Vec::new();
    while let Some(ids) = producers.join_next().await {
        pushed.extend(ids.unwrap());
    }
    assert_eq!(pushed.len(), PRODUCERS * EACH);
    until(async || fixture.queue.counts().await.unwrap().messages == 0).await;
    for worker in workers {
        worker.stop().await;
    }
    let seen = seen.lock().unwrap().clone();
    assert!(pushed.iter().all(|id| seen.get(id) == Some(&1)), "each was handled once");
    assert_eq!(seen.len(), pushed.len());
    assert!(living(&fixture.queue).await.is_empty());
    assert_eq!(fixture.counts().await.acked, pushed.len() as u64);
    assert_sound(&fixture).await;
}
