use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redeliver::{Durability, MessageId, Policy, Pushed, Raw};
use tokio::task::JoinSet;

use crate::fixture::{Fixture, SECOND};
use crate::pair::Pair;

/// More than the sockets between master and replica hold, so that a stopped replica lags.
const PAYLOAD: usize = 64 * 1024;
const LAG: u64 = 400;
const PRODUCERS: usize = 16;
const FEWEST: usize = 300;

/// Ids that were confirmed as safe as was asked.
fn produce(fixture: &Fixture, stop: &Arc<AtomicBool>) -> JoinSet<HashSet<MessageId>> {
    let mut producers = JoinSet::new();
    for _ in 0..PRODUCERS {
        let (queue, stop) = (fixture.queue.clone(), Arc::clone(stop));
        producers.spawn(async move {
            let mut confirmed = HashSet::new();
            while !stop.load(Ordering::Relaxed) {
                let pushed = queue.push(Raw(vec![b'x'; PAYLOAD])).await;
                if let Ok(Pushed::Ready(id)) = pushed {
                    confirmed.insert(id);
                }
            }
            confirmed
        });
    }
    producers
}

/// The master is killed under traffic when it has taken so many more pushes than its hanging replica, and
/// the replica is promoted: how many of the confirmed pushes it does not have.
async fn lost(durability: Durability, more: u64) -> (usize, usize) {
    let mut pair = Pair::start();
    let policy = Policy::default().durability(durability).proof_timeout(30 * SECOND);
    let fixture = pair.queue(policy).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut producers = produce(&fixture, &stop);
    let reach = async |pushed: u64| {
        while fixture.counts().await.pushed < pushed {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    reach(FEWEST as u64).await;
    pair.stop_replica();
    reach(fixture.counts().await.pushed + more).await;
    stop.store(true, Ordering::Relaxed);
    let kept = pair.fail_over(&fixture);
    let mut confirmed = HashSet::new();
    // Whoever still waits for the dead master gives up after 10 s.
    while let Some(mine) = producers.join_next().await {
        confirmed.extend(mine.unwrap());
    }
    let lost = confirmed.difference(&kept).count();
    eprintln!("{durability}: {lost} of {} confirmed pushes lost with the master", confirmed.len());
    (lost, confirmed.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_replicated_push_is_lost_with_the_master() {
    let (lost, confirmed) = lost(Durability::Replicated(1), 1).await;
    assert_eq!(lost, 0, "of {confirmed}");
    assert!(confirmed >= FEWEST - PRODUCERS, "{confirmed}");
}

/// Shows that the failover above bites.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushes_into_memory_may_be_lost_with_the_master() {
    let (lost, confirmed) = lost(Durability::Memory, LAG).await;
    assert!(lost > 0, "of {confirmed}");
}
