//! Handles messages, by a worker or by hand, and notes each step before it is taken.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use redeliver::{Context, Delivery, Error, MessageId, Outcome, Raw, Retried, Settled, Worker};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use crate::agent::{Agent, LEASE, Point, hash};
use crate::heartbeat::by_host;
use crate::history::{Answer, Event, How};
use crate::producer::millis;

const CONCURRENCY: usize = 64;
/// A consumer by hand has no bell.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const MAX_BACK_MS: u64 = 400;

/// What a handler does with one delivery; drawn from the id, so that it does not depend on who
/// handles it.
#[derive(Debug, Clone, Copy)]
struct Plan {
    nap: Duration,
    /// Does not extend its lease by hand; neither does the next holder, so that both are at it when
    /// this one comes too late.
    slack: bool,
    blocks: bool,
    panics: bool,
    how: How,
    back_ms: u64,
}

impl Plan {
    fn of(id: MessageId, attempt: u64) -> Self {
        let drawn = hash(id.to_string().as_bytes());
        let mut rng = fastrand::Rng::with_seed(drawn ^ attempt);
        let slack = attempt <= 2 && drawn.is_multiple_of(200);
        let how = match rng.u8(..100) {
            ..80 => How::Ack,
            80..92 => How::Retry,
            92..94 => How::Bury,
            _ => How::Release,
        };
        let nap = match rng.u32(..1000) {
            _ if slack => LEASE.mul_f64(1.05 + rng.f64() / 2.0),
            // Longer than the lease: it has to be extended.
            0..3 => LEASE.mul_f64(1.0 + rng.f64()),
            3..100 => Duration::from_millis(rng.u64(20..200)),
            _ => Duration::from_millis(rng.u64(..10)),
        };
        let (blocks, panics) =
            (!slack && rng.u32(..1000) < 2, how == How::Retry && rng.u8(..10) == 0);
        let back_ms = if rng.bool() { 0 } else { rng.u64(1..MAX_BACK_MS) };
        // After a panic the queue's own backoff holds, which is at least this long.
        Self { nap, slack, blocks, panics, how, back_ms: if panics { 0 } else { back_ms } }
    }

    fn back(self) -> Duration {
        Duration::from_millis(self.back_ms)
    }
}

/// One delivery, as the history knows it; times are the host's.
#[derive(Debug, Clone, Copy)]
struct Held {
    id: MessageId,
    attempt: u64,
    claimed: u64,
    taken: Instant,
}

impl Held {
    fn new(id: MessageId, attempt: u64, claimed_ms: u64, taken: Instant) -> Self {
        Self { id, attempt, claimed: by_host(claimed_ms), taken }
    }

    fn settle(&self, how: How, delay: u64) -> Event {
        let Self { id, attempt, claimed, taken } = *self;
        Event::Settle { id, attempt, claimed, at: claimed + millis(taken.elapsed()), how, delay }
    }

    fn settled(&self, how: How, answer: Answer) -> Event {
        let Self { id, attempt, claimed, .. } = *self;
        Event::Settled { id, attempt, claimed, how, answer }
    }

    fn start(&self, failures: u64, payload: &[u8]) -> Event {
        let Self { id, attempt, claimed, .. } = *self;
        Event::Start { id, attempt, claimed, lease: millis(LEASE), failures, hash: hash(payload) }
    }
}

pub(crate) async fn work(agent: Agent, end: impl Future<Output = ()>) -> Result<()> {
    let queue = agent.queue.clone();
    let agent = Arc::new(agent);
    let polls = agent.args.seed.is_multiple_of(2);
    let handler = move |payload: Raw, context: Context| {
        let agent = Arc::clone(&agent);
        async move { handle(&agent, &payload, &context).await }
    };
    let mut worker = Worker::new(queue, handler).concurrency(CONCURRENCY);
    if !polls {
        worker = worker.without_poller();
    }
    tokio::select! {
        done = worker.run(std::future::pending::<()>()) => done?,
        () = end => {}
    }
    Ok(())
}

async fn handle(agent: &Agent, payload: &Raw, context: &Context) -> Result<Outcome> {
    agent.pass(Point::Claimed);
    let (id, attempt, claimed) = (context.id(), context.attempt(), context.claimed_ms());
    let held = Held::new(id, attempt, claimed, Instant::now());
    agent.log.note(&held.start(context.failures(), &payload.0))?;
    let plan = Plan::of(id, attempt);
    if plan.blocks {
        thread::sleep(plan.nap);
    } else {
        sleep(plan.nap).await;
    }
    agent.pass(Point::InHandler);
    agent.log.note(&held.settle(plan.how, plan.back_ms))?;
    agent.pass(Point::BeforeSettle);
    agent.pass_soon(Point::SettleSent);
    assert!(!plan.panics, "as planned");
    Ok(match plan.how {
        How::Ack | How::Extend => Outcome::Ack,
        How::Retry => Outcome::retry_after(plan.back(), "as planned"),
        How::Bury => Outcome::bury("as planned"),
        How::Release => Outcome::release_after(plan.back()),
    })
}

pub(crate) async fn by_hand(agent: Agent, end: impl Future<Output = ()>) -> Result<()> {
    let agent = Arc::new(agent);
    let claiming = async {
        let room = Arc::new(Semaphore::new(CONCURRENCY));
        loop {
            let slot = Arc::clone(&room).acquire_owned().await?;
            let free = 1 + u32::try_from(room.available_permits())?;
            let claimed = agent.queue.claim(free.min(16)).await.unwrap_or_default();
            if claimed.is_empty() {
                sleep(LOOK_EVERY).await;
                continue;
            }
            drop(slot);
            for delivery in claimed {
                let taken = Instant::now();
                let (agent, room) = (Arc::clone(&agent), Arc::clone(&room));
                tokio::spawn(async move {
                    let _slot = room.acquire_owned().await;
                    hold(&agent, delivery, taken).await
                });
            }
        }
    };
    tokio::select! {
        claimed = claiming => claimed,
        () = end => Ok(()),
    }
}

async fn hold(agent: &Agent, delivery: Delivery<Raw>, taken: Instant) -> Result<()> {
    agent.pass(Point::Claimed);
    let (id, attempt, claimed) = (delivery.id(), delivery.attempt(), delivery.claimed_ms());
    let held = Held::new(id, attempt, claimed, taken);
    agent.log.note(&held.start(delivery.failures(), delivery.bytes()))?;
    let plan = Plan::of(id, attempt);
    let end = taken + plan.nap;
    while !plan.slack && end.duration_since(Instant::now()) > LEASE / 4 {
        sleep(LEASE / 4).await;
        agent.log.note(&held.settle(How::Extend, millis(LEASE)))?;
        let answer = answer(&delivery.extend(LEASE).await);
        agent.log.note(&held.settled(How::Extend, answer))?;
    }
    sleep(end.duration_since(Instant::now())).await;
    agent.pass(Point::InHandler);
    agent.log.note(&held.settle(plan.how, plan.back_ms))?;
    agent.pass(Point::BeforeSettle);
    agent.pass_soon(Point::SettleSent);
    let settled = match plan.how {
        How::Ack | How::Extend => delivery.ack().await,
        How::Retry => delivery.retry_after(plan.back(), "as planned").await.map(Retried::settled),
        How::Bury => delivery.bury("as planned").await,
        How::Release => delivery.release(plan.back()).await,
    };
    agent.pass(Point::SettleAnswered);
    agent.log.note(&held.settled(plan.how, answer(&settled)))?;
    Ok(())
}

fn answer(settled: &Result<Settled, Error>) -> Answer {
    match settled {
        Ok(Settled::Done) => Answer::Done,
        Ok(Settled::Lost) => Answer::Lost,
        Ok(Settled::Unknown) | Err(Error::Ambiguous { .. }) => Answer::Unknown,
        Err(_) => Answer::Refused,
    }
}
