//! Masters of a Cluster that hand over, die, or hang.

use std::time::{Duration, Instant};

use redeliver::{Queue, Raw, Server};
use tokio::task::block_in_place;

use crate::calm::Calm;
use crate::cluster::whole;
use crate::nodes::Node;
use crate::traffic::{Traffic, queue};

/// From the moment that another master serves the slot until messages flow again: a call that
/// waits for a server that hangs gives up after 2 s.
const RESUMED: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_hands_over_loses_nothing_and_fails_no_call() {
    let cluster = whole().await;
    let name = cluster.name_on(cluster.masters()[0]);
    let master = cluster.owner(&name);
    let traffic = Traffic::start(&cluster.url(), &name).await;
    cluster.nodes[cluster.replica_of(master)].ask::<()>(&["CLUSTER", "FAILOVER"]);
    block_in_place(|| cluster.elected(cluster.slot(&name), master));
    let resumed = traffic.flows_after(Calm::now()).await;
    let (seen, lost) = traffic.end().await;
    eprintln!("handed over: flows {resumed:?} after, slowest push {:?}", seen.slowest);
    assert!(lost.is_empty() && seen.failed.is_empty(), "{lost:?} {:?}", seen.failed);
    assert!(resumed < RESUMED, "{resumed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_death_of_a_master_its_replica_is_found() {
    let mut cluster = whole().await;
    let name = cluster.name_on(cluster.masters()[1]);
    let master = cluster.owner(&name);
    let traffic = Traffic::start(&cluster.url(), &name).await;
    cluster.nodes[master].kill();
    let election = block_in_place(|| cluster.elected(cluster.slot(&name), master));
    let resumed = traffic.flows_after(Calm::now()).await;
    cluster.nodes[master].restart();
    let (seen, lost) = traffic.end().await;
    eprintln!(
        "killed: elected after {election:?}, flows {resumed:?} later, {} of {} lost, {} given up",
        lost.len(),
        seen.pushed.len(),
        seen.failed.len()
    );
    assert!(resumed < RESUMED, "{resumed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_hangs_is_left_for_its_replica() {
    let cluster = whole().await;
    let name = cluster.name_on(cluster.masters()[2]);
    let master = cluster.owner(&name);
    let mut traffic = Traffic::start(&cluster.url(), &name).await;
    traffic.pause().await;
    // The worker and its poller wait in blocking reads, and nobody else calls that node.
    cluster.nodes[master].freeze();
    let election = block_in_place(|| cluster.elected(cluster.slot(&name), master));
    let elected = Calm::now();
    let id = queue(&cluster.url(), &name).await.push(Raw::from("x")).await.unwrap().id();
    let pushed = elected.elapsed();
    traffic.handled(id).await;
    let woken = elected.elapsed();
    cluster.nodes[master].thaw();
    eprintln!("hung: elected after {election:?}, pushed {pushed:?} and handled {woken:?} later");
    // An idle reader learns of it when the nodes are asked next, which is every 5 s.
    assert!(pushed < RESUMED && woken < 3 * RESUMED, "{pushed:?} {woken:?}");
    let (_, lost) = traffic.end().await;
    assert!(lost.is_empty(), "{lost:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_was_cut_off_with_clients_beside_it_is_left_for_its_replica() {
    let cluster = whole().await;
    let name = cluster.name_on(cluster.masters()[0]);
    let (master, slot) = (cluster.owner(&name), cluster.slot(&name));
    let traffic = Traffic::start(&cluster.url(), &name).await;
    cluster.cut_off(master);
    let refused = block_in_place(|| cluster.refuses(master));
    let election = refused + block_in_place(|| cluster.elected(slot, master));
    let resumed = traffic.flows_after(Calm::now()).await;
    cluster.let_in();
    let (seen, lost) = traffic.end().await;
    eprintln!(
        "cut off: refused writes after {refused:?}, elected after {election:?}, flows {resumed:?} \
        later, {} of {} lost, {} given up",
        lost.len(),
        seen.pushed.len(),
        seen.failed.len()
    );
    assert!(resumed < RESUMED, "{resumed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_hangs_stalls_its_own_queues_alone() {
    /// What an unharmed node answers in, on a busy machine, and the wait for the registry.
    const UNHARMED: Duration = Duration::from_secs(1);
    let cluster = whole().await;
    let server = Server::connect(&cluster.url()).await.unwrap();
    // The list of queues is on the node that hangs.
    let hung = cluster.owner_of_slot(5_891);
    let other = cluster.masters().into_iter().find(|master| *master != hung).unwrap();
    let names = [hung, other].map(|owner| cluster.name_on(owner));
    let [stuck, known]: [Queue<Raw>; 2] = names.map(|name| server.queue(&name).unwrap());
    for queue in [&stuck, &known] {
        queue.push(Raw::from("before")).await.unwrap();
    }
    let fresh: Queue<Raw> = server.queue(&cluster.name_on(other)).unwrap();
    let replica = cluster.replica_of(hung);
    for node in [hung, replica] {
        cluster.nodes[node].freeze();
    }
    let blocked = tokio::spawn(async move { stuck.push(Raw::from("during")).await });
    let (begun, mut slowest) = (Instant::now(), Duration::ZERO);
    while begun.elapsed() < Duration::from_secs(6) {
        for queue in [&known, &fresh] {
            let called = Calm::now();
            queue.push(Raw::from("during")).await.unwrap();
            for delivery in queue.claim(1).await.unwrap() {
                let _settled = delivery.ack().await.unwrap();
            }
            slowest = slowest.max(called.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for node in [hung, replica] {
        cluster.nodes[node].thaw();
    }
    eprintln!("one node hung: the slowest round on another one took {slowest:?}");
    assert!(slowest < UNHARMED, "{slowest:?}");
    blocked.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_are_back_after_all_connections_were_cut() {
    let cluster = whole().await;
    let name = cluster.name_on(cluster.masters()[0]);
    let traffic = Traffic::start(&cluster.url(), &name).await;
    cluster.nodes.iter().for_each(Node::cut);
    let back = traffic.flows_after(Calm::now()).await;
    let (seen, lost) = traffic.end().await;
    eprintln!("all connections cut: flows {back:?} after");
    assert!(lost.is_empty() && seen.failed.is_empty(), "{lost:?} {:?}", seen.failed);
    assert!(back < RESUMED, "{back:?}");
}
