//! Slots that move from one node to another while their queues are at work.

use std::io::Write as _;
use std::time::Duration;

use redeliver::Raw;

use crate::calm::Calm;
use crate::cluster::{Cluster, whole};
use crate::nodes::{GRANTED, Node, until};
use crate::traffic::{Traffic, queue};
use crate::under_test;

/// A client that was told where a slot has gone goes there at once; the rest is the machine's.
const SOON: Duration = Duration::from_secs(2);

impl Cluster {
    /// How often any node has answered so since the start of the statistics.
    fn errors(&self, code: &str) -> u64 {
        let count = |node: &Node| {
            let told = node.info("errorstats", &format!("errorstat_{code}"));
            told.map_or(0, |told| told.trim_start_matches("count=").parse().unwrap())
        };
        self.nodes.iter().map(count).sum()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_at_work_follows_its_slot_that_moves_key_by_key() {
    let cluster = whole().await;
    let name = cluster.name_on(cluster.masters()[0]);
    let slot = cluster.slot(&name);
    let (from, to) = cluster.two_masters(slot);
    cluster.nodes.iter().for_each(|node| node.ask(&["CONFIG", "RESETSTAT"]));
    cluster.nodes.iter().for_each(Node::grant);
    let url = cluster.url().replace("://", &format!("://{GRANTED}"));
    let traffic = Traffic::start(&url, &name).await;
    tokio::task::block_in_place(|| cluster.migrate(slot, from, to, Duration::from_millis(50)));
    let resumed = traffic.flows_after(Calm::now()).await;
    until("all nodes know", || cluster.owner(&name) == to);
    let (seen, lost) = traffic.end().await;
    let [ask, again, moved] = ["ASK", "TRYAGAIN", "MOVED"].map(|code| cluster.errors(code));
    eprintln!(
        "moved key by key: flows {resumed:?} after, {} pushed, slowest {:?}, \
        {ask} ASK, {again} TRYAGAIN, {moved} MOVED",
        seen.pushed.len(),
        seen.slowest
    );
    assert!(lost.is_empty() && seen.failed.is_empty(), "{lost:?} {:?}", seen.failed);
    assert!(ask + again > 0 && moved > 0);
    assert!(resumed < SOON, "{resumed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_workers_wake_where_their_slot_has_gone() {
    let cluster = whole().await;
    let name = cluster.name_on(cluster.masters()[1]);
    let slot = cluster.slot(&name);
    let (from, to) = cluster.two_masters(slot);
    let mut traffic = Traffic::start(&cluster.url(), &name).await;
    traffic.pause().await;
    cluster.migrate(slot, from, to, Duration::ZERO);
    let begun = Calm::now();
    let other = queue(&cluster.url(), &name).await;
    let id = other.push(Raw::from("wake")).await.unwrap().id();
    traffic.handled(id).await;
    let woken = begun.elapsed();
    eprintln!("woken {woken:?} after a push to the slot's new node");
    assert!(woken < SOON, "{woken:?}");
    let (_, lost) = traffic.end().await;
    assert!(lost.is_empty(), "{lost:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_at_work_follows_its_slot_that_moves_as_a_whole() {
    let cluster = whole().await;
    if !cluster.moves_slots_at_once() {
        let named = under_test::named();
        writeln!(std::io::stderr(), "left out, {named} moves slots key by key alone").ok();
        return;
    }
    let name = cluster.name_on(cluster.masters()[0]);
    let slot = cluster.slot(&name);
    let (from, to) = cluster.two_masters(slot);
    cluster.nodes.iter().for_each(|node| node.ask(&["CONFIG", "RESETSTAT"]));
    cluster.nodes.iter().for_each(Node::grant);
    let url = cluster.url().replace("://", &format!("://{GRANTED}"));
    let traffic = Traffic::start(&url, &name).await;
    tokio::task::block_in_place(|| cluster.migrate_at_once(slot, from, to));
    let resumed = traffic.flows_after(Calm::now()).await;
    let (seen, lost) = traffic.end().await;
    let [ask, again, moved] = ["ASK", "TRYAGAIN", "MOVED"].map(|code| cluster.errors(code));
    eprintln!(
        "moved as a whole: flows {resumed:?} after, {} pushed, slowest {:?}, {moved} MOVED",
        seen.pushed.len(),
        seen.slowest
    );
    assert!(lost.is_empty() && seen.failed.is_empty(), "{lost:?} {:?}", seen.failed);
    assert!(ask + again == 0 && moved > 0);
    assert!(resumed < SOON, "{resumed:?}");
}
