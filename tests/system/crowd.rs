use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redeliver::{Message, MessageId, Policy, Raw, Settled};
use tokio::task::JoinSet;

use crate::fixture::{Fixture, TestServer, shared};

const MESSAGES: usize = 20_000;
const POLLERS: usize = 64;
const CLAIMERS: usize = 16;

/// Who holds what, as the claimers themselves see it.
#[derive(Default)]
struct Holders {
    held: HashMap<MessageId, u64>,
    acked: HashMap<MessageId, u64>,
}

impl Holders {
    fn take(&mut self, id: MessageId, attempt: u64) {
        let holder = self.held.insert(id, attempt);
        assert_eq!(holder, None, "{id} was handed out while attempt {holder:?} held it");
        assert!(!self.acked.contains_key(&id), "{id} came back after its ack");
    }

    fn finish(&mut self, id: MessageId, attempt: u64) {
        self.give_back(id);
        self.acked.insert(id, attempt);
    }

    fn give_back(&mut self, id: MessageId) {
        self.held.remove(&id).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_pollers_and_claimers_never_share_a_message_nor_lose_one() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let server = TestServer::start(&[]);
    // No lease ends by itself, however long a busy machine takes for 50 messages.
    let policy = Policy::default().max_attempts(0).lease(Duration::from_secs(600));
    let fixture = Fixture::on(&server, policy).await;
    let mut random = fastrand::Rng::with_seed(seed);
    let delayed = (0..MESSAGES).map(|i| {
        let delay = Duration::from_millis(random.u64(0..500));
        Message::new(Raw(i.to_string().into_bytes())).delay(delay)
    });
    fixture.queue.push_all(delayed.collect::<Vec<_>>()).await.unwrap();

    let mut pollers = JoinSet::new();
    for _ in 0..POLLERS {
        let queue = fixture.other().await;
        pollers.spawn(redeliver::Poller::new(queue).run(std::future::pending::<()>()));
    }
    let holders = Arc::new(Mutex::new(Holders::default()));
    let mut claimers = JoinSet::new();
    for claimer in 0..CLAIMERS {
        let (queue, holders) = (fixture.other().await, Arc::clone(&holders));
        let mut random = fastrand::Rng::with_seed(seed ^ claimer as u64);
        claimers.spawn(async move {
            while queue.counts().await.unwrap().messages > 0 {
                for delivery in queue.claim(50).await.unwrap() {
                    let (id, attempt) = (delivery.id(), delivery.attempt());
                    holders.lock().unwrap().take(id, attempt);
                    // Given back before the call: from then on another may hold it.
                    if random.u8(..) < 64 {
                        holders.lock().unwrap().give_back(id);
                        let delay = Duration::from_millis(random.u64(0..20));
                        assert_eq!(delivery.release(delay).await.unwrap(), Settled::Done);
                    } else {
                        holders.lock().unwrap().finish(id, attempt);
                        assert_eq!(delivery.ack().await.unwrap(), Settled::Done);
                    }
                }
            }
        });
    }
    while let Some(done) = claimers.join_next().await {
        done.unwrap();
    }
    assert_eq!(holders.lock().unwrap().acked.len(), MESSAGES);
    assert_eq!(fixture.counts().await.reclaimed, 0);
    fixture.assert_law().await;
}

#[tokio::test]
async fn fifty_thousand_due_at_once_move_in_bounded_calls() {
    const DUE: u64 = 50_000;
    const LIMIT: u32 = 1000;
    let fixture = Fixture::on(shared(), Policy::default()).await;
    let soon = || Message::new(Raw::from("x")).delay(Duration::from_millis(1));
    fixture.queue.push_all((0..DUE).map(|_| soon())).await.unwrap();
    let (mut calls, mut promoted) = (0, 0);
    while promoted < DUE {
        let moved = fixture.queue.redeliver(LIMIT).await.unwrap();
        assert!(moved.promoted <= u64::from(LIMIT));
        assert_eq!(moved.more, promoted + moved.promoted < DUE);
        promoted += moved.promoted;
        calls += 1;
        assert_eq!(fixture.states().await, [promoted, DUE - promoted, 0, 0]);
    }
    assert_eq!(calls, DUE / u64::from(LIMIT));
    fixture.assert_law().await;
}
