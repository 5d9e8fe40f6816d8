use std::time::Duration;

use redeliver::{MessageId, Settled};

use crate::fixture::{Fixture, SECOND};
use crate::receipts::{self, Verb};

#[tokio::test]
async fn release_puts_the_message_at_the_head_of_ready_and_spends_no_failure() {
    let fixture = Fixture::new().await;
    let ids = fixture.push_many(3).await;
    for attempt in 1..=5 {
        let delivery = fixture.claim().await;
        assert_eq!((delivery.id(), delivery.attempt()), (ids[0], attempt));
        assert_eq!(delivery.failures(), 0);
        assert_eq!(delivery.release(Duration::ZERO).await.unwrap(), Settled::Done);
        fixture.assert_law().await;
    }
    assert_eq!(fixture.states().await, [3, 0, 0, 0]);
    assert_eq!(fixture.counts().await.released, 5);
}

#[tokio::test]
async fn release_schedules_the_message_with_a_delay() {
    let fixture = Fixture::new().await;
    let id = fixture.push("a").await;
    let delivery = fixture.claim().await;
    let earliest = fixture.now_us() / 1000;
    assert_eq!(delivery.release(60 * SECOND).await.unwrap(), Settled::Done);
    let latest = fixture.now_us() / 1000;
    let due = fixture.time_of("scheduled", id).unwrap();
    assert!((earliest + 60_000..=latest + 60_000).contains(&due), "{due}");
    assert_eq!(fixture.states().await, [0, 1, 0, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn release_keeps_the_order_of_its_batch_at_the_head() {
    let fixture = Fixture::new().await;
    let ids = fixture.push_many(4).await;
    let ids: Vec<_> = ids.iter().map(MessageId::to_string).collect();
    let _held = fixture.queue.claim(3).await.unwrap();
    let items = ids[..3].iter().map(|id| [id.as_str(), "1", "1 0 3", "0"]);
    let argv: Vec<_> = items.flatten().collect();
    let outcomes: Vec<String> = fixture.call("release", &argv);
    assert_eq!(outcomes, ["ready", "ready", "ready"]);
    assert_eq!(fixture.ids("ready"), ids);
    fixture.assert_law().await;
}

#[tokio::test]
async fn release_keeps_failures_and_history() {
    let fixture = Fixture::new().await;
    fixture.push("a").await;
    let _retried = fixture.claim().await.retry_after(Duration::ZERO, "one").await.unwrap();
    assert_eq!(fixture.claim().await.release(Duration::ZERO).await.unwrap(), Settled::Done);
    let delivery = fixture.claim().await;
    assert_eq!((delivery.attempt(), delivery.failures()), (3, 1));
    assert_eq!(delivery.history()[0].error, "one");
    fixture.assert_law().await;
}

#[tokio::test]
async fn release_rings_the_bell_for_ready_and_the_alarm_for_an_earlier_time() {
    let fixture = Fixture::new().await;
    fixture.push_many(3).await;
    let mut held = fixture.queue.claim(3).await.unwrap();
    let rung = || {
        let rung = (fixture.len("bell"), fixture.len("alarm"));
        fixture.silence();
        rung
    };
    rung();
    for (delay, expected) in [(60, (0, 0)), (1, (0, 1)), (0, (1, 0))] {
        let settled = held.remove(0).release(delay * SECOND).await.unwrap();
        assert_eq!((settled, rung()), (Settled::Done, expected));
    }
    fixture.assert_law().await;
}

#[tokio::test]
async fn release_refuses_a_delay_above_ten_years() {
    let fixture = Fixture::new().await;
    fixture.push("a").await;
    let above = redeliver::MAX_DELAY + Duration::from_millis(1);
    assert!(fixture.claim().await.release(above).await.unwrap_err().is_invalid());
    assert_eq!(fixture.states().await, [0, 0, 1, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn release_is_lost_when_settled_before() {
    receipts::lost_when_settled_before(Verb::Release).await;
}

#[tokio::test]
async fn release_is_lost_after_redelivery() {
    receipts::lost_after_redelivery(Verb::Release).await;
}

#[tokio::test]
async fn release_is_lost_after_release() {
    receipts::lost_after_release(Verb::Release).await;
}

#[tokio::test]
async fn release_is_lost_after_redrive() {
    receipts::lost_after_redrive(Verb::Release).await;
}

#[tokio::test]
async fn release_is_lost_for_a_later_message_of_the_same_key() {
    receipts::lost_for_a_later_message_of_the_same_key(Verb::Release).await;
}

#[tokio::test]
async fn release_settles_once_when_a_batch_names_a_receipt_twice() {
    receipts::settles_once_when_a_batch_names_a_receipt_twice(Verb::Release).await;
}

#[tokio::test]
async fn release_holds_between_the_deadline_and_the_reclaim() {
    receipts::holds_between_the_deadline_and_the_reclaim(Verb::Release).await;
}

#[tokio::test]
async fn release_is_lost_when_cancelled_meanwhile() {
    receipts::lost_when_cancelled_meanwhile(Verb::Release).await;
}

#[tokio::test]
async fn release_takes_1000_receipts_and_refuses_more() {
    receipts::bounded(Verb::Release).await;
}

#[tokio::test]
async fn release_refuses_a_line_that_does_not_fit() {
    receipts::refuses_a_line_that_does_not_fit(Verb::Release).await;
}

#[tokio::test]
async fn release_refuses_other_forms_of_time() {
    receipts::refuses_other_forms_of_time(Verb::Release).await;
}

#[tokio::test]
async fn release_rings_the_alarm_for_the_earliest_of_its_batch() {
    receipts::rings_for_the_earliest_of_its_batch(Verb::Release).await;
}
