//! A queue whose partitions are on several nodes of a Cluster.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redeliver::{Queue, Raw, Server};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cluster::{Cluster, MASTERS, whole};
use crate::nodes::until;

const PARTITIONS: u32 = 3;
/// Each pushes one message after the other.
const PRODUCERS: u64 = 200;
/// Far more than there are producers: with each of them stuck nobody would get so far.
const MANY: u64 = 20 * PRODUCERS;

/// A queue with each partition on another master, and these masters.
async fn spread(cluster: &Cluster) -> (Queue<Raw>, Vec<usize>) {
    let server = Server::connect(&cluster.url()).await.unwrap();
    let owners = |name: &str| -> Vec<_> {
        let slots = (0..PARTITIONS).map(|number| cluster.slot_of_partition(name, number));
        slots.map(|slot| cluster.owner_of_slot(slot)).collect()
    };
    let names = std::iter::repeat_with(|| format!("spread{:08x}", fastrand::u32(..)));
    let mut names = names.map(|name| (owners(&name), name));
    let fits =
        |(owners, _): &(Vec<usize>, _)| owners.iter().collect::<BTreeSet<_>>().len() == MASTERS;
    let (owners, name) = names.find(fits).unwrap();
    let queue: Queue<Raw> = server.queue(&name).unwrap();
    queue.set_partitions(PARTITIONS).await.unwrap();
    (queue, owners)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_that_hangs_holds_up_its_share_of_pushes_and_no_more() {
    let cluster = whole().await;
    let (queue, owners) = spread(&cluster).await;
    let hung = [owners[0], cluster.replica_of(owners[0])];
    for node in hung {
        cluster.nodes[node].freeze();
    }
    let stop = CancellationToken::new();
    let (pushed, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut producers = JoinSet::new();
    for _ in 0..PRODUCERS {
        let (queue, stop) = (queue.clone(), stop.clone());
        let (pushed, failed) = (Arc::clone(&pushed), Arc::clone(&failed));
        producers.spawn(async move {
            while !stop.is_cancelled() {
                let done = queue.push(Raw::from("x")).await;
                let counted = if done.is_ok() { &pushed } else { &failed };
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    // A push to the node that hangs fails after 10 s.
    let told = |count: &AtomicU64| count.load(Ordering::Relaxed);
    tokio::task::block_in_place(|| {
        until("many are pushed, or one fails", || told(&pushed) >= MANY || told(&failed) > 0);
    });
    let (pushed, failed) = (told(&pushed), told(&failed));
    stop.cancel();
    for node in hung {
        cluster.nodes[node].thaw();
    }
    producers.join_all().await;
    assert!(pushed >= MANY, "{pushed} pushed, {failed} failed");
    assert!(queue.counts().await.unwrap().law_holds());
}

#[tokio::test]
async fn a_queue_is_listed_though_its_registry_was_away_for_its_only_push() {
    let cluster = whole().await;
    let slot: u16 = cluster.nodes[0].ask(&["CLUSTER", "KEYSLOT", "rd:queues"]);
    let registry = cluster.owner_of_slot(slot);
    let other = cluster.masters().into_iter().find(|master| *master != registry).unwrap();
    let server = Server::open(&cluster.url()).unwrap();
    let queue: Queue<Raw> = server.queue(&cluster.name_on(other)).unwrap();
    cluster.nodes[registry].freeze();
    queue.push(Raw::from("x")).await.unwrap();
    let registering = tokio::spawn({
        let queue = queue.clone();
        async move { queue.register().await }
    });
    tokio::task::yield_now().await;
    cluster.nodes[registry].thaw();
    registering.await.unwrap().unwrap();
    assert!(server.queues().await.unwrap().contains(queue.name()));
}

/// Whoever starts then learns of the partitions by the registry alone.
#[tokio::test]
async fn a_claim_finds_the_other_partitions_while_the_first_one_hangs() {
    let cluster = whole().await;
    let slot: u16 = cluster.nodes[0].ask(&["CLUSTER", "KEYSLOT", "rd:queues"]);
    let registry = cluster.owner_of_slot(slot);
    let (queue, owners) = loop {
        let found = spread(&cluster).await;
        if found.1[0] != registry {
            break found;
        }
    };
    queue.push_all((0..100).map(|_| Raw::from("x"))).await.unwrap();
    // It knows the nodes, and nothing of the queue.
    let server = Server::connect(&cluster.url()).await.unwrap();
    assert!(server.queues().await.unwrap().contains(queue.name()));
    let other: Queue<Raw> = server.queue(queue.name().as_str()).unwrap();
    let hung = [owners[0], cluster.replica_of(owners[0])];
    for node in hung {
        cluster.nodes[node].freeze();
    }
    let claimed = other.claim(10).await;
    for node in hung {
        cluster.nodes[node].thaw();
    }
    assert_eq!(claimed.unwrap().len(), 10);
}
