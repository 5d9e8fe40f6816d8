use std::time::{Duration, Instant};

use redeliver::{Durability, Message, MessageId, Policy, Pushed, Raw, State};

use crate::fixture::{Fixture, SECOND};
use crate::pair::{Pair, calls};

fn replicated(replicas: u32) -> Policy {
    Policy::default()
        .durability(Durability::Replicated(replicas))
        .proof_timeout(Duration::from_millis(200))
}

fn message(id: MessageId) -> Message<Raw> {
    Message::new(Raw::from("x")).id(id)
}

fn unproven(id: MessageId) -> Pushed {
    Pushed::Unproven { id, state: State::Ready, confirmed: 0 }
}

#[tokio::test]
async fn a_push_is_proven_when_the_replica_has_it() {
    let pair = Pair::start();
    let queue = pair.queue(replicated(1).proof_timeout(60 * SECOND)).await.queue;
    let id = MessageId::generate();
    assert_eq!(queue.push(message(id)).await.unwrap(), Pushed::Ready(id));
    let delayed = Message::new(Raw::from("x")).delay(SECOND);
    assert!(matches!(queue.push(delayed).await.unwrap(), Pushed::Scheduled(_)));
    let all = queue.push_all((0..1100).map(|_| Raw::from("x"))).await.unwrap();
    assert!(all.iter().all(|pushed| matches!(pushed, Pushed::Ready(_))));
    assert_eq!(calls(&pair.master, "wait"), 3, "one for each batch");
}

#[tokio::test]
async fn a_push_that_no_replica_confirms_in_time_is_accepted_and_not_proven() {
    let pair = Pair::start();
    let fixture = pair.queue(replicated(1)).await;
    fixture.queue.push(Raw::from("first")).await.unwrap();
    pair.stop_replica();
    let (id, begun) = (MessageId::generate(), Instant::now());
    assert_eq!(fixture.queue.push(message(id)).await.unwrap(), unproven(id));
    assert!(begun.elapsed() >= Duration::from_millis(200), "{:?}", begun.elapsed());
    let found = fixture.queue.find(&[id]).await.unwrap();
    assert_eq!(found[0].as_ref().unwrap().state, State::Ready);
    let batch = fixture.queue.push_all([Raw::from("y"), Raw::from("z")]).await.unwrap();
    assert!(batch.iter().all(|pushed| matches!(pushed, Pushed::Unproven { confirmed: 0, .. })));
    let claimed = fixture.queue.claim(10).await.unwrap();
    assert_eq!(claimed.len(), 4, "they are delivered like any other");
    for delivery in claimed {
        assert_eq!(delivery.ack().await.unwrap(), redeliver::Settled::Done);
    }
    fixture.assert_law().await;
}

/// `WAIT` speaks of its connection's last write. A push that finds its message there writes nothing,
/// and on a new connection there is nothing to wait for at all. (Redis 7.0 waits for what others wrote
/// too, Valkey 9.1 does not.)
#[tokio::test]
async fn a_push_again_is_proven_only_when_the_first_one_is() {
    let pair = Pair::start();
    let fixture = pair.queue(replicated(1)).await;
    let id = MessageId::generate();
    pair.stop_replica();
    assert_eq!(fixture.queue.push(message(id)).await.unwrap(), unproven(id));
    assert_eq!(fixture.queue.push(message(id)).await.unwrap(), unproven(id));
    let other = fixture.other().await;
    assert_eq!(other.push(message(id)).await.unwrap(), unproven(id));
    pair.wake_replica();
    let patient = fixture.other().await.with_policy(replicated(1).proof_timeout(60 * SECOND));
    let duplicate = Pushed::Duplicate { id, state: State::Ready };
    assert_eq!(patient.unwrap().push(message(id)).await.unwrap(), duplicate);
    assert_eq!(fixture.counts().await.pushed, 1);
    fixture.assert_law().await;
}

#[tokio::test]
async fn one_replica_proves_one_and_not_two() {
    let pair = Pair::start();
    let queue = pair.queue(replicated(1)).await.queue;
    let two = || Message::new(Raw::from("x")).durability(Durability::Replicated(2));
    // The second one is never proven, so each try takes all of its time; the replica may be slow.
    for tries in 1.. {
        let batch = queue.push_all([Message::new(Raw::from("x")), two()]).await.unwrap();
        match batch[..] {
            [Pushed::Ready(_), Pushed::Unproven { confirmed: 1, .. }] => break,
            [Pushed::Unproven { confirmed: 0, .. }, Pushed::Unproven { confirmed: 0, .. }] => {}
            _ => panic!("{batch:?}"),
        }
        assert!(tries < 100, "the replica confirms nothing");
    }
    let refused = two().durability(Durability::Replicated(101));
    assert!(queue.push(refused).await.unwrap_err().is_invalid());
}

#[tokio::test]
async fn whoever_waits_for_a_replica_keeps_nobody_else_waiting() {
    let pair = Pair::start();
    let fixture = pair.queue(replicated(1).proof_timeout(60 * SECOND)).await;
    pair.stop_replica();
    let queue = fixture.queue.clone();
    let waiting = tokio::spawn(async move { queue.push(Raw::from("x")).await });
    while fixture.counts().await.ready < 1 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let plain = Message::new(Raw::from("y")).durability(Durability::Memory);
    assert!(matches!(fixture.queue.push(plain).await.unwrap(), Pushed::Ready(_)));
    for delivery in fixture.queue.claim(10).await.unwrap() {
        assert_eq!(delivery.ack().await.unwrap(), redeliver::Settled::Done);
    }
    assert_eq!(fixture.counts().await.acked, 2);
    assert!(!waiting.is_finished());
    pair.wake_replica();
    assert!(matches!(waiting.await.unwrap().unwrap(), Pushed::Ready(_)));
}

/// Each waits for its replicas as long as a link waits for an answer, so any two would take too long
/// together.
#[tokio::test]
async fn batches_that_wait_in_vain_wait_one_after_the_other() {
    let fixture = Fixture::new().await;
    let policy = replicated(1).proof_timeout(2 * SECOND);
    let queue = fixture.queue.clone().with_policy(policy).unwrap();
    let batch = || queue.push_all([Raw::from("x"), Raw::from("y")]);
    let (a, b, c) = tokio::join!(batch(), batch(), batch());
    for pushed in [a, b, c].map(Result::unwrap).concat() {
        assert!(matches!(pushed, Pushed::Unproven { confirmed: 0, .. }), "{pushed:?}");
    }
    assert_eq!(fixture.counts().await.pushed, 6);
}

#[tokio::test]
async fn a_server_without_replicas_proves_nothing() {
    let fixture = Fixture::new().await;
    let policy = replicated(1).proof_timeout(Duration::from_millis(1));
    let queue = fixture.queue.clone().with_policy(policy).unwrap();
    let id = MessageId::generate();
    assert_eq!(queue.push(message(id)).await.unwrap(), unproven(id));
}
