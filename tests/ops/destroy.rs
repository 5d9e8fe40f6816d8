use redeliver::{Message, Raw, Settled};

use crate::fixture::{Fixture, KEYS, SECOND};
use crate::verbs::busy;

#[tokio::test]
async fn destroy_removes_all_ten_keys_and_says_how_many_messages_went() {
    let fixture = Fixture::new().await;
    let placed = fixture.every_state().await;
    let soon = Message::new(Raw::from("a")).key("k").delay(SECOND);
    fixture.queue.push(soon).await.unwrap();
    assert!(fixture.dump().iter().all(Option::is_some));
    assert_eq!(fixture.queue.destroy().await.unwrap(), 5);
    assert!(fixture.dump().iter().all(Option::is_none));
    assert_eq!(placed.held.ack().await.unwrap(), Settled::Lost);
    assert!(fixture.dump().iter().all(Option::is_none));
    assert_eq!(fixture.states().await, [0; 4]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn destroy_of_nothing_is_nothing() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.queue.destroy().await.unwrap(), 0);
    assert_eq!(fixture.call::<u64>("destroy", &[]), 0);
    fixture.assert_law().await;
}

#[tokio::test]
async fn destroy_leaves_a_queue_that_can_be_pushed_to_again() {
    let fixture = Fixture::new().await;
    let message = || Message::new(Raw::from("a")).key("k");
    fixture.queue.push(message()).await.unwrap();
    fixture.queue.pause().await.unwrap();
    let server = fixture.queue.server().clone();
    assert_eq!(fixture.queue.destroy().await.unwrap(), 1);
    assert!(!server.queues().await.unwrap().contains(fixture.queue.name()));
    fixture.queue.push(message()).await.unwrap();
    assert!(server.queues().await.unwrap().contains(fixture.queue.name()));
    assert_eq!(fixture.claim().await.bytes(), b"a");
    assert_eq!(fixture.counts().await.pushed, 1);
    fixture.assert_law().await;
}

#[tokio::test]
async fn destroy_removes_a_damaged_queue_too() {
    for key in KEYS {
        let fixture = Fixture::new().await;
        let _placed = busy(&fixture).await;
        let damaged = fixture.key(key);
        fixture.redis::<()>(&["DEL", &damaged]);
        fixture.redis::<()>(&["SET", &damaged, "damage"]);
        let told = if key == "messages" { 0 } else { 5 };
        assert_eq!(fixture.queue.destroy().await.unwrap(), told, "{key}");
        assert!(fixture.dump().iter().all(Option::is_none), "{key}");
        assert_eq!(fixture.states().await, [0; 4]);
    }
}
