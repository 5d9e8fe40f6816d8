//! What clients do when sentinels make another server the master.

use std::time::{Duration, Instant};

use redeliver::{Queue, Raw, Server};
use tokio::task::block_in_place;
use tokio::time::sleep;

use crate::calm::Calm;
use crate::nodes::{GRANTED, Node, PATIENCE};
use crate::sentinels::{CLIENT, Sentinels, whole};
use crate::traffic::{Traffic, queue};

/// From the moment that a sentinel names another master until messages flow there.
const RESUMED: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(20);

impl Sentinels {
    /// How long after that moment the old master has no client left, and the new one got a message.
    async fn left(&self, old: usize, queue: &str, begun: Calm) -> (Duration, Duration) {
        let meta = format!("rd:{{{queue}.0}}:meta");
        let pushed = |server: usize| -> u64 {
            let told: Option<u64> =
                self.servers[server].try_ask(&["HGET", &meta, "pushed"]).unwrap_or_default();
            told.unwrap_or(0)
        };
        let new = self.master_but(old);
        let (before, mut left, mut came) = (pushed(new), None, None);
        while left.is_none() || came.is_none() {
            assert!(begun.begun.elapsed() < PATIENCE, "left: {left:?}, came: {came:?}");
            let (clients, pushed) = block_in_place(|| (self.servers[old].clients(), pushed(new)));
            if clients == 0 {
                left.get_or_insert_with(|| begun.elapsed());
            }
            if pushed > before {
                came.get_or_insert_with(|| begun.elapsed());
            }
            sleep(LOOK).await;
        }
        (left.unwrap_or_default(), came.unwrap_or_default())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_master_that_sentinels_name_serves_the_queues() {
    let stage = whole().await;
    let server = Server::connect(&stage.url()).await.unwrap();
    let queue: Queue<Raw> = server.queue("named").unwrap();
    queue.push(Raw::from("x")).await.unwrap();
    let claimed = queue.claim(1).await.unwrap().remove(0);
    let _settled = claimed.ack().await.unwrap();
    assert!(queue.check(|_| {}).await.unwrap().is_clean());
    assert_eq!(server.urls().await.unwrap().len(), 1);
    let url = server.url_of(queue.name()).await.unwrap().unwrap();
    assert!(url.starts_with(&stage.servers[stage.master()].url()), "{url}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_sentinel_of_three_is_enough_and_an_unknown_name_is_told() {
    let mut stage = whole().await;
    stage.sentinels[0].kill();
    stage.sentinels[1].freeze();
    let server = Server::connect(&stage.url()).await.unwrap();
    server.queue::<Raw>("enough").unwrap().push(Raw::from("x")).await.unwrap();
    let unknown = stage.url().replace("/main", "/other");
    let error = Server::connect(&unknown).await.unwrap_err().to_string();
    assert!(error.contains("other"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_that_was_ordered_is_followed() {
    let stage = whole().await;
    let old = stage.master();
    stage.servers.iter().for_each(Node::grant);
    let traffic = Traffic::start(&stage.url().replace(CLIENT, GRANTED), "ordered").await;
    stage.hand_over(0);
    block_in_place(|| stage.elected(old));
    let resumed = traffic.flows_after(Calm::now()).await;
    let (seen, lost) = traffic.end().await;
    eprintln!(
        "ordered: flows {resumed:?} after the election, {} of {} lost",
        lost.len(),
        seen.pushed.len()
    );
    assert!(seen.failed.is_empty() && resumed < RESUMED, "{resumed:?} {:?}", seen.failed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_died_is_replaced_and_is_not_followed_when_it_is_back() {
    let mut stage = whole().await;
    let old = stage.master();
    let traffic = Traffic::start(&stage.url(), "died").await;
    stage.servers[old].kill();
    let election = block_in_place(|| stage.elected(old));
    let resumed = traffic.flows_after(Calm::now()).await;
    // It comes back as a master, until a sentinel has made it a replica.
    stage.servers[old].restart();
    traffic.flows_after(Calm::now()).await;
    let (seen, lost) = traffic.end().await;
    eprintln!(
        "killed: elected after {election:?}, flows {resumed:?} later, {} of {} lost",
        lost.len(),
        seen.pushed.len()
    );
    assert!(resumed < RESUMED, "{resumed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_hangs_is_replaced() {
    let stage = whole().await;
    let old = stage.master();
    let traffic = Traffic::start(&stage.url(), "hung").await;
    stage.servers[old].freeze();
    let election = block_in_place(|| stage.elected(old));
    let resumed = traffic.flows_after(Calm::now()).await;
    stage.servers[old].thaw();
    traffic.flows_after(Calm::now()).await;
    let (seen, lost) = traffic.end().await;
    eprintln!(
        "hung: elected after {election:?}, flows {resumed:?} later, {} of {} lost",
        lost.len(),
        seen.pushed.len()
    );
    assert!(resumed < RESUMED, "{resumed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_was_cut_off_is_left_though_it_goes_on_taking_writes() {
    let stage = whole().await;
    let old = stage.master();
    let traffic = Traffic::start(&stage.url(), "cut").await;
    stage.cut_off(old);
    let election = block_in_place(|| stage.elected(old));
    let (left, came) = stage.left(old, "cut", Calm::now()).await;
    stage.let_in();
    let (seen, lost) = traffic.end().await;
    eprintln!(
        "cut off: elected after {election:?}, left {left:?} and resumed {came:?} later, \
        {} of {} lost",
        lost.len(),
        seen.pushed.len()
    );
    assert!(left < RESUMED && came < RESUMED, "{left:?} {came:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_becomes_a_replica_is_left() {
    let stage = whole().await;
    let old = stage.master();
    let traffic = Traffic::start(&stage.url(), "demoted").await;
    stage.cut_off(old);
    block_in_place(|| stage.elected(old));
    let new = stage.master_but(old);
    let port = stage.servers[new].port.to_string();
    stage.servers[old].ask::<()>(&["REPLICAOF", "127.0.0.1", &port]);
    let (left, came) = stage.left(old, "demoted", Calm::now()).await;
    stage.let_in();
    let (_, lost) = traffic.end().await;
    eprintln!("demoted: left {left:?} and resumed {came:?} later, {} lost", lost.len());
    assert!(left < RESUMED && came < RESUMED, "{left:?} {came:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sentinel_that_missed_the_election_is_not_believed() {
    /// The one that is left is asked several times meanwhile.
    const LONG: Duration = Duration::from_secs(4);
    let mut stage = whole().await;
    let old = stage.master();
    let queue = queue(&stage.url(), "missed").await;
    let urls: Vec<_> = stage.servers.iter().map(Node::url).collect();
    let is_on = async |server: usize| {
        let url = queue.server().url_of(queue.name()).await.unwrap().unwrap();
        url.starts_with(&urls[server])
    };
    assert!(is_on(old).await);
    stage.sentinels[0].kill();
    stage.hand_over(1);
    block_in_place(|| stage.elected(old));
    let new = stage.master_but(old);
    while !is_on(new).await {
        sleep(LOOK).await;
    }
    stage.sentinels[1].freeze();
    stage.sentinels[2].freeze();
    stage.sentinels[0].restart();
    assert_eq!(stage.master_by(&stage.sentinels[0]), Some(old));
    let begun = Instant::now();
    while begun.elapsed() < LONG {
        queue.push(Raw::from("x")).await.unwrap();
        assert!(is_on(new).await);
        sleep(LOOK).await;
    }
}
