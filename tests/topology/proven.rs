//! What replicas prove on a Cluster and behind sentinels, also after another one took over.

use std::time::{Duration, Instant};

use redeliver::{Durability, Policy, Pushed, Queue, Raw};
use tokio::task::block_in_place;

use crate::nodes::{PATIENCE, until};
use crate::traffic;

async fn replicated(url: &str, name: &str) -> Queue<Raw> {
    let policy = Policy::default().durability(Durability::Replicated(1));
    let queue = traffic::queue(url, name).await;
    queue.with_policy(policy.proof_timeout(Duration::from_secs(5))).unwrap()
}

/// A replica may have to be found, and to catch up.
async fn is_proven(queue: &Queue<Raw>) {
    let given_up = Instant::now() + PATIENCE;
    loop {
        match queue.push(Raw::from("x")).await {
            Ok(Pushed::Ready(_)) => return,
            other => assert!(Instant::now() < given_up, "{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_to_a_cluster_is_proven_also_by_who_takes_over() {
    let cluster = crate::cluster::whole().await;
    let name = cluster.name_on(cluster.masters()[0]);
    let queue = replicated(&cluster.url(), &name).await;
    is_proven(&queue).await;
    let master = cluster.owner(&name);
    cluster.nodes[cluster.replica_of(master)].ask::<()>(&["CLUSTER", "FAILOVER"]);
    block_in_place(|| until("another master serves", || cluster.owner(&name) != master));
    is_proven(&queue).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_behind_sentinels_is_proven_also_by_who_takes_over() {
    let stage = crate::sentinels::whole().await;
    let queue = replicated(&stage.url(), "proven").await;
    is_proven(&queue).await;
    let old = stage.master();
    block_in_place(|| {
        stage.hand_over(0);
        stage.elected(old)
    });
    is_proven(&queue).await;
}
