use std::time::Duration;

use redeliver::{Backoff, Message, Policy, Raw, Retried, Retry};

use crate::fixture::{Fixture, SECOND, shared};
use crate::receipts::{self, Verb};

#[tokio::test]
async fn retry_schedules_the_message_after_the_given_delay() {
    let fixture = Fixture::new().await;
    let id = fixture.push("a").await;
    let delivery = fixture.claim().await;
    let earliest = fixture.now_us() / 1000;
    let retried = delivery.retry_after(60 * SECOND, "no").await.unwrap();
    let latest = fixture.now_us() / 1000;
    assert_eq!(retried, Retried::After(60 * SECOND));
    assert_eq!(fixture.states().await, [0, 1, 0, 0]);
    let due = fixture.time_of("scheduled", id).unwrap();
    assert!((earliest + 60_000..=latest + 60_000).contains(&due), "{due}");
    assert_eq!(fixture.counts().await.retried, 1);
    fixture.assert_law().await;
}

#[tokio::test]
async fn retry_puts_the_message_at_the_tail_of_ready_without_a_delay() {
    let fixture = Fixture::new().await;
    let ids = fixture.push_many(3).await;
    let retried = fixture.claim().await.retry_after(Duration::ZERO, "no").await.unwrap();
    assert_eq!(retried, Retried::After(Duration::ZERO));
    let order = [ids[1], ids[2], ids[0]].map(|id| id.to_string());
    assert_eq!(fixture.ids("ready"), order);
    assert_eq!(fixture.states().await, [3, 0, 0, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn retry_buries_after_the_last_failure() {
    let fixture = Fixture::new().await;
    let id = fixture.push("a").await;
    for failures in 0..3 {
        let delivery = fixture.claim().await;
        assert_eq!((delivery.failures(), delivery.attempt()), (failures, failures + 1));
        let retried = delivery.retry_after(Duration::ZERO, "no").await.unwrap();
        let dead = failures == 2;
        assert_eq!(retried == Retried::Dead, dead, "{retried:?}");
        fixture.assert_law().await;
    }
    assert_eq!(fixture.states().await, [0, 0, 0, 1]);
    assert_eq!(fixture.ids("dead"), [id.to_string()]);
    let counts = fixture.counts().await;
    assert_eq!((counts.retried, counts.died, counts.buried), (2, 1, 0));
}

#[tokio::test]
async fn retry_never_buries_a_message_without_a_limit() {
    let fixture = Fixture::on(shared(), Policy::default().max_attempts(0)).await;
    fixture.push("a").await;
    for _ in 0..20 {
        let retried = fixture.claim().await.retry_after(Duration::ZERO, "no").await.unwrap();
        assert_eq!(retried, Retried::After(Duration::ZERO));
    }
    assert_eq!(fixture.claim().await.failures(), 20);
    assert_eq!(fixture.counts().await.died, 0);
    fixture.assert_law().await;
}

#[tokio::test]
async fn retry_follows_the_limit_and_backoff_of_the_message_before_those_of_the_queue() {
    let fixture = Fixture::new().await;
    let retry = Backoff::list([7 * SECOND, 8 * SECOND]).max_attempts(2);
    fixture.queue.push(Message::new(Raw::from("a")).retry(retry)).await.unwrap();
    let retried = fixture.claim().await.retry("one").await.unwrap();
    assert_eq!(retried, Retried::After(7 * SECOND));
    fixture.age("scheduled", fixture.ids("scheduled")[0].parse().unwrap(), 8 * SECOND);
    fixture.queue.redeliver(10).await.unwrap();
    assert_eq!(fixture.claim().await.retry("two").await.unwrap(), Retried::Dead);
    let once = Message::new(Raw::from("b")).retry(Retry::max_attempts(1));
    fixture.queue.push(once).await.unwrap();
    assert_eq!(fixture.claim().await.retry("one").await.unwrap(), Retried::Dead);
    fixture.assert_law().await;
}

#[tokio::test]
async fn retry_keeps_the_history_newest_first() {
    let fixture = Fixture::new().await;
    let id = fixture.push("a").await;
    for error in ["one", "two"] {
        let begun = fixture.now_us() / 1000;
        let delivery = fixture.claim().await;
        let retried = delivery.retry_after(Duration::ZERO, error).await.unwrap();
        assert_eq!(retried, Retried::After(Duration::ZERO));
        let found = fixture.queue.find(&[id]).await.unwrap().remove(0).unwrap();
        assert!(found.history[0].at_ms >= begun);
    }
    let delivery = fixture.claim().await;
    let told: Vec<_> = delivery
        .history()
        .iter()
        .map(|failure| (failure.attempt, failure.error.as_str()))
        .collect();
    assert_eq!(told, [(2, "two"), (1, "one")]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn retry_rings_the_bell_for_ready_and_the_alarm_for_an_earlier_time() {
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
        let retried = held.remove(0).retry_after(delay * SECOND, "no").await;
        assert_eq!(retried.unwrap(), Retried::After(delay * SECOND));
        assert_eq!(rung(), expected);
    }
    fixture.assert_law().await;
}

#[tokio::test]
async fn retry_refuses_a_delay_above_ten_years() {
    let fixture = Fixture::new().await;
    fixture.push_many(2).await;
    let (one, two) = (fixture.claim().await, fixture.claim().await);
    assert!(one.retry_after(redeliver::MAX_DELAY, "no").await.is_ok());
    let above = redeliver::MAX_DELAY + Duration::from_millis(1);
    assert!(two.retry_after(above, "no").await.unwrap_err().is_invalid());
    assert_eq!(fixture.states().await, [0, 1, 1, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn retry_is_lost_when_settled_before() {
    receipts::lost_when_settled_before(Verb::Retry).await;
}

#[tokio::test]
async fn retry_is_lost_after_redelivery() {
    receipts::lost_after_redelivery(Verb::Retry).await;
}

#[tokio::test]
async fn retry_is_lost_after_release() {
    receipts::lost_after_release(Verb::Retry).await;
}

#[tokio::test]
async fn retry_is_lost_after_redrive() {
    receipts::lost_after_redrive(Verb::Retry).await;
}

#[tokio::test]
async fn retry_is_lost_for_a_later_message_of_the_same_key() {
    receipts::lost_for_a_later_message_of_the_same_key(Verb::Retry).await;
}

#[tokio::test]
async fn retry_settles_once_when_a_batch_names_a_receipt_twice() {
    receipts::settles_once_when_a_batch_names_a_receipt_twice(Verb::Retry).await;
}

#[tokio::test]
async fn retry_holds_between_the_deadline_and_the_reclaim() {
    receipts::holds_between_the_deadline_and_the_reclaim(Verb::Retry).await;
}

#[tokio::test]
async fn retry_is_lost_when_cancelled_meanwhile() {
    receipts::lost_when_cancelled_meanwhile(Verb::Retry).await;
}

#[tokio::test]
async fn retry_takes_1000_receipts_and_refuses_more() {
    receipts::bounded(Verb::Retry).await;
}

#[tokio::test]
async fn retry_refuses_a_line_that_does_not_fit() {
    receipts::refuses_a_line_that_does_not_fit(Verb::Retry).await;
}

#[tokio::test]
async fn retry_refuses_other_forms_of_time() {
    receipts::refuses_other_forms_of_time(Verb::Retry).await;
}

#[tokio::test]
async fn retry_rings_the_alarm_for_the_earliest_of_its_batch() {
    receipts::rings_for_the_earliest_of_its_batch(Verb::Retry).await;
}
