use redeliver::{Message, MessageId, Raw};

use crate::fixture::{Fixture, SECOND};

/// Far beyond every time of death.
const ALWAYS: &str = "9000000000000";

#[tokio::test]
async fn purge_removes_the_named_dead_letters_for_good() {
    let fixture = Fixture::new().await;
    let placed = fixture.every_state().await;
    let ids = [placed.dead, placed.ready, placed.scheduled, placed.pending, placed.dead];
    assert_eq!(fixture.queue.dead().purge(&ids).await.unwrap(), 1);
    assert_eq!(fixture.states().await, [1, 1, 1, 0]);
    assert_eq!(fixture.len("attempts"), 0);
    assert_eq!(fixture.counts().await.purged, 1);
    let found = fixture.queue.find(&[placed.dead]).await.unwrap();
    assert!(found[0].is_none());
    assert_eq!(fixture.queue.dead().purge(&ids).await.unwrap(), 0);
    assert_eq!(fixture.queue.dead().purge(&[]).await.unwrap(), 0);
    fixture.assert_law().await;
}

#[tokio::test]
async fn purge_of_the_oldest_is_bounded_by_limit_and_time_of_death() {
    let fixture = Fixture::new().await;
    let ids = fixture.fill_dead(5).await;
    for (id, age) in ids.iter().zip([5, 4, 3, 2, 1]) {
        fixture.age("dead", *id, age * SECOND);
    }
    let third = fixture.time_of("dead", ids[2]).unwrap();
    let dead = fixture.queue.dead();
    let swept = dead.purge_oldest(2, third).await.unwrap();
    assert_eq!((swept.done, swept.left), (2, 1));
    fixture.assert_law().await;
    let swept = dead.purge_oldest(1000, third).await.unwrap();
    assert_eq!((swept.done, swept.left), (1, 0));
    let left: Vec<_> = ids[3..].iter().map(MessageId::to_string).collect();
    assert_eq!(fixture.ids("dead"), left);
    let (third, fourth) = (third.to_string(), ids[3].to_string());
    let swept: [u64; 2] = fixture.call("purge", &["1", &third, &fourth]);
    assert_eq!(swept, [0, 0]);
    assert_eq!(fixture.states().await, [0, 0, 0, 2]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn purge_takes_attempt_line_and_key_along() {
    let fixture = Fixture::new().await;
    let message = Message::new(Raw::from("a")).key("k");
    let id = fixture.queue.push(message).await.unwrap().id();
    fixture.bury(id).await;
    assert_eq!((fixture.len("attempts"), fixture.len("keyed")), (1, 2));
    assert_eq!(fixture.queue.dead().purge(&[id]).await.unwrap(), 1);
    assert_eq!((fixture.len("attempts"), fixture.len("keyed")), (0, 0));
    fixture.assert_law().await;
}

#[tokio::test]
async fn purge_takes_1000_messages_and_refuses_more() {
    let fixture = Fixture::new().await;
    let ids = fixture.fill_dead(1001).await;
    let ids: Vec<_> = ids.iter().map(MessageId::to_string).collect();
    let mut argv = vec!["1000", ALWAYS];
    argv.extend(ids.iter().map(String::as_str));
    fixture.refused("purge", &argv, "BADARG");
    for bad in
        [["0", "1"], ["1001", "1"], ["-1", "1"], ["1.5", "1"], ["1", "-1"], ["1", "1e3"], ["1", ""]]
    {
        fixture.refused("purge", &bad, "BADARG");
    }
    fixture.refused("purge", &["1"], "BADARG");
    for limit in [0, 1001] {
        let refused = fixture.queue.dead().purge_oldest(limit, 1).await;
        assert!(refused.unwrap_err().is_invalid());
    }
    assert_eq!(fixture.call::<[u64; 2]>("purge", &argv[..1002]), [1000, 1]);
    fixture.assert_law().await;
    assert_eq!(fixture.call::<[u64; 2]>("purge", &["1000", ALWAYS]), [1, 0]);
    assert_eq!(fixture.states().await, [0; 4]);
    fixture.assert_law().await;
}
