use std::time::Duration;

use redeliver::{Counts, MessageId};

use crate::fixture::{Fixture, SECOND};

#[tokio::test]
async fn counts_of_a_queue_that_never_was_are_zero() {
    let fixture = Fixture::new().await;
    let earliest = fixture.now_us() / 1000;
    let counts = fixture.counts().await;
    assert!((earliest..=fixture.now_us() / 1000).contains(&counts.now_ms));
    let mut expected = Counts::default();
    (expected.now_ms, expected.partitions) = (counts.now_ms, 1);
    assert_eq!(counts, expected);
    assert!(fixture.dump().iter().all(Option::is_none));
    fixture.assert_law().await;
}

#[tokio::test]
async fn counts_tell_the_heads_of_all_states() {
    let fixture = Fixture::new().await;
    let placed = fixture.every_state().await;
    fixture.push("behind").await;
    let before = fixture.dump();
    let counts = fixture.counts().await;
    assert!(fixture.dump() == before);
    assert_eq!(counts.ready_head, Some(placed.ready));
    assert_eq!(counts.next_due_ms, fixture.time_of("scheduled", placed.scheduled));
    assert_eq!(counts.next_deadline_ms, fixture.time_of("pending", placed.pending));
    assert_eq!(counts.oldest_dead_ms, fixture.time_of("dead", placed.dead));
    assert_eq!((counts.messages, counts.outstanding()), (5, 4));
    assert!(!counts.paused && counts.law_holds());
    fixture.assert_law().await;
}

#[tokio::test]
async fn counts_follow_every_way_a_message_can_go() {
    let fixture = Fixture::new().await;
    let ids = fixture.push_many(8).await;
    let queue = &fixture.queue;
    let mut held = queue.claim(7).await.unwrap();
    let _acked = held.remove(0).ack().await.unwrap();
    let _retried = held.remove(0).retry_after(Duration::ZERO, "no").await.unwrap();
    let _released = held.remove(0).release(3600 * SECOND).await.unwrap();
    for _ in 0..3 {
        let _buried = held.remove(0).bury("hopeless").await.unwrap();
    }
    fixture.age("pending", ids[6], 3600 * SECOND);
    fixture.age("scheduled", ids[2], 7200 * SECOND);
    queue.redeliver(10).await.unwrap();
    queue.cancel(&ids[7..]).await.unwrap();
    queue.dead().redrive(&ids[3..4]).await.unwrap();
    queue.dead().purge(&ids[4..5]).await.unwrap();
    fixture.call::<[u64; 2]>("trim", &["10", "0", "0"]);
    let counts = fixture.counts().await;
    assert_eq!((counts.pushed, counts.acked, counts.retried), (8, 1, 1));
    assert_eq!((counts.released, counts.buried, counts.died), (1, 3, 0));
    assert_eq!((counts.promoted, counts.reclaimed, counts.ghosts), (1, 1, 0));
    assert_eq!((counts.cancelled, counts.redriven), (1, 1));
    assert_eq!((counts.purged, counts.trimmed), (1, 1));
    assert_eq!(fixture.states().await, [4, 0, 0, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn counts_read_damaged_counters_as_zero() {
    let fixture = Fixture::new().await;
    let id: MessageId = fixture.push("a").await;
    for damage in ["", "garbage", "1 2"] {
        fixture.redis::<()>(&["HSET", &fixture.key("meta"), "acked", damage]);
        let counts = fixture.counts().await;
        assert_eq!((counts.acked, counts.ready_head), (0, Some(id)), "{damage:?}");
    }
    fixture.redis::<()>(&["HDEL", &fixture.key("meta"), "acked"]);
    fixture.assert_law().await;
}
