use redeliver::{Message, Poller, Raw, Settled};
use tokio_util::sync::CancellationToken;

use crate::fixture::SECOND;
use crate::stage::{Running, assert_sound, fill, key, laws, partitioned, telling, until};

#[tokio::test]
async fn lowering_drains_the_upper_partitions() {
    let fixture = partitioned(4).await;
    let stale = fixture.other().await;
    stale.push_all((0..100).map(|it: u32| Raw(it.to_string().into()))).await.unwrap();
    let lowered = fixture.queue.set_partitions(1).await.unwrap();
    assert_eq!((lowered.count, lowered.draining), (1, vec![1, 2, 3]));
    let before = laws(&fixture.queue).await;
    assert!(before.iter().all(|counts| counts.ready > 0));
    // Who does not know yet is told, and pushes to what is left.
    for _ in 0..20 {
        stale.push(Raw::from("late")).await.unwrap();
    }
    let after = laws(&fixture.queue).await;
    assert_eq!(after[0].ready, before[0].ready + 20);
    assert_eq!(after[1..].iter().map(|it| it.ready).sum::<u64>() + before[0].ready, 100);
    // What is in the upper ones is served.
    let worker = telling(&fixture.other().await, |_, _| std::future::ready(()));
    let worker = Running::start(worker);
    until(async || fixture.counts().await.messages == 0).await;
    let parts = fixture.queue.partitions().await.unwrap();
    assert_eq!((parts.count, parts.draining), (1, vec![]));
    let counts = fixture.counts().await;
    assert_eq!((counts.acked, counts.partitions), (120, 1), "counters of all partitions stay");
    worker.stop().await;
    assert_sound(&fixture).await;
}

#[tokio::test]
async fn dead_letters_keep_a_partition_until_they_are_gone() {
    let fixture = partitioned(3).await;
    fill(&fixture, 2, 1);
    let delivery = fixture.claim().await;
    assert_eq!(delivery.bury("hopeless").await.unwrap(), Settled::Done);
    let lowered = fixture.queue.set_partitions(2).await.unwrap();
    assert_eq!(lowered.draining, [2]);
    let dead = fixture.queue.dead().peek(0, 10).await.unwrap();
    assert_eq!((dead.messages[0].partition, dead.next), (2, None));
    assert_eq!(fixture.queue.dead().redrive(&[dead.messages[0].id]).await.unwrap(), 1);
    assert_eq!(fixture.queue.partitions().await.unwrap().draining, [2]);
    assert_eq!(fixture.claim().await.ack().await.unwrap(), Settled::Done);
    assert_eq!(fixture.queue.partitions().await.unwrap().draining, Vec::<u32>::new());
    assert_sound(&fixture).await;
}

#[tokio::test]
async fn a_drained_partition_that_is_raised_again_takes_pushes_again() {
    let fixture = partitioned(3).await;
    for count in [1, 3, 2, 3] {
        fixture.queue.set_partitions(count).await.unwrap();
        fixture.push_many(60).await;
        let parts = laws(&fixture.queue).await;
        assert!(parts[..count as usize].iter().all(|counts| counts.ready > 0), "{parts:?}");
    }
    assert_eq!(fixture.counts().await.pushed, 240);
    assert_sound(&fixture).await;
}

#[tokio::test]
async fn a_server_that_forgot_that_a_partition_is_closed_loses_no_message_in_it() {
    let fixture = partitioned(2).await;
    let stale = fixture.other().await;
    stale.push_all((0..20).map(|_| Raw::from("x"))).await.unwrap();
    fixture.queue.set_partitions(1).await.unwrap();
    let worker = telling(&fixture.other().await, |_, _| std::future::ready(()));
    let worker = Running::start(worker);
    until(async || fixture.queue.partitions().await.unwrap().draining.is_empty()).await;
    // A failover lost the news, and a producer that has not heard of it comes back.
    fixture.redis::<()>(&["HSET", &key(&fixture, 1, "meta"), "routing", "1 2 1"]);
    stale.push_all((0..20).map(|_| Raw::from("x"))).await.unwrap();
    until(async || fixture.counts().await.messages == 0).await;
    worker.stop().await;
    assert_eq!(fixture.counts().await.acked, 40);
    assert_sound(&fixture).await;
}

#[tokio::test]
async fn a_poller_serves_all_partitions_and_those_that_drain() {
    let fixture = partitioned(4).await;
    let messages = |delay| (0..40).map(move |_| Message::new(Raw::from("x")).delay(delay));
    let pushed = fixture.queue.push_all(messages(3600 * SECOND)).await.unwrap();
    let stop = CancellationToken::new();
    let poller = Poller::new(fixture.other().await);
    let poller = tokio::spawn(poller.run(stop.clone().cancelled_owned()));
    fixture.queue.set_partitions(2).await.unwrap();
    let ids: Vec<_> = pushed.iter().map(|it| it.id()).collect();
    let soon = std::time::Duration::from_millis(30);
    fixture.queue.reschedule(&ids, redeliver::Due::After(soon)).await.unwrap();
    until(async || fixture.counts().await.ready == 40).await;
    fixture.queue.push_all(messages(soon)).await.unwrap();
    until(async || fixture.counts().await.ready == 80).await;
    stop.cancel();
    poller.await.unwrap();
    assert_eq!(fixture.counts().await.promoted, 80);
    assert_sound(&fixture).await;
}
