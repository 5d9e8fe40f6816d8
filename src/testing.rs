//! A queue in memory, under a clock that the test moves: for tests of code that uses queues, without
//! a server, in milliseconds.
//!
//! It runs the real scripts on the [embedded engine](crate::embedded), and is in every other way a
//! [`Queue`]. Time stands still until [`advance`](TestQueue::advance) moves it, so a delay of a day
//! is over at once, and a lease ends when the test says so.
//!
//! ```
//! use std::time::Duration;
//! use redeliver::testing::TestQueue;
//! use redeliver::{Context, Message, Queue};
//!
//! // What is to be tested.
//! async fn sign_up(emails: &Queue<String>, address: &str) -> redeliver::Result<()> {
//!     emails.push(format!("welcome {address}")).await?;
//!     let survey = Message::new(format!("survey {address}"));
//!     emails.push(survey.delay(Duration::from_secs(24 * 3600))).await?;
//!     Ok(())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> redeliver::Result<()> {
//! let emails: TestQueue<String> = TestQueue::new()?;
//! sign_up(&emails, "ada").await?;
//! emails.assert_ready(&["welcome ada"]).await;
//!
//! emails.advance(Duration::from_secs(24 * 3600)).await?;
//! emails.assert_ready(&["welcome ada", "survey ada"]).await;
//!
//! // Handles all there is, retries included, however far away they are.
//! let drained = emails
//!     .drain(async |email: String, _: Context| match email.as_str() {
//!         "survey ada" => Err("nobody there"),
//!         _ => Ok(()),
//!     })
//!     .await?;
//! assert_eq!((drained.acked, drained.died), (1, 1));
//! emails.assert_dead(&["survey ada"]).await;
//! # Ok(()) }
//! ```
//!
//! A [`Worker`](crate::Worker) runs on it as on any queue: give it [`queue`](TestQueue::queue). A
//! test that uses tokio's own paused clock cannot use it, since the engine is another thread, on
//! which that clock does not wait.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::backoff::MAX_DELAY;
use crate::context::Context;
use crate::delivery::{Delivery, Retried, Settled};
use crate::embedded::{Clock, Engine, Options};
use crate::error::Result;
use crate::handling::Handler;
use crate::message::Payload;
use crate::name::State;
use crate::outcome::Outcome;
use crate::policy::Policy;
use crate::queue::Queue;
use crate::server::Server;

/// The test's clock starts here: 2001-09-09, when 10^9 seconds had passed.
const BEGINNING: Duration = Duration::from_secs(1_000_000_000);
/// A drain that handles more than this will not end.
const MAX_DRAINED: u64 = 1_000_000;
const PASS: u32 = 1_000;

/// A queue in memory under a clock of its own. It derefs to the [`Queue`].
#[derive(Debug)]
pub struct TestQueue<T> {
    queue: Queue<T>,
    clock: Clock,
}

/// What a [`drain`](TestQueue::drain) has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Drained {
    /// Deliveries that were handled.
    pub handled: u64,
    /// Of these, those that were acknowledged.
    pub acked: u64,
    /// Those that failed or were released, and came again.
    pub again: u64,
    /// Those that ended as dead letters.
    pub died: u64,
    /// Those that had lost their lease, as when the handler moves the clock.
    pub lost: u64,
}

impl<T> Deref for TestQueue<T> {
    type Target = Queue<T>;

    fn deref(&self) -> &Queue<T> {
        &self.queue
    }
}

impl<T: Payload> TestQueue<T> {
    /// An empty queue on an engine of its own.
    pub fn new() -> Result<Self> {
        let clock = Clock::stopped(BEGINNING);
        let engine = Engine::start(Options::default().with_clock(clock.clone()))?;
        Ok(Self { queue: Server::embedded(&engine).queue("test")?, clock })
    }

    /// The same under another policy.
    pub fn with_policy(self, policy: Policy) -> Result<Self> {
        Ok(Self { queue: self.queue.with_policy(policy)?, clock: self.clock })
    }

    /// The queue itself, as a worker wants it.
    pub fn queue(&self) -> Queue<T> {
        self.queue.clone()
    }

    /// Moves the clock, and then brings back what has fallen due and what nobody has acknowledged in
    /// time: afterwards it is ready, or dead when its failures are spent.
    pub async fn advance(&self, by: Duration) -> Result<()> {
        self.clock.advance(by.min(MAX_DELAY));
        while self.queue.redeliver(PASS).await?.more {}
        Ok(())
    }

    /// Gives all messages to a handler, one after the other, until none is ready or scheduled; where
    /// all that is left is due later, the clock goes there. What others hold stays with them.
    ///
    /// # Panics
    ///
    /// When the handler does, and after a million deliveries.
    pub async fn drain<H: Handler<T>>(&self, handler: H) -> Result<Drained> {
        let mut drained = Drained::default();
        loop {
            let claimed = self.queue.claim(1).await?;
            if let Some(delivery) = claimed.into_iter().next() {
                assert!(drained.handled < MAX_DRAINED, "the handler never ends: {drained:?}");
                drained.handled += 1;
                *handle(&handler, delivery).await?.counter(&mut drained) += 1;
                continue;
            }
            let counts = self.queue.counts().await?;
            let Some(due) = counts.next_due_ms.filter(|_| !counts.paused) else {
                return Ok(drained);
            };
            self.advance(Duration::from_millis(due.saturating_sub(counts.now_ms))).await?;
        }
    }

    /// The payloads of all messages in a state, in the order of that state.
    pub async fn payloads(&self, state: State) -> Result<Vec<T>> {
        let (mut payloads, mut start) = (Vec::new(), Some(0));
        while let Some(from) = start {
            let page = self.queue.peek(state, from, PASS).await?;
            start = page.next;
            for message in page.messages {
                payloads.push(T::decode(&message.payload)?);
            }
        }
        Ok(payloads)
    }

    /// These are ready, oldest first, and no others.
    ///
    /// # Panics
    ///
    /// Otherwise.
    pub async fn assert_ready<P: fmt::Debug>(&self, expected: &[P])
    where
        T: PartialEq<P> + fmt::Debug,
    {
        self.assert_state(State::Ready, expected).await;
    }

    /// These are scheduled, soonest first, and no others.
    ///
    /// # Panics
    ///
    /// Otherwise.
    pub async fn assert_scheduled<P: fmt::Debug>(&self, expected: &[P])
    where
        T: PartialEq<P> + fmt::Debug,
    {
        self.assert_state(State::Scheduled, expected).await;
    }

    /// These are the dead letters, first dead first, and no others.
    ///
    /// # Panics
    ///
    /// Otherwise.
    pub async fn assert_dead<P: fmt::Debug>(&self, expected: &[P])
    where
        T: PartialEq<P> + fmt::Debug,
    {
        self.assert_state(State::Dead, expected).await;
    }

    /// This was pushed and still lives, in whatever state.
    ///
    /// # Panics
    ///
    /// Otherwise.
    pub async fn assert_pushed<P: fmt::Debug>(&self, expected: &P)
    where
        T: PartialEq<P> + fmt::Debug,
    {
        let mut seen = Vec::new();
        for state in [State::Ready, State::Scheduled, State::Pending, State::Dead] {
            seen.extend(self.looked_at(state).await);
        }
        assert!(seen.iter().any(|payload| payload == expected), "no {expected:?} among {seen:?}");
    }

    /// No message is left, not even a dead letter.
    ///
    /// # Panics
    ///
    /// Otherwise.
    pub async fn assert_empty(&self) {
        let counts = self.queue.counts().await;
        assert!(counts.as_ref().is_ok_and(|counts| counts.messages == 0), "{counts:?}");
    }

    async fn assert_state<P: fmt::Debug>(&self, state: State, expected: &[P])
    where
        T: PartialEq<P> + fmt::Debug,
    {
        let seen = self.looked_at(state).await;
        let same = seen.len() == expected.len() && seen.iter().zip(expected).all(|(a, b)| a == b);
        assert!(same, "{state} are {seen:?}, and not {expected:?}");
    }

    async fn looked_at(&self, state: State) -> Vec<T>
    where
        T: fmt::Debug,
    {
        let seen = self.payloads(state).await;
        assert!(seen.is_ok(), "{state} cannot be read: {seen:?}");
        seen.unwrap_or_default()
    }
}

/// What became of a delivery.
enum Became {
    Acked,
    Again,
    Dead,
    Lost,
}

impl Became {
    fn counter(self, drained: &mut Drained) -> &mut u64 {
        match self {
            Self::Acked => &mut drained.acked,
            Self::Again => &mut drained.again,
            Self::Dead => &mut drained.died,
            Self::Lost => &mut drained.lost,
        }
    }

    fn of(settled: Settled, done: Self) -> Self {
        if settled == Settled::Done { done } else { Self::Lost }
    }

    fn retried(retried: Retried) -> Self {
        match retried {
            Retried::Dead => Self::Dead,
            other => Self::of(other.settled(), Self::Again),
        }
    }
}

/// Handles and settles one delivery, as a worker does. A panic is the test's.
async fn handle<T: Payload, H: Handler<T>>(handler: &H, delivery: Delivery<T>) -> Result<Became> {
    let outcome = match delivery.payload() {
        Ok(payload) => {
            let context = Context::of(&delivery, CancellationToken::new());
            handler.handle(payload, context).await
        }
        Err(error) => Outcome::bury(error),
    };
    Ok(match outcome {
        Outcome::Ack => Became::of(delivery.ack().await?, Became::Acked),
        Outcome::Retry { error, after: None } => Became::retried(delivery.retry(&error).await?),
        Outcome::Retry { error, after: Some(after) } => {
            Became::retried(delivery.retry_after(after, &error).await?)
        }
        Outcome::Bury { reason } => Became::of(delivery.bury(&reason).await?, Became::Dead),
        Outcome::Release { after } => Became::of(delivery.release(after).await?, Became::Again),
    })
}
