use std::time::Duration;

use redeliver::{Message, Raw, Settled};

use crate::fixture::Fixture;
use crate::receipts::{self, Verb};

#[tokio::test]
async fn ack_removes_every_trace_of_the_message() {
    let fixture = Fixture::new().await;
    let message = Message::new(Raw::from("a")).key("k");
    fixture.queue.push(message).await.unwrap();
    let released = fixture.claim().await.release(Duration::ZERO).await;
    assert_eq!(released.unwrap(), Settled::Done);
    assert_eq!((fixture.len("attempts"), fixture.len("keyed")), (1, 2));
    let delivery = fixture.claim().await;
    assert_eq!((delivery.bytes(), delivery.attempt()), (&b"a"[..], 2));
    assert_eq!(fixture.states().await, [0, 0, 1, 0]);
    assert_eq!(delivery.ack().await.unwrap(), Settled::Done);
    assert_eq!(fixture.states().await, [0, 0, 0, 0]);
    assert_eq!((fixture.len("attempts"), fixture.len("keyed")), (0, 0));
    assert_eq!(fixture.counts().await.acked, 1);
    fixture.assert_law().await;
}

#[tokio::test]
async fn ack_leaves_the_other_messages_alone() {
    let fixture = Fixture::new().await;
    let placed = fixture.every_state().await;
    assert_eq!(placed.held.ack().await.unwrap(), Settled::Done);
    assert_eq!(fixture.states().await, [1, 1, 0, 1]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn ack_gives_each_of_many_tasks_its_own_outcome() {
    let fixture = Fixture::new().await;
    let ids = fixture.push_many(100).await;
    let held = fixture.queue.claim(100).await.unwrap();
    let cancelled: Vec<_> = ids.iter().copied().step_by(2).collect();
    fixture.queue.cancel(&cancelled).await.unwrap();
    let mut acks = tokio::task::JoinSet::new();
    for delivery in held {
        acks.spawn(async move { (delivery.id(), delivery.ack().await.unwrap()) });
    }
    for (id, settled) in acks.join_all().await {
        let lost = cancelled.contains(&id);
        assert_eq!(settled, if lost { Settled::Lost } else { Settled::Done });
    }
    assert_eq!(fixture.counts().await.acked, 50);
    assert_eq!(fixture.states().await, [0; 4]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn ack_is_lost_when_settled_before() {
    receipts::lost_when_settled_before(Verb::Ack).await;
}

#[tokio::test]
async fn ack_is_lost_after_redelivery() {
    receipts::lost_after_redelivery(Verb::Ack).await;
}

#[tokio::test]
async fn ack_is_lost_after_release() {
    receipts::lost_after_release(Verb::Ack).await;
}

#[tokio::test]
async fn ack_is_lost_after_redrive() {
    receipts::lost_after_redrive(Verb::Ack).await;
}

#[tokio::test]
async fn ack_is_lost_for_a_later_message_of_the_same_key() {
    receipts::lost_for_a_later_message_of_the_same_key(Verb::Ack).await;
}

#[tokio::test]
async fn ack_settles_once_when_a_batch_names_a_receipt_twice() {
    receipts::settles_once_when_a_batch_names_a_receipt_twice(Verb::Ack).await;
}

#[tokio::test]
async fn ack_holds_between_the_deadline_and_the_reclaim() {
    receipts::holds_between_the_deadline_and_the_reclaim(Verb::Ack).await;
}

#[tokio::test]
async fn ack_is_lost_when_cancelled_meanwhile() {
    receipts::lost_when_cancelled_meanwhile(Verb::Ack).await;
}

#[tokio::test]
async fn ack_takes_1000_receipts_and_refuses_more() {
    receipts::bounded(Verb::Ack).await;
}
