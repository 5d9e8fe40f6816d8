use std::time::Duration;

use redeliver::{MAX_LEASE, Settled};

use crate::fixture::{Fixture, SECOND};
use crate::receipts::{self, Verb};

#[tokio::test]
async fn extend_moves_the_deadline_and_keeps_the_receipt() {
    let fixture = Fixture::new().await;
    let id = fixture.push("a").await;
    let delivery = fixture.claim().await;
    let earliest = fixture.now_us() / 1000;
    assert_eq!(delivery.extend(3600 * SECOND).await.unwrap(), Settled::Done);
    let latest = fixture.now_us() / 1000;
    let deadline = fixture.time_of("pending", id).unwrap();
    assert!((earliest + 3_600_000..=latest + 3_600_000).contains(&deadline));
    assert_eq!(fixture.states().await, [0, 0, 1, 0]);
    assert_eq!(delivery.ack().await.unwrap(), Settled::Done);
    fixture.assert_law().await;
}

#[tokio::test]
async fn extend_never_sets_an_earlier_deadline() {
    let fixture = Fixture::new().await;
    let id = fixture.push("a").await;
    let delivery = fixture.claim().await;
    assert_eq!(delivery.extend(3600 * SECOND).await.unwrap(), Settled::Done);
    let before = fixture.time_of("pending", id);
    assert_eq!(delivery.extend(SECOND).await.unwrap(), Settled::Done);
    assert_eq!(fixture.time_of("pending", id), before);
    fixture.assert_law().await;
}

#[tokio::test]
async fn extend_saves_an_overdue_message_from_the_reclaim() {
    let fixture = Fixture::new().await;
    let id = fixture.push("a").await;
    let delivery = fixture.claim().await;
    fixture.age("pending", id, 3600 * SECOND);
    assert_eq!(delivery.extend(60 * SECOND).await.unwrap(), Settled::Done);
    assert_eq!(fixture.queue.redeliver(10).await.unwrap().reclaimed, 0);
    assert_eq!(delivery.ack().await.unwrap(), Settled::Done);
    fixture.assert_law().await;
}

#[tokio::test]
async fn extend_gives_each_item_its_own_lease() {
    let fixture = Fixture::new().await;
    let ids = fixture.push_many(3).await;
    let _held = fixture.queue.claim(3).await.unwrap();
    let [a, b, c] = [0, 1, 2].map(|index: usize| ids[index].to_string());
    let argv = [a.as_str(), "1", "3600000", &b, "1", "3630000", &c, "1", "3600000"];
    let outcomes: Vec<String> = fixture.call("extend", &argv);
    assert_eq!(outcomes, ["extended"; 3]);
    let at = |index: usize| fixture.time_of("pending", ids[index]).unwrap();
    assert_eq!((at(1) - at(0), at(2)), (30_000, at(0)));
    fixture.assert_law().await;
}

#[tokio::test]
async fn extend_refuses_a_lease_of_nothing_or_above_twelve_hours() {
    let fixture = Fixture::new().await;
    let id = fixture.push("a").await.to_string();
    let delivery = fixture.claim().await;
    fixture.refused("extend", &[&id, "1", "0"], "BADARG");
    let before = fixture.dump();
    for lease in [Duration::ZERO, MAX_LEASE + Duration::from_millis(1)] {
        assert!(delivery.extend(lease).await.unwrap_err().is_invalid());
    }
    assert!(fixture.dump() == before);
    assert_eq!(delivery.extend(MAX_LEASE).await.unwrap(), Settled::Done);
    fixture.assert_law().await;
}

#[tokio::test]
async fn extend_is_lost_when_settled_before() {
    receipts::lost_when_settled_before(Verb::Extend).await;
}

#[tokio::test]
async fn extend_is_lost_after_redelivery() {
    receipts::lost_after_redelivery(Verb::Extend).await;
}

#[tokio::test]
async fn extend_is_lost_after_release() {
    receipts::lost_after_release(Verb::Extend).await;
}

#[tokio::test]
async fn extend_is_lost_after_redrive() {
    receipts::lost_after_redrive(Verb::Extend).await;
}

#[tokio::test]
async fn extend_is_lost_for_a_later_message_of_the_same_key() {
    receipts::lost_for_a_later_message_of_the_same_key(Verb::Extend).await;
}

#[tokio::test]
async fn extend_settles_once_when_a_batch_names_a_receipt_twice() {
    receipts::settles_once_when_a_batch_names_a_receipt_twice(Verb::Extend).await;
}

#[tokio::test]
async fn extend_holds_between_the_deadline_and_the_reclaim() {
    receipts::holds_between_the_deadline_and_the_reclaim(Verb::Extend).await;
}

#[tokio::test]
async fn extend_is_lost_when_cancelled_meanwhile() {
    receipts::lost_when_cancelled_meanwhile(Verb::Extend).await;
}

#[tokio::test]
async fn extend_takes_1000_receipts_and_refuses_more() {
    receipts::bounded(Verb::Extend).await;
}

#[tokio::test]
async fn extend_refuses_other_forms_of_time() {
    receipts::refuses_other_forms_of_time(Verb::Extend).await;
}
