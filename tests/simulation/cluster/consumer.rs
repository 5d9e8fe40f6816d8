//! Handles messages, by a worker or by hand, and notes each step before it is taken.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use redeliver::{
    Backoff, Context, Delivery, Error, MessageId, Outcome, Policy, Queue, Raw, Retried, Settled,
    Worker,
};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::life::{Life, Point};
use super::notes::{hash, millis};
use crate::history::{Answer, Event, How};

/// Short, so that the work of the dead comes back while the storm lasts.
pub(crate) const LEASE: Duration = Duration::from_secs(2);
/// So few that messages have to wait for their turn.
const CONCURRENCY: usize = 3;
const GRACE: Duration = Duration::from_millis(300);
/// A consumer by hand has no bell.
const LOOK_EVERY_MS: u64 = 800;
const BY_HAND: u32 = 3;
const MAX_BACK_MS: u64 = 1_500;

pub(crate) fn policy() -> Policy {
    let backoff = Backoff::exponential(Duration::from_millis(50)).cap(Duration::from_secs(2));
    Policy::default().lease(LEASE).backoff(backoff.full_jitter())
}

/// What becomes of one delivery; drawn from the id, so that it does not depend on who handles it.
#[derive(Debug, Clone, Copy)]
struct Course {
    nap: Duration,
    /// Does not extend its lease by hand; neither does the next holder, so that both are at it when
    /// this one comes too late.
    slack: bool,
    /// Extends its lease by less than is left of it: nothing changes.
    hasty: bool,
    how: How,
    /// Nothing leaves it to the backoff.
    back: Option<Duration>,
}

impl Course {
    fn of(id: MessageId, attempt: u64) -> Self {
        let drawn = hash(id.to_string().as_bytes());
        let mut rng = Rng::with_seed(drawn ^ attempt);
        let slack = attempt <= 2 && drawn.is_multiple_of(20);
        let how = match rng.u8(..100) {
            ..72 => How::Ack,
            72..87 => How::Retry,
            87..92 => How::Bury,
            _ => How::Release,
        };
        let nap = match rng.u8(..100) {
            _ if slack => LEASE.mul_f64(1.05 + rng.f64() / 2.0),
            // Longer than the lease: it has to be extended.
            ..3 => LEASE.mul_f64(1.0 + rng.f64()),
            3..30 => Duration::from_millis(rng.u64(20..800)),
            _ => Duration::from_millis(rng.u64(..20)),
        };
        let back = match rng.u8(..3) {
            0 => Some(Duration::ZERO),
            1 if how == How::Retry => None,
            _ => Some(Duration::from_millis(rng.u64(1..MAX_BACK_MS))),
        };
        Self { nap, slack, hasty: rng.bool(), how, back }
    }

    /// The least that it waits.
    fn back_ms(self) -> u64 {
        self.back.map_or(0, millis)
    }
}

/// One delivery, as the history knows it.
#[derive(Debug, Clone, Copy)]
struct Held {
    id: MessageId,
    attempt: u64,
    claimed: u64,
}

impl Held {
    fn settle(&self, life: &Life, how: How, delay: u64) {
        let Self { id, attempt, claimed } = *self;
        life.note(Event::Settle { id, attempt, claimed, at: life.notes.now_ms(), how, delay });
    }

    fn settled(&self, life: &Life, how: How, answer: Answer) {
        let Self { id, attempt, claimed } = *self;
        life.note(Event::Settled { id, attempt, claimed, how, answer });
    }

    fn start(&self, life: &Life, failures: u64, payload: &[u8]) {
        let Self { id, attempt, claimed } = *self;
        let (lease, hash) = (millis(LEASE), hash(payload));
        life.note(Event::Start { id, attempt, claimed, lease, failures, hash });
    }
}

/// Runs the library's worker, with its poller.
pub(crate) async fn work(life: Arc<Life>, queue: Queue<Raw>) {
    let its = Arc::clone(&life);
    let handler = move |payload: Raw, context: Context| {
        let life = Arc::clone(&its);
        async move { handle(&life, &payload, &context).await }
    };
    let worker = Worker::new(queue, handler).concurrency(CONCURRENCY).grace(GRACE);
    if let Err(error) = worker.run(life.retire.cancelled()).await {
        life.notes.fail(format!("a worker ended with an error: {error}"));
    }
}

/// A handler that outlasts the grace of its worker is dropped, and its message released.
struct BrokenOff<'a> {
    held: Held,
    life: &'a Life,
}

impl Drop for BrokenOff<'_> {
    fn drop(&mut self) {
        self.held.settle(self.life, How::Release, 0);
    }
}

async fn handle(life: &Life, payload: &Raw, context: &Context) -> Outcome {
    life.pass(Point::Claimed);
    let (id, attempt, claimed) = (context.id(), context.attempt(), context.claimed_ms());
    let held = Held { id, attempt, claimed };
    held.start(life, context.failures(), &payload.0);
    let course = Course::of(id, attempt);
    let broken_off = BrokenOff { held, life };
    sleep(course.nap).await;
    std::mem::forget(broken_off);
    held.settle(life, course.how, course.back_ms());
    life.pass(Point::BeforeSettle);
    match (course.how, course.back) {
        (How::Ack | How::Extend, _) => Outcome::Ack,
        (How::Retry, None) => Outcome::retry("as planned"),
        (How::Retry, Some(back)) => Outcome::retry_after(back, "as planned"),
        (How::Bury, _) => Outcome::bury("as planned"),
        (How::Release, back) => Outcome::release_after(back.unwrap_or_default()),
    }
}

/// Claims and settles by the calls themselves.
pub(crate) async fn by_hand(life: Arc<Life>, queue: Queue<Raw>, mut rng: Rng) {
    let mut holding = JoinSet::new();
    while !life.retire.is_cancelled() {
        let claimed = queue.claim(rng.u32(1..=BY_HAND)).await.unwrap_or_default();
        if claimed.is_empty() {
            sleep(Duration::from_millis(rng.u64(LOOK_EVERY_MS / 2..2 * LOOK_EVERY_MS))).await;
        }
        for delivery in claimed {
            holding.spawn(hold(Arc::clone(&life), delivery));
        }
        while holding.try_join_next().is_some() {}
    }
}

async fn hold(life: Arc<Life>, delivery: Delivery<Raw>) {
    life.pass(Point::Claimed);
    let (id, attempt, claimed) = (delivery.id(), delivery.attempt(), delivery.claimed_ms());
    let held = Held { id, attempt, claimed };
    held.start(&life, delivery.failures(), delivery.bytes());
    let course = Course::of(id, attempt);
    let end = Instant::now() + course.nap;
    let extend = async |lease: Duration| {
        held.settle(&life, How::Extend, millis(lease));
        let answer = answer(&delivery.extend(lease).await);
        held.settled(&life, How::Extend, answer);
    };
    if course.hasty && !course.slack {
        extend(LEASE / 4).await;
    }
    while !course.slack && end.duration_since(Instant::now()) > LEASE / 4 {
        sleep(LEASE / 4).await;
        extend(LEASE).await;
    }
    sleep(end.duration_since(Instant::now())).await;
    held.settle(&life, course.how, course.back_ms());
    life.pass(Point::BeforeSettle);
    let settled = match (course.how, course.back) {
        (How::Ack | How::Extend, _) => delivery.ack().await,
        (How::Retry, None) => delivery.retry("as planned").await.map(Retried::settled),
        (How::Retry, Some(back)) => {
            delivery.retry_after(back, "as planned").await.map(Retried::settled)
        }
        (How::Bury, _) => delivery.bury("as planned").await,
        (How::Release, back) => delivery.release(back.unwrap_or_default()).await,
    };
    life.pass(Point::SettleAnswered);
    held.settled(&life, course.how, answer(&settled));
}

fn answer(settled: &Result<Settled, Error>) -> Answer {
    match settled {
        Ok(Settled::Done) => Answer::Done,
        Ok(Settled::Lost) => Answer::Lost,
        Ok(Settled::Unknown) | Err(Error::Ambiguous { .. }) => Answer::Unknown,
        Err(_) => Answer::Refused,
    }
}
