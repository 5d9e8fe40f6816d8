use std::time::Duration;

use redeliver::{Message, MessageId, Raw, Retried, Settled};

use crate::fixture::{Fixture, SECOND};

/// Far beyond every time of death.
const ALWAYS: &str = "9000000000000";

/// As many dead letters, each one second older than the next.
async fn bury(fixture: &Fixture, count: u32) -> Vec<MessageId> {
    let mut ids = Vec::new();
    for number in 0..count {
        let id = fixture.push("a").await;
        fixture.bury(id).await;
        fixture.age("dead", id, (count - number) * SECOND);
        ids.push(id);
    }
    ids
}

#[tokio::test]
async fn redrive_puts_the_named_at_the_tail_of_ready() {
    let fixture = Fixture::new().await;
    let dead = bury(&fixture, 3).await;
    let ready = fixture.push("b").await;
    let asked = [dead[2], ready, MessageId::generate(), dead[0], dead[2]];
    assert_eq!(fixture.queue.dead().redrive(&asked).await.unwrap(), 2);
    let order = [ready, dead[2], dead[0]].map(|id| id.to_string());
    assert_eq!(fixture.ids("ready"), order);
    assert_eq!(fixture.states().await, [3, 0, 0, 1]);
    assert_eq!(fixture.counts().await.redriven, 2);
    assert_eq!(fixture.queue.dead().redrive(&[]).await.unwrap(), 0);
    fixture.assert_law().await;
}

#[tokio::test]
async fn redrive_sets_the_failures_to_zero_and_keeps_attempt_and_history() {
    let fixture = Fixture::new().await;
    let id = fixture.push("a").await;
    for expected in 1..=3 {
        let delivery = fixture.claim().await;
        assert_eq!(delivery.failures() + 1, expected);
        let _retried = delivery.retry_after(Duration::ZERO, "no").await.unwrap();
    }
    assert_eq!(fixture.queue.dead().redrive(&[id]).await.unwrap(), 1);
    let delivery = fixture.claim().await;
    assert_eq!((delivery.attempt(), delivery.failures()), (4, 0));
    assert_eq!(delivery.history().len(), 3);
    let retried = delivery.retry_after(Duration::ZERO, "no").await.unwrap();
    assert_eq!(retried, Retried::After(Duration::ZERO));
    fixture.assert_law().await;
}

#[tokio::test]
async fn redrive_of_the_oldest_is_bounded_by_limit_and_time_of_death() {
    let fixture = Fixture::new().await;
    let ids = bury(&fixture, 5).await;
    let third = fixture.time_of("dead", ids[2]).unwrap();
    let dead = fixture.queue.dead();
    let swept = dead.redrive_oldest(2, third).await.unwrap();
    assert_eq!((swept.done, swept.left), (2, 1));
    let swept = dead.redrive_oldest(1000, third).await.unwrap();
    assert_eq!((swept.done, swept.left), (1, 0));
    let order: Vec<_> = ids[..3].iter().map(MessageId::to_string).collect();
    assert_eq!(fixture.ids("ready"), order);
    // Named ones are held to the same bound.
    let (third, fourth) = (third.to_string(), ids[3].to_string());
    let swept: [u64; 2] = fixture.call("redrive", &["1", &third, &fourth]);
    assert_eq!(swept, [0, 0]);
    assert_eq!(fixture.states().await, [3, 0, 0, 2]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn redrive_rings_the_bell_when_it_brings_something_back() {
    let fixture = Fixture::new().await;
    let ids = bury(&fixture, 1).await;
    fixture.silence();
    assert_eq!(fixture.call::<[u64; 2]>("redrive", &["10", "0"]), [0, 0]);
    assert_eq!(fixture.len("bell"), 0);
    assert_eq!(fixture.queue.dead().redrive(&ids).await.unwrap(), 1);
    assert_eq!(fixture.len("bell"), 1);
    assert_eq!(fixture.claim().await.ack().await.unwrap(), Settled::Done);
    fixture.assert_law().await;
}

#[tokio::test]
async fn redrive_keeps_the_key_of_a_message_taken() {
    let fixture = Fixture::new().await;
    let message = || Message::new(Raw::from("a")).key("k");
    let id = fixture.queue.push(message()).await.unwrap().id();
    fixture.bury(id).await;
    assert_eq!(fixture.queue.dead().redrive(&[id]).await.unwrap(), 1);
    assert_eq!(fixture.queue.push(message()).await.unwrap().id(), id);
    fixture.assert_law().await;
}

#[tokio::test]
async fn redrive_takes_1000_messages_and_refuses_more() {
    let fixture = Fixture::new().await;
    let ids = fixture.fill_dead(1001).await;
    let ids: Vec<_> = ids.iter().map(MessageId::to_string).collect();
    let mut argv = vec!["1000", ALWAYS];
    argv.extend(ids.iter().map(String::as_str));
    fixture.refused("redrive", &argv, "BADARG");
    for bad in
        [["0", "1"], ["1001", "1"], ["-1", "1"], ["1.5", "1"], ["1", "-1"], ["1", "1e3"], ["1", ""]]
    {
        fixture.refused("redrive", &bad, "BADARG");
    }
    fixture.refused("redrive", &["1"], "BADARG");
    for limit in [0, 1001] {
        let refused = fixture.queue.dead().redrive_oldest(limit, 1).await;
        assert!(refused.unwrap_err().is_invalid());
    }
    assert_eq!(fixture.call::<[u64; 2]>("redrive", &argv[..1002]), [1000, 1]);
    fixture.assert_law().await;
    assert_eq!(fixture.call::<[u64; 2]>("redrive", &["1000", ALWAYS]), [1, 0]);
    assert_eq!(fixture.states().await, [1001, 0, 0, 0]);
    fixture.assert_law().await;
}
