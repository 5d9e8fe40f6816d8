//! A server that forgets its scripts is not noticed by anybody.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redeliver::{Policy, Raw, Settled};
use tokio::task::JoinSet;

use crate::fixture::{Fixture, SECOND, TestServer};

#[tokio::test]
async fn scripts_are_loaded_again_when_the_server_forgot_them() {
    let server = TestServer::start(&[]);
    let fixture = Fixture::on(&server, Policy::default()).await;
    let flush = || fixture.redis::<()>(&["SCRIPT", "FLUSH"]);
    for _ in 0..3 {
        flush();
        let id = fixture.push("a").await;
        flush();
        let delivery = fixture.claim().await;
        flush();
        assert_eq!(delivery.extend(60 * SECOND).await.unwrap(), Settled::Done);
        flush();
        assert_eq!(delivery.bury("hopeless").await.unwrap(), Settled::Done);
        flush();
        assert_eq!(fixture.queue.dead().redrive(&[id]).await.unwrap(), 1);
        flush();
        assert_eq!(fixture.claim().await.ack().await.unwrap(), Settled::Done);
        flush();
        fixture.assert_law().await;
    }
    assert_eq!(fixture.states().await, [0; 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_many_tasks_go_on_while_scripts_are_flushed() {
    let server = TestServer::start(&[]);
    let policy = Policy::default().lease(600 * SECOND);
    let fixture = Fixture::on(&server, policy).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for _ in 0..64 {
        let (queue, stop) = (fixture.queue.clone(), Arc::clone(&stop));
        tasks.spawn(async move {
            let (mut pushed, mut acked) = (0, 0);
            while !stop.load(Ordering::Relaxed) {
                queue.push(Raw::from("a")).await.unwrap();
                pushed += 1;
                for delivery in queue.claim(2).await.unwrap() {
                    assert_eq!(delivery.ack().await.unwrap(), Settled::Done);
                    acked += 1;
                }
            }
            (pushed, acked)
        });
    }
    for _ in 0..50 {
        progress(&fixture).await;
        fixture.redis::<()>(&["SCRIPT", "FLUSH"]);
    }
    stop.store(true, Ordering::Relaxed);
    let done = tasks.join_all().await;
    let pushed: u64 = done.iter().map(|(pushed, _)| pushed).sum();
    let acked: u64 = done.iter().map(|(_, acked)| acked).sum();
    let counts = fixture.counts().await;
    assert_eq!((counts.pushed, counts.acked), (pushed, acked));
    assert_eq!(fixture.states().await, [pushed - acked, 0, 0, 0]);
    fixture.assert_law().await;
}

/// Waits until another push and another ack have come through.
async fn progress(fixture: &Fixture) {
    let counters = || -> [u64; 2] {
        let told: [Option<u64>; 2] =
            fixture.redis(&["HMGET", &fixture.key("meta"), "pushed", "acked"]);
        told.map(Option::unwrap_or_default)
    };
    let before = counters();
    for _ in 0..20_000 {
        let now = counters();
        if now[0] > before[0] && now[1] > before[1] {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("the tasks stand still");
}
