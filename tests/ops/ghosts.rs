//! An id without a record, a ghost, stops no queue and is dropped where it is met.

use std::time::Duration;

use redeliver::{Cancelled, Message, MessageId, Pushed, Raw, Rescheduled};

use crate::fixture::{Fixture, SECOND};

/// Plants an id without a record.
fn ghost(fixture: &Fixture, state: &str) -> MessageId {
    let id = MessageId::generate();
    let (key, text) = (fixture.key(state), id.to_string());
    match state {
        "ready" => fixture.redis::<()>(&["LPUSH", &key, &text]),
        _ => fixture.redis::<()>(&["ZADD", &key, "1", &text]),
    }
    id
}

#[tokio::test]
async fn claim_drops_a_ghost_and_hands_out_the_others() {
    let fixture = Fixture::new().await;
    let ids = fixture.push_many(20).await;
    ghost(&fixture, "ready");
    ghost(&fixture, "ready");
    let claimed = fixture.queue.claim(7).await.unwrap();
    assert_eq!(claimed.iter().map(redeliver::Delivery::id).collect::<Vec<_>>(), ids[..5]);
    assert_eq!(fixture.counts().await.ghosts, 2);
    assert_eq!(fixture.states().await, [15, 0, 5, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn claim_drops_attempt_line_and_key_with_a_ghost() {
    let fixture = Fixture::new().await;
    let message = Message::new(Raw::from("a")).key("k");
    let id = fixture.queue.push(message).await.unwrap().id();
    let retried = fixture.claim().await.retry_after(Duration::ZERO, "no").await;
    assert!(retried.is_ok());
    fixture.redis::<()>(&["HDEL", &fixture.key("messages"), &id.to_string()]);
    assert!(fixture.queue.claim(10).await.unwrap().is_empty());
    assert_eq!((fixture.len("attempts"), fixture.len("keyed")), (0, 0));
    assert_eq!(fixture.counts().await.ghosts, 1);
}

#[tokio::test]
async fn claim_of_nothing_but_ghosts_leaves_ready_empty() {
    let fixture = Fixture::new().await;
    for _ in 0..20 {
        ghost(&fixture, "ready");
    }
    let reply: Vec<String> = fixture.call("claim", &["1000", "0", "60000"]);
    assert_eq!((reply[0].as_str(), reply.len()), ("empty", 2));
    assert_eq!(fixture.counts().await.ghosts, 20);
    assert_eq!(fixture.states().await, [0; 4]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn claim_hands_out_an_id_once_that_stands_in_ready_twice() {
    let fixture = Fixture::new().await;
    let id = fixture.push("a").await.to_string();
    fixture.redis::<()>(&["RPUSH", &fixture.key("ready"), &id]);
    assert_eq!(fixture.queue.claim(10).await.unwrap().len(), 1);
    assert_eq!(fixture.counts().await.ghosts, 1);
    assert_eq!(fixture.states().await, [0, 0, 1, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn redeliver_drops_a_ghost_in_pending_and_moves_the_others() {
    let fixture = Fixture::new().await;
    let id = fixture.push("a").await;
    let _held = fixture.claim().await;
    fixture.age("pending", id, 3600 * SECOND);
    ghost(&fixture, "pending");
    let moved = fixture.queue.redeliver(10).await.unwrap();
    assert_eq!((moved.reclaimed, moved.died, moved.ghosts), (1, 0, 1));
    assert_eq!(fixture.counts().await.ghosts, 1);
    assert_eq!(fixture.states().await, [1, 0, 0, 0]);
    assert_eq!(fixture.ids("ready"), [id.to_string()]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn redeliver_passes_a_scheduled_ghost_on_to_the_claim_that_drops_it() {
    let fixture = Fixture::new().await;
    let id = fixture.push("a").await;
    ghost(&fixture, "scheduled");
    assert_eq!(fixture.queue.redeliver(10).await.unwrap().promoted, 1);
    let claimed = fixture.queue.claim(10).await.unwrap();
    assert_eq!((claimed.len(), claimed[0].id()), (1, id));
    assert_eq!(fixture.counts().await.ghosts, 1);
    assert_eq!(fixture.states().await, [0, 0, 1, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn redrive_passes_a_dead_ghost_on_to_the_claim_that_drops_it() {
    let fixture = Fixture::new().await;
    let placed = fixture.every_state().await;
    let ghost = ghost(&fixture, "dead");
    assert_eq!(fixture.queue.dead().redrive(&[ghost, placed.dead]).await.unwrap(), 2);
    assert_eq!(fixture.queue.claim(10).await.unwrap().len(), 2);
    assert_eq!(fixture.counts().await.ghosts, 1);
    assert_eq!(fixture.states().await, [0, 1, 3, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn cancel_drops_a_ghost_and_counts_it_as_one() {
    let fixture = Fixture::new().await;
    let placed = fixture.every_state().await;
    for state in ["scheduled", "pending", "dead"] {
        let ghost = ghost(&fixture, state);
        assert_eq!(fixture.queue.cancel(&[ghost]).await.unwrap(), [Cancelled::Done]);
        assert_eq!(fixture.states().await, [1, 1, 1, 1]);
    }
    let ghost = ghost(&fixture, "dead");
    assert_eq!(fixture.queue.cancel(&[ghost, placed.ready]).await.unwrap(), [Cancelled::Done; 2]);
    let counts = fixture.counts().await;
    assert_eq!((counts.ghosts, counts.cancelled), (4, 1));
    assert_eq!(fixture.states().await, [0, 1, 1, 1]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn cancel_and_reschedule_miss_a_ghost_in_ready_and_claim_drops_it() {
    let fixture = Fixture::new().await;
    let ghost = ghost(&fixture, "ready");
    assert_eq!(fixture.queue.cancel(&[ghost]).await.unwrap(), [Cancelled::Missing]);
    let due = redeliver::Due::After(SECOND);
    let outcome = fixture.queue.reschedule(&[ghost], due).await.unwrap();
    assert_eq!(outcome, [Rescheduled::Missing]);
    assert!(fixture.queue.claim(1).await.unwrap().is_empty());
    assert_eq!(fixture.counts().await.ghosts, 1);
    assert_eq!(fixture.states().await, [0; 4]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn purge_and_trim_drop_a_ghost_and_count_it_as_one() {
    let fixture = Fixture::new().await;
    fixture.every_state().await;
    let named = ghost(&fixture, "dead");
    assert_eq!(fixture.queue.dead().purge(&[named]).await.unwrap(), 1);
    ghost(&fixture, "dead");
    let swept = fixture.queue.dead().purge_oldest(1, 1).await.unwrap();
    assert_eq!((swept.done, swept.left), (1, 0));
    ghost(&fixture, "dead");
    assert_eq!(fixture.call::<[u64; 2]>("trim", &["10", "60000", "9"]), [1, 0]);
    let counts = fixture.counts().await;
    assert_eq!((counts.ghosts, counts.purged, counts.trimmed), (3, 0, 0));
    assert_eq!(fixture.states().await, [1, 1, 1, 1]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn ack_of_a_ghost_counts_no_message() {
    let fixture = Fixture::new().await;
    let ghost = ghost(&fixture, "pending").to_string();
    assert_eq!(fixture.call::<[String; 1]>("ack", &[&ghost, "1"]), ["acked"]);
    let counts = fixture.counts().await;
    assert_eq!((counts.acked, counts.ghosts), (0, 1));
    assert_eq!(fixture.states().await, [0; 4]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn push_finds_a_key_free_that_belongs_to_a_ghost() {
    let fixture = Fixture::new().await;
    let ghost = MessageId::generate().to_string();
    fixture.redis::<()>(&["HSET", &fixture.key("keyed"), "=k", &ghost, &ghost, "k"]);
    let push = || fixture.queue.push(Message::new(Raw::from("a")).key("k"));
    let first = push().await.unwrap();
    assert!(matches!(first, Pushed::Ready(_)), "{first:?}");
    assert_eq!(push().await.unwrap().id(), first.id());
    assert_eq!(fixture.states().await, [1, 0, 0, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn a_ghost_that_goes_leaves_its_former_key_to_the_message_that_has_it_now() {
    let fixture = Fixture::new().await;
    let keyed = || Message::new(Raw::from("a")).key("k");
    let ghost = fixture.queue.push(keyed().delay(SECOND)).await.unwrap().id();
    fixture.redis::<()>(&["HDEL", &fixture.key("messages"), &ghost.to_string()]);
    let first = fixture.queue.push(keyed()).await.unwrap();
    assert!(matches!(first, Pushed::Ready(_)), "{first:?}");
    assert_eq!(fixture.queue.cancel(&[ghost]).await.unwrap(), [Cancelled::Done]);
    assert_eq!(fixture.queue.push(keyed()).await.unwrap().id(), first.id());
    assert_eq!(fixture.len("keyed"), 2);
    assert_eq!(fixture.counts().await.ghosts, 1);
}
