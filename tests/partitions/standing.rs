//! Pauses and caps, when the number of partitions changes, and when that breaks off.

use std::task::Poll;

use redeliver::{Limits, Queue, Raw};

use crate::fixture::Fixture;
use crate::stage::{assert_sound, fill, laws, partitioned, script};

fn ready(cap: u64) -> Limits {
    Limits { max_ready: Some(cap), ..Limits::default() }
}

async fn caps(queue: &Queue<Raw>) -> Vec<u64> {
    laws(queue).await.iter().map(|counts| counts.max_ready.unwrap_or(0)).collect()
}

/// Drops this after so many polls, as if its process had been killed, and says whether it had ended.
async fn broken_off(polls: usize, change: impl Future) -> bool {
    let (mut change, mut left) = (Box::pin(change), polls);
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        change.as_mut().poll(context).map(|_| true)
    })
    .await
}

#[tokio::test]
async fn a_partition_that_is_added_again_keeps_no_cap_of_before() {
    let both = Limits { max_ready: Some(8), max_bytes: Some(1 << 30) };
    let one = Limits { max_ready: Some(0), max_bytes: None };
    let none = Limits { max_ready: Some(0), max_bytes: Some(0) };
    for lifted in [one, none] {
        let fixture = partitioned(4).await;
        fixture.queue.limit(both).await.unwrap();
        fixture.queue.set_partitions(2).await.unwrap();
        fixture.queue.limit(lifted).await.unwrap();
        fixture.queue.set_partitions(4).await.unwrap();
        let parts = laws(&fixture.queue).await;
        assert!(parts.iter().all(|it| it.max_ready.is_none()), "{parts:?}");
        let is_capped = lifted.max_bytes.is_none();
        assert!(parts.iter().all(|it| it.max_bytes.is_some() == is_capped), "{parts:?}");
        assert_eq!(fixture.counts().await.max_bytes, is_capped.then_some(1 << 30));
        fixture.push_many(100).await;
        assert_sound(&fixture).await;
    }
}

#[tokio::test]
async fn a_partition_that_is_added_again_keeps_no_pause_of_before() {
    let fixture = partitioned(4).await;
    // A change to 8 of a queue that was paused broke off at its third new partition.
    script(&fixture, 4, "pause", &[]);
    script(&fixture, 5, "pause", &[]);
    fixture.queue.set_partitions(8).await.unwrap();
    fill(&fixture, 4, 1);
    fill(&fixture, 5, 1);
    assert_eq!(fixture.queue.claim(10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn one_partition_that_stands_still_is_told() {
    let fixture = partitioned(4).await;
    script(&fixture, 3, "pause", &[]);
    assert!(fixture.counts().await.paused);
    fixture.queue.set_partitions(2).await.unwrap();
    assert!(fixture.counts().await.paused, "it may hold messages still");
    fixture.queue.resume().await.unwrap();
    assert!(!fixture.counts().await.paused);
}

#[tokio::test]
async fn who_did_not_hear_of_a_change_pauses_and_caps_the_new_partitions_too() {
    let fixture = Fixture::new().await;
    let stale = fixture.other().await;
    assert_eq!(stale.counts().await.unwrap().partitions, 1);
    fixture.queue.set_partitions(4).await.unwrap();
    stale.pause().await.unwrap();
    stale.limit(ready(100)).await.unwrap();
    let parts = laws(&fixture.queue).await;
    assert!(parts.iter().all(|it| it.paused && it.max_ready == Some(25)), "{parts:?}");
}

#[tokio::test]
async fn caps_outlive_a_change_that_breaks_off_anywhere() {
    let fixture = partitioned(2).await;
    fixture.queue.limit(ready(1001)).await.unwrap();
    for (from, to) in [(1, 4), (4, 1), (2, 5), (5, 2), (3, 3)] {
        let mut polls = 0;
        loop {
            polls += 1;
            fixture.queue.set_partitions(from).await.unwrap();
            let ended = broken_off(polls, fixture.queue.set_partitions(to)).await;
            let told = fixture.other().await.counts().await.unwrap().max_ready;
            assert_eq!(told, Some(1001), "{from} to {to}, after {polls} polls");
            fixture.queue.set_partitions(to).await.unwrap();
            let caps = caps(&fixture.queue).await;
            let caps = &caps[..to as usize];
            assert_eq!(caps.iter().sum::<u64>(), 1001, "{from} to {to}: {caps:?}");
            assert!(caps[0] - caps[caps.len() - 1] <= 1, "{from} to {to}: {caps:?}");
            if ended {
                break;
            }
        }
        assert!(polls > 1, "it was broken off somewhere");
    }
}

#[tokio::test]
async fn caps_that_were_set_half_way_are_the_old_or_the_new_ones() {
    let fixture = partitioned(3).await;
    for cap in [400, 0] {
        let mut polls = 0;
        loop {
            polls += 1;
            fixture.queue.limit(ready(1000)).await.unwrap();
            let ended = broken_off(polls, fixture.queue.limit(ready(cap))).await;
            let told = fixture.other().await.counts().await.unwrap().max_ready.unwrap_or(0);
            assert!(told == 1000 || told == cap, "{told} after {polls} polls");
            assert_eq!(fixture.queue.limit(ready(cap)).await.unwrap().max_ready, Some(cap));
            if ended {
                break;
            }
        }
        assert!(polls > 1, "it was broken off somewhere");
    }
}
