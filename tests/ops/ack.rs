use redeliver::{Retried, Settled};

use crate::fixture::{Fixture, SECOND};

#[tokio::test]
async fn ack_removes_the_message_once() {
    let fixture = Fixture::new().await;
    fixture.push("a").await;
    let mut claimed = fixture.queue.claim(10).await.unwrap();
    let delivery = claimed.pop().unwrap();
    assert_eq!(delivery.bytes(), b"a");
    assert_eq!(fixture.states().await, [0, 0, 1, 0]);
    assert_eq!(delivery.ack().await.unwrap(), Settled::Done);
    assert_eq!(fixture.states().await, [0, 0, 0, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn ack_reports_lost_after_the_message_was_redelivered() {
    let fixture = Fixture::new().await;
    let id = fixture.push("a").await;
    let stale = fixture.queue.claim(1).await.unwrap().remove(0);
    fixture.age("pending", id, 60 * SECOND);
    let moved = fixture.queue.redeliver(10).await.unwrap();
    assert_eq!((moved.reclaimed, moved.promoted, moved.died), (1, 0, 0));
    let fresh = fixture.queue.claim(1).await.unwrap().remove(0);
    assert_eq!(fresh.attempt(), 2);
    assert_eq!(stale.ack().await.unwrap(), Settled::Lost);
    assert!(matches!(
        fresh.retry("no").await.unwrap(),
        Retried::After(_)
    ));
    fixture.assert_law().await;
}
