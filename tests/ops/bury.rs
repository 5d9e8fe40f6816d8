use redeliver::Settled;

use crate::fixture::Fixture;
use crate::receipts::{self, Verb};

#[tokio::test]
async fn bury_moves_the_message_to_the_dead_letters_at_once() {
    let fixture = Fixture::new().await;
    let id = fixture.push("a").await;
    let delivery = fixture.claim().await;
    let earliest = fixture.now_us() / 1000;
    assert_eq!(delivery.bury("hopeless").await.unwrap(), Settled::Done);
    let died = fixture.time_of("dead", id).unwrap();
    assert!((earliest..=fixture.now_us() / 1000).contains(&died));
    assert_eq!(fixture.states().await, [0, 0, 0, 1]);
    let found = fixture.queue.find(&[id]).await.unwrap().remove(0).unwrap();
    assert_eq!((found.attempt, found.failures), (2, 1));
    assert_eq!(found.history[0].error, "hopeless");
    let counts = fixture.counts().await;
    assert_eq!((counts.buried, counts.died), (1, 0));
    fixture.assert_law().await;
}

#[tokio::test]
async fn bury_keeps_the_dead_in_the_order_of_their_death() {
    let fixture = Fixture::new().await;
    let ids = fixture.push_many(3).await;
    for (age, id) in [(3, ids[0]), (1, ids[1]), (2, ids[2])] {
        fixture.bury(id).await;
        fixture.age("dead", id, age * crate::fixture::SECOND);
    }
    let order = [ids[0], ids[2], ids[1]].map(|id| id.to_string());
    assert_eq!(fixture.ids("dead"), order);
    fixture.assert_law().await;
}

#[tokio::test]
async fn bury_is_lost_when_settled_before() {
    receipts::lost_when_settled_before(Verb::Bury).await;
}

#[tokio::test]
async fn bury_is_lost_after_redelivery() {
    receipts::lost_after_redelivery(Verb::Bury).await;
}

#[tokio::test]
async fn bury_is_lost_after_release() {
    receipts::lost_after_release(Verb::Bury).await;
}

#[tokio::test]
async fn bury_is_lost_after_redrive() {
    receipts::lost_after_redrive(Verb::Bury).await;
}

#[tokio::test]
async fn bury_is_lost_for_a_later_message_of_the_same_key() {
    receipts::lost_for_a_later_message_of_the_same_key(Verb::Bury).await;
}

#[tokio::test]
async fn bury_settles_once_when_a_batch_names_a_receipt_twice() {
    receipts::settles_once_when_a_batch_names_a_receipt_twice(Verb::Bury).await;
}

#[tokio::test]
async fn bury_holds_between_the_deadline_and_the_reclaim() {
    receipts::holds_between_the_deadline_and_the_reclaim(Verb::Bury).await;
}

#[tokio::test]
async fn bury_is_lost_when_cancelled_meanwhile() {
    receipts::lost_when_cancelled_meanwhile(Verb::Bury).await;
}

#[tokio::test]
async fn bury_takes_1000_receipts_and_refuses_more() {
    receipts::bounded(Verb::Bury).await;
}

#[tokio::test]
async fn bury_refuses_a_line_that_does_not_fit() {
    receipts::refuses_a_line_that_does_not_fit(Verb::Bury).await;
}
