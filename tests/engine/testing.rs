//! The queue in memory that tests of other programs use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redeliver::testing::TestQueue;
use redeliver::{Backoff, Context, Message, Outcome, Policy, Settled, State, Worker};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn a_delay_is_over_when_the_clock_says_so() {
    let queue: TestQueue<String> = TestQueue::new().unwrap();
    queue.push(Message::new("later".to_owned()).delay(DAY)).await.unwrap();
    queue.assert_pushed(&"later").await;
    queue.advance(Duration::from_millis(86_399_999)).await.unwrap();
    queue.assert_scheduled(&["later"]).await;
    queue.advance(Duration::from_millis(1)).await.unwrap();
    queue.assert_ready(&["later"]).await;
}

#[tokio::test]
async fn a_lease_ends_when_the_clock_says_so() {
    let policy = Policy::default().lease(DAY / 4);
    let queue = TestQueue::<u32>::new().unwrap().with_policy(policy).unwrap();
    queue.push(7).await.unwrap();
    let held = queue.claim(1).await.unwrap().pop().unwrap();
    queue.advance(DAY / 4).await.unwrap();
    queue.assert_ready(&[7]).await;
    assert_eq!(held.ack().await.unwrap(), Settled::Lost);
    queue.claim(1).await.unwrap().pop().unwrap().ack().await.map(drop).unwrap();
    queue.assert_empty().await;
}

#[tokio::test]
async fn a_drain_handles_retries_to_their_end() {
    let policy = Policy::default().max_attempts(3).backoff(Backoff::fixed(DAY));
    let queue = TestQueue::<String>::new().unwrap().with_policy(policy).unwrap();
    for payload in ["fine", "bad", "hopeless", "busy"] {
        queue.push(payload.to_owned()).await.unwrap();
    }
    let drained = queue
        .drain(async |payload: String, cx: Context| match payload.as_str() {
            "bad" => Outcome::retry("no"),
            "hopeless" => Outcome::bury("never"),
            "busy" if cx.attempt() == 1 => Outcome::release_after(DAY),
            _ => Outcome::Ack,
        })
        .await
        .unwrap();
    assert_eq!([drained.handled, drained.acked, drained.again, drained.died], [7, 2, 3, 2]);
    queue.assert_dead(&["hopeless", "bad"]).await;
    assert!(queue.payloads(State::Ready).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_worker_runs_on_it() {
    let queue: TestQueue<u64> = TestQueue::new().unwrap();
    queue.push_all(1..=100).await.unwrap();
    let sum = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&sum);
    let worker = Worker::new(queue.queue(), move |number: u64, _: Context| {
        seen.fetch_add(number, Ordering::Relaxed);
        std::future::ready(())
    });
    let done = async {
        while queue.counts().await.unwrap().messages > 0 {
            tokio::task::yield_now().await;
        }
    };
    worker.run(done).await.unwrap();
    assert_eq!(sum.load(Ordering::Relaxed), 5050);
}
