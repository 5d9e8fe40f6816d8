//! The server loses its power under traffic: it dies, and of its files is left what it had synced.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fastrand::Rng;
use redeliver::{Durability, MessageId, Policy, Raw};
use tokio::task::JoinSet;

use crate::fixture::{Fixture, SECOND, TestServer};
use crate::syncs::{SyncLog, incremental};
use crate::traffic::{Book, Confirmed, Desk, Traffic};
use crate::{seeded, setting};

/// Cuts of each run: enough for an answer, few enough for every run of the tests.
const CUTS: u64 = 4;
/// A cut falls anywhere in two periods of `everysec`.
const LONGEST_MS: u64 = 2000;
/// Traffic has to be there before it can be lost.
const FEWEST: usize = 100;

/// A server under traffic that loses its power again and again.
struct Run {
    fsync: &'static str,
    syncs: Arc<SyncLog>,
    server: TestServer,
    fixture: Fixture,
    desk: Desk,
    random: Rng,
    tally: Tally,
}

/// What a run lost.
#[derive(Debug, Default)]
struct Tally {
    cuts: u64,
    confirmed: usize,
    lost: usize,
    came_back: usize,
    bytes: u64,
    /// From the answer to the oldest push that was lost to the end of the server.
    window: Duration,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cuts, confirmed, lost, came_back, bytes, window } = self;
        write!(
            f,
            "{lost} of {confirmed} confirmed pushes lost in {cuts} cuts, the oldest {} ms before, \
             with {bytes} bytes; {came_back} messages came back after their ack",
            window.as_millis()
        )
    }
}

/// One loss of power, seen from the clients.
struct Cut {
    lost: Vec<Confirmed>,
    /// See [`Synced::covers`](crate::syncs::Synced::covers).
    synced: u64,
}

impl Run {
    async fn new(fsync: &'static str) -> Self {
        Self::of(fsync, Durability::Memory).await
    }

    async fn of(fsync: &'static str, durability: Durability) -> Self {
        let random = seeded();
        let syncs = Arc::new(SyncLog::new());
        // Rewrites come when the test asks for them.
        let rewrite = ["--auto-aof-rewrite-percentage", "0"];
        let args = ["--appendonly", "yes", "--appendfsync", fsync, rewrite[0], rewrite[1]];
        let server = syncs.start(&args);
        let policy = Policy::default().max_attempts(5).lease(SECOND).durability(durability);
        let fixture = Fixture::on(&server, policy).await;
        let book = Arc::new(Mutex::new(Book::default()));
        let desk = Desk { queue: fixture.queue.clone(), book, syncs: Arc::clone(&syncs) };
        Self { fsync, syncs, server, fixture, desk, random, tally: Tally::default() }
    }

    fn confirmed(&self) -> usize {
        self.desk.book.lock().unwrap().confirmed()
    }

    /// Traffic up to a random moment, the cut, a restart on what is left, and the law.
    async fn cut(&mut self, rewrite: bool) -> Cut {
        let before = self.confirmed();
        let traffic = Traffic::start(&self.desk, &mut self.random);
        let moment = Instant::now() + Duration::from_millis(self.random.u64(..LONGEST_MS));
        while self.confirmed() < before + FEWEST || Instant::now() < moment {
            tokio::time::sleep(Duration::from_millis(self.random.u64(1..5))).await;
        }
        if rewrite {
            self.fixture.redis::<()>(&["BGREWRITEAOF"]);
            tokio::time::sleep(Duration::from_millis(self.random.u64(..50))).await;
        }
        self.server.kill();
        let killed = Instant::now();
        traffic.stop();
        let synced = self.syncs.synced();
        self.tally.bytes += synced.cut(&self.server);
        let synced = synced.covers(&incremental(self.server.dir()));
        self.server.restart();
        self.fixture.reconnect(&self.server);
        // Calls that were under way are repeated and answered now, by the server as it came back.
        traffic.ended().await;
        self.fixture.assert_law().await;
        let confirmed = self.confirmed();
        let (lost, came_back) = self.desk.book.lock().unwrap().close(&self.live());
        self.tally.cuts += 1;
        self.tally.confirmed += confirmed - before;
        self.tally.lost += lost.len();
        self.tally.came_back += came_back;
        let windows = lost.iter().map(|confirmed| killed.saturating_duration_since(confirmed.at));
        self.tally.window = windows.max().unwrap_or_default().max(self.tally.window);
        Cut { lost, synced }
    }

    fn live(&self) -> HashSet<MessageId> {
        let ids: Vec<String> = self.fixture.redis(&["HKEYS", &self.fixture.key("messages")]);
        ids.iter().map(|id| id.parse().unwrap()).collect()
    }

    /// Delivers and acknowledges whatever is there, wherever it is: of what survived nothing may
    /// have become undeliverable.
    async fn drain(&mut self) {
        let (fixture, queue) = (&self.fixture, &self.desk.queue);
        loop {
            for state in ["scheduled", "pending"] {
                let key = fixture.key(state);
                fixture.redis::<()>(&["ZUNIONSTORE", &key, "1", &key, "WEIGHTS", "0"]);
            }
            queue.redeliver(1000).await.unwrap();
            let now = fixture.counts().await.now_ms;
            queue.dead().redrive_oldest(1000, now).await.unwrap();
            let mut acks = JoinSet::new();
            for delivery in queue.claim(1000).await.unwrap() {
                let desk = self.desk.clone();
                acks.spawn(async move { desk.ack(delivery).await });
            }
            acks.join_all().await;
            if fixture.counts().await.messages == 0 {
                break;
            }
        }
        assert!(self.desk.book.lock().unwrap().is_done(), "a message was never delivered");
        self.fixture.assert_law().await;
        eprintln!("{}: {}", self.fsync, self.tally);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn always_loses_no_confirmed_push_to_a_power_loss() {
    let mut run = Run::new("always").await;
    for cut in 0..setting("REDELIVER_POWER_CUTS", CUTS) {
        // Every other cut falls into a rewrite of the file.
        let lost = run.cut(cut % 2 == 1).await.lost;
        assert!(lost.is_empty(), "{} confirmed pushes were lost", lost.len());
    }
    run.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everysec_loses_only_what_was_confirmed_after_the_last_synced_write() {
    let mut run = Run::new("everysec").await;
    for _ in 0..setting("REDELIVER_POWER_CUTS", CUTS) {
        let Cut { lost, synced } = run.cut(false).await;
        let covered = lost.iter().filter(|confirmed| confirmed.mark <= synced).count();
        assert_eq!(covered, 0, "of {} lost pushes some were synced", lost.len());
    }
    run.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_push_that_is_proven_synced_is_lost_to_a_power_loss() {
    let mut run = Run::of("always", Durability::Synced).await;
    for _ in 0..setting("REDELIVER_POWER_CUTS", CUTS) {
        let lost = run.cut(false).await.lost;
        assert!(lost.is_empty(), "{} synced pushes were lost", lost.len());
    }
    run.drain().await;
}

/// Shows that the cut bites: what was never synced is gone, and a server that loses nothing here
/// would make the other tests worthless.
#[tokio::test]
async fn without_syncs_a_power_loss_takes_everything() {
    let syncs = SyncLog::new();
    let mut server = syncs.start(&["--appendonly", "yes", "--appendfsync", "no"]);
    let fixture = Fixture::on(&server, Policy::default()).await;
    fixture.push_many(100).await;
    server.kill();
    assert!(syncs.synced().cut(&server) > 0);
    server.restart();
    fixture.reconnect(&server);
    assert_eq!((fixture.counts().await.pushed, fixture.states().await), (0, [0; 4]));
    fixture.queue.push(Raw::from("x")).await.unwrap();
    fixture.assert_law().await;
}
