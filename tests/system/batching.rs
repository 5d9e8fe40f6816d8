use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use redeliver::{Cancelled, Error, Message, Policy, Pushed, Raw, Settled};
use tokio::task::JoinSet;

use crate::fixture::{Fixture, TestServer};

/// How many scripts clients have called so far.
fn calls(fixture: &Fixture) -> u64 {
    let info: String = fixture.redis(&["INFO", "commandstats"]);
    let stat = info.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    stat.map_or(0, |stat| stat.split(',').next().unwrap().parse().unwrap())
}

async fn own_server() -> (TestServer, Fixture) {
    let server = TestServer::start(&[]);
    let fixture = Fixture::on(&server, Policy::default()).await;
    (server, fixture)
}

/// Polls once, so that the call is under way, and drops the future.
async fn abandon(call: impl Future) {
    let mut call = pin!(call);
    let begun = poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_pending())).await;
    assert!(begun, "it was answered at once");
}

#[tokio::test]
async fn calls_of_many_tasks_travel_together_each_with_its_own_outcome() {
    let (_server, fixture) = own_server().await;
    let before = calls(&fixture);
    let mut pushes = JoinSet::new();
    for i in 0..1000 {
        let queue = fixture.queue.clone();
        // Every key is used twice: one of the two finds the other.
        let message = Message::new(Raw::from("x")).key(format!("k{}", i % 500));
        pushes.spawn(async move { queue.push(message).await.unwrap() });
    }
    let outcomes = pushes.join_all().await;
    let ready = outcomes.iter().filter(|pushed| matches!(pushed, Pushed::Ready(_))).count();
    assert_eq!((outcomes.len(), ready), (1000, 500));
    assert!(calls(&fixture) - before <= 20, "{} calls", calls(&fixture) - before);

    let deliveries = fixture.queue.claim(1000).await.unwrap();
    assert_eq!(fixture.queue.cancel(&[deliveries[7].id()]).await.unwrap(), [Cancelled::Done]);
    let cancelled = deliveries[7].id();
    let before = calls(&fixture);
    let mut acks = JoinSet::new();
    for delivery in deliveries {
        acks.spawn(async move { (delivery.id(), delivery.ack().await.unwrap()) });
    }
    for (id, settled) in acks.join_all().await {
        assert_eq!(settled == Settled::Lost, id == cancelled, "{id}");
    }
    assert!(calls(&fixture) - before <= 20, "{} calls", calls(&fixture) - before);
    fixture.assert_law().await;
}

#[tokio::test]
async fn an_error_reaches_every_caller_of_its_batch_and_a_bad_item_only_its_own() {
    let (_server, fixture) = own_server().await;
    let limit = 256 * 1024;
    let mut pushes = JoinSet::new();
    for i in 0..100 {
        let queue = fixture.queue.clone();
        let size = if i == 50 { limit + 1 } else { 10 };
        pushes.spawn(async move { queue.push(Raw(vec![0; size])).await });
    }
    let outcomes = pushes.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 99);
    assert!(outcomes.iter().any(|outcome| outcome.as_ref().is_err_and(Error::is_invalid)));

    fixture.redis::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    let mut pushes = JoinSet::new();
    for _ in 0..100 {
        let queue = fixture.queue.clone();
        pushes.spawn(async move { queue.push(Raw::from("x")).await });
    }
    let outcomes = pushes.join_all().await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(Error::Full))));
    assert_eq!(fixture.states().await, [99, 0, 0, 0]);
}

#[tokio::test]
async fn a_push_whose_caller_went_away_still_happens_once() {
    let (_server, fixture) = own_server().await;
    fixture.push("first").await;
    abandon(fixture.queue.push(Raw::from("abandoned"))).await;
    while fixture.counts().await.pushed < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(fixture.states().await, [2, 0, 0, 0]);
}

#[tokio::test]
async fn a_claim_whose_caller_went_away_is_released_at_once() {
    let (_server, fixture) = own_server().await;
    let id = fixture.push("x").await;
    abandon(fixture.queue.claim(1)).await;
    while fixture.counts().await.released < 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(fixture.states().await, [1, 0, 0, 0]);
    let found = fixture.queue.find(&[id]).await.unwrap().remove(0).unwrap();
    assert_eq!((found.attempt, found.failures), (2, 0));
}

#[tokio::test]
async fn large_payloads_are_cut_into_calls_that_the_server_can_take() {
    let (_server, fixture) = own_server().await;
    let large = || Raw(vec![7; 200 * 1024]);
    let before = calls(&fixture);
    fixture.queue.push_all((0..40).map(|_| large())).await.unwrap();
    assert!(calls(&fixture) - before >= 7, "more than about 1 MiB went in one call");
    let claimed = fixture.queue.claim(1000).await.unwrap();
    assert_eq!(claimed.len(), 10, "a claim takes at most 2 MiB");
    assert_eq!(fixture.states().await, [30, 0, 10, 0]);
}

/// The answer may arrive at the very moment at which the caller goes away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_claim_is_left_behind_whenever_its_caller_goes_away() {
    let (_server, fixture) = own_server().await;
    for round in 0..300 {
        fixture.push("x").await;
        let patience = Duration::from_micros(round);
        let claimed = tokio::time::timeout(patience, fixture.queue.claim(1)).await;
        for delivery in claimed.into_iter().flatten().flatten() {
            assert_eq!(delivery.ack().await.unwrap(), Settled::Done);
        }
        while fixture.counts().await.pending > 0 {
            tokio::task::yield_now().await;
        }
    }
    fixture.assert_law().await;
}

#[tokio::test]
async fn pushes_that_wait_behind_a_dead_server_end_with_the_first_ones() {
    const CALLERS: usize = 5_000;
    let (mut server, fixture) = own_server().await;
    server.kill();
    // Nothing is on the network now but refusals, so the clock can run ahead by itself.
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    let mut pushes = JoinSet::new();
    for _ in 0..CALLERS {
        let queue = fixture.queue.clone();
        pushes.spawn(async move { queue.push(Raw::from("x")).await });
    }
    let outcomes = pushes.join_all().await;
    let unavailable = |it: &Result<Pushed, Error>| matches!(it, Err(Error::Unavailable { .. }));
    assert!(outcomes.iter().all(unavailable), "{:?}", outcomes[0]);
    let waited = begun.elapsed();
    assert!(waited < Duration::from_secs(20), "the last one was told after {waited:?}");
}
