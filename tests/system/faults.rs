use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redeliver::{
    Context, Error, Message, MessageId, Outcome, Policy, Pushed, Raw, Retried, Settled, Worker,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::fixture::{Fixture, SECOND, TestServer};

/// Producers that note what was confirmed to them, until told to stop.
fn produce(fixture: &Fixture, stop: &Arc<AtomicBool>, into: &mut JoinSet<HashSet<MessageId>>) {
    for _ in 0..4 {
        let (queue, stop) = (fixture.queue.clone(), Arc::clone(stop));
        into.spawn(async move {
            let mut confirmed = HashSet::new();
            while !stop.load(Ordering::Relaxed) {
                if let Ok(pushed) = queue.push(Raw::from("x")).await {
                    confirmed.insert(pushed.id());
                }
            }
            confirmed
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_go_on_when_the_server_is_killed_and_comes_back() {
    let mut server = TestServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let fixture = Fixture::on(&server, Policy::default().max_attempts(0)).await;
    let handled = Arc::new(Mutex::new(HashSet::new()));
    let seen = Arc::clone(&handled);
    let worker = Worker::new(fixture.queue.clone(), move |_: Raw, cx: Context| {
        seen.lock().unwrap().insert(cx.id());
        async move {
            if cx.attempt() == 1 {
                return Outcome::retry_after(Duration::from_millis(50), "once more");
            }
            Outcome::Ack
        }
    });
    let stop_worker = CancellationToken::new();
    let worker = worker.lease(SECOND).run(stop_worker.clone().cancelled_owned());
    let worker = tokio::spawn(worker);
    let stop = Arc::new(AtomicBool::new(false));
    let mut producers = JoinSet::new();
    produce(&fixture, &stop, &mut producers);
    for _ in 0..3 {
        let before = handled.lock().unwrap().len();
        while handled.lock().unwrap().len() < before + 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server.kill();
        server.restart();
    }
    stop.store(true, Ordering::Relaxed);
    let mut confirmed = HashSet::new();
    while let Some(mine) = producers.join_next().await {
        confirmed.extend(mine.unwrap());
    }
    while fixture.counts().await.outstanding() > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop_worker.cancel();
    worker.await.unwrap().unwrap();
    let handled = handled.lock().unwrap();
    let lost: Vec<_> = confirmed.difference(&handled).collect();
    assert!(lost.is_empty(), "{} of {} were lost", lost.len(), confirmed.len());
    assert!(confirmed.len() > 600);
}

#[tokio::test]
async fn a_full_server_refuses_a_push_whole_and_lets_everything_else_drain() {
    let server = TestServer::start(&[]);
    let fixture = Fixture::on(&server, Policy::default().max_attempts(3)).await;
    let queue = &fixture.queue;
    let payload = || Raw(vec![b'x'; 1000]);
    queue.push_all((0..500).map(|_| payload())).await.unwrap();
    let delayed = || Message::new(payload()).delay(Duration::from_millis(1));
    queue.push_all((0..500).map(|_| delayed())).await.unwrap();
    let fill = |bytes| fixture.redis::<()>(&["CONFIG", "SET", "maxmemory", bytes]);
    fill("1");

    let before = fixture.dump();
    let refused = queue.push(payload()).await.unwrap_err();
    assert!(matches!(refused, Error::Full) && refused.is_transient(), "{refused}");
    assert!(matches!(queue.push_all((0..10).map(|_| payload())).await, Err(Error::Full)));
    assert_eq!(fixture.dump(), before, "a refused push wrote something");

    assert_eq!(queue.redeliver(1000).await.unwrap().promoted, 500);
    let mut claimed = queue.claim(1000).await.unwrap();
    assert_eq!(claimed.len(), 1000);
    let (one, two) = (claimed.pop().unwrap(), claimed.pop().unwrap());
    let (three, four) = (claimed.pop().unwrap(), claimed.pop().unwrap());
    assert_eq!(one.extend(60 * SECOND).await.unwrap(), Settled::Done);
    assert_eq!(one.retry_after(3600 * SECOND, "e").await.unwrap(), Retried::After(3600 * SECOND));
    assert_eq!(two.bury("hopeless").await.unwrap(), Settled::Done);
    assert_eq!(three.release(Duration::ZERO).await.unwrap(), Settled::Done);
    fill("0");
    fixture.age("pending", four.id(), 3600 * SECOND);
    fill("1");
    assert_eq!(queue.redeliver(1000).await.unwrap().reclaimed, 1);
    assert_eq!(fixture.states().await, [2, 1, 996, 1]);
    for delivery in claimed {
        assert_eq!(delivery.ack().await.unwrap(), Settled::Done);
    }
    let swept = queue.dead().redrive_oldest(10, fixture.counts().await.now_ms).await.unwrap();
    assert_eq!((swept.done, swept.left), (1, 0));
    queue.pause().await.unwrap();
    queue.resume().await.unwrap();
    for delivery in queue.claim(10).await.unwrap() {
        assert_eq!(delivery.ack().await.unwrap(), Settled::Done);
    }
    assert_eq!(fixture.states().await, [0, 1, 0, 0]);
    fixture.assert_law().await;

    fill("0");
    assert!(matches!(queue.push(payload()).await.unwrap(), Pushed::Ready(_)));
}

#[tokio::test]
async fn a_newer_layout_is_refused_and_left_alone() {
    let server = TestServer::start(&[]);
    let fixture = Fixture::on(&server, Policy::default()).await;
    fixture.push("x").await;
    fixture.redis::<()>(&["HSET", &fixture.key("meta"), "layout", "3"]);
    let before = fixture.dump();
    let refused = fixture.queue.push(Raw::from("y")).await.unwrap_err();
    assert!(matches!(refused, Error::Layout { known: 2 }), "{refused}");
    assert!(fixture.queue.claim(1).await.is_err());
    assert!(fixture.queue.redeliver(1).await.is_err());
    assert_eq!(fixture.dump(), before);
}
