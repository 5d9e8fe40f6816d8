//! The handling side of a worker: runs handlers, and settles what they answer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

use crate::backoff::MAX_DELAY;
use crate::context::Context;
use crate::delivery::{Delivery, Settled};
use crate::error::{Error, Result};
use crate::lease::{Care, Leases};
use crate::message::Payload;
use crate::metrics::Timer;
use crate::outcome::{IntoOutcome, Outcome};
use crate::spans;

/// How long a worker tries to settle what it has done before it leaves it to redelivery.
const SETTLE_PATIENCE: Duration = Duration::from_secs(60);

/// What handles messages: any `async fn(T, Context)` that returns `()`, an [`Outcome`] or a `Result`.
pub trait Handler<T>: Send + Sync + 'static {
    /// Handles one delivery. A panic counts as a failure.
    fn handle(&self, payload: T, context: Context) -> impl Future<Output = Outcome> + Send;
}

impl<T, F, Fut> Handler<T> for F
where
    T: Send,
    F: Fn(T, Context) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: IntoOutcome> + Send,
{
    fn handle(&self, payload: T, context: Context) -> impl Future<Output = Outcome> + Send {
        let handled = self(payload, context);
        async move { handled.await.into_outcome() }
    }
}

/// The handling side, shared by all tasks of a worker.
#[derive(Debug)]
pub(crate) struct Handling<H> {
    pub(crate) handler: H,
    /// Of each partition.
    pub(crate) leases: Arc<[Arc<Leases>]>,
    pub(crate) lease: Duration,
    pub(crate) cap: Duration,
    pub(crate) stop: CancellationToken,
}

impl<H> Handling<H> {
    /// Takes a delivery into care whose claim was sent then.
    pub(crate) fn care<T: Payload>(&self, delivery: &Delivery<T>, sent: Instant) -> Care {
        let leases = &self.leases[delivery.partition() as usize];
        Care::new(leases, delivery.receipt(), sent, self.lease)
    }

    pub(crate) async fn run<T: Payload>(&self, delivery: Delivery<T>, care: Care)
    where
        H: Handler<T>,
    {
        let span = delivery.span();
        self.handle(&delivery, &care, &span).instrument(span.clone()).await;
    }

    async fn handle<T: Payload>(&self, delivery: &Delivery<T>, care: &Care, span: &Span)
    where
        H: Handler<T>,
    {
        let lost = care.begin();
        let handled = caught(async {
            match delivery.payload() {
                Ok(payload) => self.handler.handle(payload, Context::of(delivery, lost)).await,
                // No handler can read it, so no attempt can succeed; the dead letter keeps its bytes.
                Err(error) => {
                    tracing::warn!(id = %delivery.id(), %error, "buried unread");
                    Outcome::bury(reason(&error))
                }
            }
        });
        let timer = Timer::start();
        let outcome = tokio::select! {
            biased;
            outcome = handled => outcome,
            () = sleep(self.cap) => {
                Outcome::retry(format!("the handler ran for more than {:?}", self.cap))
            }
            () = self.stop.cancelled() => Outcome::release_after(Duration::ZERO),
        };
        delivery.meter().handled(&timer);
        care.settle();
        spans::answered(span, &outcome);
        settle(delivery, &outcome).await;
    }
}

/// An error with what it came from.
fn reason(error: &Error) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

/// Turns a panic into a failure.
async fn caught(handled: impl Future<Output = Outcome>) -> Outcome {
    let mut handled = pin!(handled);
    std::future::poll_fn(|context| {
        match catch_unwind(AssertUnwindSafe(|| handled.as_mut().poll(context))) {
            Ok(poll) => poll,
            Err(panic) => Poll::Ready(Outcome::retry(format!("panic: {}", told(&*panic)))),
        }
    })
    .await
}

fn told(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

async fn settle<T: Payload>(delivery: &Delivery<T>, outcome: &Outcome) {
    let given_up = Instant::now() + SETTLE_PATIENCE;
    loop {
        match settle_once(delivery, outcome).await {
            Ok(Settled::Done) => return,
            Ok(lost) => {
                let (id, attempt) = (delivery.id(), delivery.attempt());
                tracing::warn!(%id, attempt, ?outcome, ?lost, "the lease was lost before settling");
                return;
            }
            Err(error) if error.is_transient() && Instant::now() < given_up => {}
            Err(error) => {
                tracing::error!(id = %delivery.id(), ?outcome, %error, "could not be settled");
                return;
            }
        }
    }
}

async fn settle_once<T: Payload>(delivery: &Delivery<T>, outcome: &Outcome) -> Result<Settled> {
    match outcome {
        Outcome::Ack => delivery.ack().await,
        Outcome::Retry { error, after } => {
            let after = after.map(|after| after.min(MAX_DELAY));
            Ok(delivery.settle_retry(after, error).await?.settled())
        }
        Outcome::Bury { reason } => delivery.bury(reason).await,
        Outcome::Release { after } => delivery.release((*after).min(MAX_DELAY)).await,
    }
}
