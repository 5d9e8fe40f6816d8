use std::time::Duration;

use redeliver::Settled;

use crate::fixture::{Fixture, SECOND};

#[tokio::test]
async fn pause_hands_out_nothing_while_everything_else_goes_on() {
    let fixture = Fixture::new().await;
    let placed = fixture.every_state().await;
    fixture.queue.pause().await.unwrap();
    assert!(fixture.counts().await.paused);
    assert!(fixture.queue.claim(10).await.unwrap().is_empty());
    fixture.push("more").await;
    fixture.age("scheduled", placed.scheduled, 7200 * SECOND);
    assert_eq!(fixture.queue.redeliver(10).await.unwrap().promoted, 1);
    assert_eq!(placed.held.ack().await.unwrap(), Settled::Done);
    assert_eq!(fixture.queue.dead().redrive(&[placed.dead]).await.unwrap(), 1);
    assert!(fixture.queue.claim(10).await.unwrap().is_empty());
    assert_eq!(fixture.states().await, [4, 0, 0, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn pause_keeps_the_bell_silent() {
    let fixture = Fixture::new().await;
    let placed = fixture.every_state().await;
    fixture.queue.pause().await.unwrap();
    fixture.silence();
    fixture.push("more").await;
    let _released = placed.held.release(Duration::ZERO).await.unwrap();
    fixture.queue.dead().redrive(&[placed.dead]).await.unwrap();
    fixture.queue.redeliver(10).await.unwrap();
    fixture.queue.claim(1).await.unwrap();
    assert_eq!(fixture.len("bell"), 0);
    fixture.assert_law().await;
}

#[tokio::test]
async fn pause_twice_is_pause_once() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.call::<String>("pause", &[]), "paused");
    let before = fixture.dump();
    assert_eq!(fixture.call::<String>("pause", &[]), "paused");
    assert!(fixture.dump() == before);
    assert_eq!(fixture.states().await, [0; 4]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn pause_before_the_first_push_holds_for_it() {
    let fixture = Fixture::new().await;
    fixture.queue.pause().await.unwrap();
    fixture.push("a").await;
    assert!(fixture.queue.claim(1).await.unwrap().is_empty());
    fixture.queue.resume().await.unwrap();
    assert_eq!(fixture.claim().await.bytes(), b"a");
    fixture.assert_law().await;
}
