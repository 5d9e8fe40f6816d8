use std::sync::Arc;
use std::time::Duration;

use redeliver::{Error, MessageId, Policy, Raw};
use tokio::sync::{Semaphore, mpsc};

use crate::fixture::{Fixture, SECOND, TestServer};
use crate::stage::{Running, assert_sound, fill, key, laws, partitioned, soon, telling, until};

#[tokio::test]
async fn a_worker_serves_all_partitions_fairly() {
    let fixture = partitioned(4).await;
    fill(&fixture, 2, 600);
    let few: Vec<_> = [0, 1, 3].into_iter().flat_map(|it| fill(&fixture, it, 10)).collect();
    let (tell, mut told) = mpsc::unbounded_channel();
    let worker = telling(&fixture.other().await, move |id: MessageId, _| {
        tell.send(id).ok();
        tokio::time::sleep(Duration::from_millis(1))
    });
    let running = Running::start(worker.concurrency(4));
    let mut order = Vec::new();
    while order.len() < 630 {
        order.push(told.recv().await.unwrap());
    }
    let last = order.iter().rposition(|id| few.contains(id)).unwrap();
    assert!(last < 300, "the last of the few came after {last} others");
    running.stop().await;
    assert_eq!(fixture.counts().await.acked, 630);
    assert_sound(&fixture).await;
}

#[tokio::test]
async fn an_idle_partition_keeps_no_slot() {
    let fixture = partitioned(8).await;
    let (tell, mut told) = mpsc::unbounded_channel();
    let worker = telling(&fixture.other().await, move |_, payload: Raw| {
        tell.send(payload.0).ok();
        std::future::ready(())
    });
    let running = Running::start(worker.concurrency(1));
    // Each finds the only slot, while all others wait for their bells.
    for round in 0..3 {
        for partition in [5, 0, 7, 5] {
            fill(&fixture, partition, 3);
            for _ in 0..3 {
                let payload = soon(told.recv()).await.unwrap();
                assert_eq!(payload, partition.to_string().into_bytes(), "{round}");
            }
        }
    }
    running.stop().await;
    assert_sound(&fixture).await;
}

#[tokio::test]
async fn a_worker_without_room_rings_the_bell_for_somebody_else() {
    let server = TestServer::start(&[]);
    let fixture = Fixture::named("rung", &server, Policy::default()).await;
    fixture.queue.set_partitions(4).await.unwrap();
    let gate = Arc::new(Semaphore::new(0));
    let (tell, mut told) = mpsc::unbounded_channel();
    let start = async |name: &'static str, waits: bool| {
        let (gate, tell) = (Arc::clone(&gate), tell.clone());
        let worker = telling(&fixture.other().await, move |_, _| {
            let gate = Arc::clone(&gate);
            tell.send(name).ok();
            async move {
                if waits {
                    gate.acquire().await.unwrap().forget();
                }
            }
        });
        Running::start(worker.concurrency(1).without_poller())
    };
    let busy = start("busy", true).await;
    let blocked = async || {
        let clients: String = fixture.redis(&["CLIENT", "LIST"]);
        clients.lines().filter(|line| line.contains(" flags=b")).count()
    };
    until(async || blocked().await == 4).await;
    fill(&fixture, 0, 1);
    assert_eq!(told.recv().await, Some("busy"));
    // Three of its waiters are left, and stand before those of whoever comes now.
    until(async || blocked().await == 3).await;
    let free = start("free", false).await;
    until(async || blocked().await == 7).await;
    for partition in [1, 2, 3, 1, 2, 3] {
        fill(&fixture, partition, 1);
        assert_eq!(soon(told.recv()).await, Some("free"));
    }
    gate.add_permits(1);
    busy.stop().await;
    free.stop().await;
    assert_eq!(fixture.counts().await.acked, 7);
    assert_sound(&fixture).await;
}

#[tokio::test]
async fn a_partition_whose_keys_are_damaged_stops_alone() {
    let fixture = partitioned(3).await;
    let held = fill(&fixture, 1, 5);
    let pending = key(&fixture, 1, "pending");
    fixture.redis::<()>(&["SET", &pending, "damage"]);
    let (tell, mut told) = mpsc::unbounded_channel();
    let worker = telling(&fixture.other().await, move |id: MessageId, _| {
        tell.send(id).ok();
        std::future::ready(())
    });
    let running = Running::start(worker.concurrency(1));
    let mut others = Vec::new();
    for _ in 0..5 {
        others.extend([0, 2].into_iter().flat_map(|it| fill(&fixture, it, 20)));
        while !others.is_empty() {
            let id = told.recv().await.unwrap();
            others.swap_remove(others.iter().position(|other| *other == id).unwrap());
        }
    }
    let parts = fixture.queue.counts_by_partition().await;
    assert!(matches!(parts[1], Err(Error::Refused { .. })) && parts[0].is_ok() && parts[2].is_ok());
    assert!(fixture.queue.counts().await.is_err(), "no sum without it");
    let claimed = fixture.queue.claim(10).await.unwrap_err();
    assert!(matches!(claimed, Error::Refused { .. }), "nothing else is there: {claimed}");
    let taken = fill(&fixture, 0, 1);
    assert_eq!(told.recv().await, Some(taken[0]));
    // Mended, it goes on.
    fixture.redis::<()>(&["DEL", &pending]);
    let mut back = Vec::new();
    while back.len() < 5 {
        back.push(told.recv().await.unwrap());
    }
    back.sort_unstable();
    assert_eq!(back, held);
    running.stop().await;
    assert_sound(&fixture).await;
}

#[tokio::test]
async fn a_worker_finds_partitions_that_came_while_it_was_at_work() {
    let fixture = partitioned(1).await;
    let (tell, mut told) = mpsc::unbounded_channel();
    let worker = telling(&fixture.other().await, move |_, payload: Raw| {
        tell.send(payload.0).ok();
        std::future::ready(())
    });
    let running = Running::start(worker);
    fixture.queue.push(Raw::from("first")).await.unwrap();
    assert_eq!(told.recv().await.unwrap(), b"first");
    fixture.queue.set_partitions(6).await.unwrap();
    for partition in 0..6 {
        fill(&fixture, partition, 1);
    }
    let mut seen = Vec::new();
    while seen.len() < 6 {
        seen.push(String::from_utf8(told.recv().await.unwrap()).unwrap());
    }
    seen.sort_unstable();
    assert_eq!(seen, ["0", "1", "2", "3", "4", "5"]);
    running.stop().await;
    assert_sound(&fixture).await;
}

#[tokio::test]
async fn leases_of_all_partitions_are_extended() {
    let fixture = partitioned(3).await;
    let gate = Arc::new(Semaphore::new(0));
    let waiting = Arc::clone(&gate);
    let worker = telling(&fixture.other().await, move |_, _| {
        let gate = Arc::clone(&waiting);
        async move { gate.acquire().await.unwrap().forget() }
    });
    let running = Running::start(worker.concurrency(6).lease(3 * SECOND));
    for partition in 0..3 {
        fill(&fixture, partition, 2);
    }
    until(async || laws(&fixture.queue).await.iter().all(|counts| counts.pending == 2)).await;
    let ends = async || {
        let parts = laws(&fixture.queue).await;
        parts.iter().map(|counts| counts.next_deadline_ms.unwrap()).collect::<Vec<_>>()
    };
    let first = ends().await;
    until(async || ends().await.iter().zip(&first).all(|(now, then)| *now > then + 1000)).await;
    gate.add_permits(6);
    until(async || fixture.counts().await.messages == 0).await;
    running.stop().await;
    let counts = fixture.counts().await;
    assert_eq!((counts.acked, counts.reclaimed), (6, 0));
    assert_sound(&fixture).await;
}
