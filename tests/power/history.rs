//! A queue with an eventful life, whose append-only file holds the effects of every verb.

use std::time::Duration;

use fastrand::Rng;
use redeliver::{Delivery, Message, MessageId, Policy, Queue, Raw, Rescheduled};

use crate::fixture::{Fixture, SECOND, TestServer};

/// Rounds until each verb met each kind of message more than once.
const ROUNDS: usize = 12;
const NAME: &str = "eventful";

/// The queue of an eventful life on a server that has, or has read, its file.
pub(crate) async fn fixture(server: &TestServer) -> Fixture {
    // Failures are soon spent, retention soon reached, and no lease ends unless it is made to.
    let policy = Policy::default().max_attempts(2).lease(600 * SECOND);
    Fixture::named(NAME, server, policy.dead_retention(6, 3600 * SECOND)).await
}

pub(crate) async fn live(fixture: &Fixture, random: &mut Rng) {
    fixture.queue.push(Raw::from("to be destroyed")).await.unwrap();
    assert_eq!(fixture.queue.destroy().await.unwrap(), 1);
    for round in 0..ROUNDS {
        let pushed = produce(&fixture.queue, random, round).await;
        consume(&fixture.queue, random).await;
        bring_back(fixture, random).await;
        operate(&fixture.queue, &pushed, random).await;
    }
    let told = fixture.counts().await;
    for (verb, count) in [
        ("ack", told.acked),
        ("retry", told.retried),
        ("release", told.released),
        ("bury", told.buried),
        ("promotion", told.promoted),
        ("reclaim", told.reclaimed),
        ("death", told.died),
        ("cancel", told.cancelled),
        ("redrive", told.redriven),
        ("purge", told.purged),
        ("trim", told.trimmed),
    ] {
        assert!(count > 0, "no {verb} in {told:?}");
    }
}

/// Now and later, with and without a key, together and alone.
async fn produce(queue: &Queue<Raw>, random: &mut Rng, round: usize) -> Vec<MessageId> {
    let size = random.usize(..60);
    let message = |at: u32| {
        let message = Message::new(Raw(vec![b'x'; size])).kind("eventful");
        let message =
            if at.is_multiple_of(3) { message.key(format!("{round}-{at}")) } else { message };
        message.delay(SECOND * u32::from(at.is_multiple_of(2)) * 3600)
    };
    let pushed = queue.push_all((0..12).map(message)).await.unwrap();
    for at in 0..4 {
        queue.push(message(at)).await.unwrap();
    }
    pushed.into_iter().map(redeliver::Pushed::id).collect()
}

async fn consume(queue: &Queue<Raw>, random: &mut Rng) {
    let delays = [Duration::ZERO, 3600 * SECOND];
    for _ in 0..8 {
        let delay = delays[random.usize(..2)];
        for delivery in queue.claim(random.u32(1..4)).await.unwrap() {
            settle(delivery, random.u8(..7), delay).await;
        }
    }
}

async fn settle(delivery: Delivery<Raw>, choice: u8, delay: Duration) {
    let settled = match choice {
        0 | 1 => delivery.ack().await,
        2 | 3 => delivery.retry_after(delay, "once more").await.map(redeliver::Retried::settled),
        4 => delivery.release(delay).await,
        5 => delivery.bury("hopeless").await,
        // It stays pending.
        _ => delivery.extend(1200 * SECOND).await,
    };
    assert_eq!(settled.unwrap(), redeliver::Settled::Done);
}

/// Some of what waits falls due, some leases end.
async fn bring_back(fixture: &Fixture, random: &mut Rng) {
    for state in ["scheduled", "pending"] {
        for id in fixture.ids(state) {
            if random.bool() {
                fixture.age(state, id.parse().unwrap(), 7200 * SECOND);
            }
        }
    }
    fixture.queue.redeliver(1000).await.unwrap();
}

async fn operate(queue: &Queue<Raw>, pushed: &[MessageId], random: &mut Rng) {
    let some = |random: &mut Rng| random.choose_multiple(pushed.iter().copied(), 3);
    queue.cancel(&some(random)).await.unwrap();
    for delay in [Duration::ZERO, 1800 * SECOND] {
        let due = redeliver::Due::After(delay);
        let outcomes = queue.reschedule(&some(random), due).await.unwrap();
        assert!(!outcomes.contains(&Rescheduled::Deferred));
    }
    queue.pause().await.unwrap();
    queue.resume().await.unwrap();
    let now = queue.counts().await.unwrap().now_ms;
    queue.dead().redrive_oldest(1, now).await.unwrap();
    queue.dead().purge_oldest(1, now).await.unwrap();
    queue.dead().trim().await.unwrap();
}
