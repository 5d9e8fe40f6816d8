use std::time::Duration;

use redeliver::{MessageId, Settled, Snapshot, State};

use crate::fixture::{Fixture, SECOND};

async fn seen(fixture: &Fixture, id: MessageId) -> Snapshot {
    fixture.queue.find(&[id]).await.unwrap().remove(0).unwrap()
}

#[tokio::test]
async fn a_held_message_is_released_by_the_attempt_that_was_seen_and_no_later_one() {
    let fixture = Fixture::new().await;
    let id = fixture.push("x").await;
    let first = fixture.claim().await;
    let held = seen(&fixture, id).await;
    assert_eq!((held.state, held.attempt), (State::Pending, 1));
    assert_eq!(fixture.queue.release_held(&held, Duration::ZERO).await.unwrap(), Settled::Done);
    assert_eq!(first.ack().await.unwrap(), Settled::Lost, "its holder's answer comes too late");

    let second = fixture.claim().await;
    assert_eq!((second.attempt(), second.failures()), (2, 0));
    assert_eq!(fixture.queue.release_held(&held, Duration::ZERO).await.unwrap(), Settled::Lost);
    assert_eq!(fixture.queue.bury_held(&held, "why").await.unwrap(), Settled::Lost);
    assert_eq!(second.ack().await.unwrap(), Settled::Done, "the later attempt was not touched");
    fixture.assert_law().await;
}

#[tokio::test]
async fn a_snapshot_of_a_message_that_nobody_held_takes_it_from_nobody_later() {
    let fixture = Fixture::new().await;
    let id = fixture.push("x").await;
    let waiting = seen(&fixture, id).await;
    let holder = fixture.claim().await;
    assert_eq!(waiting.attempt, holder.attempt(), "its number is that of the attempt to come");
    assert_eq!(fixture.queue.release_held(&waiting, Duration::ZERO).await.unwrap(), Settled::Lost);
    assert_eq!(fixture.queue.bury_held(&waiting, "why").await.unwrap(), Settled::Lost);
    assert_eq!(holder.ack().await.unwrap(), Settled::Done);
    fixture.assert_law().await;
}

#[tokio::test]
async fn a_held_message_is_buried_with_its_history_and_the_reason() {
    let fixture = Fixture::new().await;
    let id = fixture.push("x").await;
    let _retried = fixture.claim().await.retry_after(Duration::ZERO, "first").await.unwrap();
    let holder = fixture.claim().await;
    let held = seen(&fixture, id).await;
    let before = fixture.now_us() / 1000;
    assert_eq!(fixture.queue.bury_held(&held, "never ends").await.unwrap(), Settled::Done);
    assert_eq!(holder.ack().await.unwrap(), Settled::Lost);
    let dead = seen(&fixture, id).await;
    let history: Vec<_> = dead.history.iter().map(|it| (it.attempt, it.error.as_str())).collect();
    assert_eq!((dead.state, history), (State::Dead, vec![(2, "never ends"), (1, "first")]));
    assert!(dead.history[0].at_ms >= before, "by the server's clock");
    fixture.assert_law().await;
}

#[tokio::test]
async fn a_released_message_may_wait_and_not_for_more_than_ten_years() {
    let fixture = Fixture::new().await;
    let id = fixture.push("x").await;
    let _holder = fixture.claim().await;
    let held = seen(&fixture, id).await;
    let eleven_years = 11 * 365 * 24 * 3600 * SECOND;
    assert!(fixture.queue.release_held(&held, eleven_years).await.unwrap_err().is_invalid());
    assert_eq!(fixture.queue.release_held(&held, 60 * SECOND).await.unwrap(), Settled::Done);
    assert_eq!(fixture.states().await, [0, 1, 0, 0]);
    fixture.assert_law().await;
}
