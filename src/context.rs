//! What a handler knows about its delivery.

use tokio_util::sync::CancellationToken;

use crate::attempt::Failure;
use crate::delivery::Delivery;
use crate::message::{Header, Payload};
use crate::name::MessageId;

/// The delivery that a handler is working on.
#[derive(Debug, Clone)]
pub struct Context {
    id: MessageId,
    attempt: u64,
    claimed_ms: u64,
    failures: u64,
    max_attempts: u32,
    header: Header,
    history: Vec<Failure>,
    lost: CancellationToken,
}

impl Context {
    pub(crate) fn of<T: Payload>(delivery: &Delivery<T>, lost: CancellationToken) -> Self {
        Self {
            id: delivery.id(),
            attempt: delivery.attempt(),
            claimed_ms: delivery.claimed_ms(),
            failures: delivery.failures(),
            max_attempts: delivery.max_attempts(),
            header: delivery.header().clone(),
            history: delivery.history().to_vec(),
            lost,
        }
    }

    /// The message's id: the same at every delivery, so a good key against doing things twice.
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// Which delivery this is, counted from 1.
    pub fn attempt(&self) -> u64 {
        self.attempt
    }

    /// When it was claimed: ms since 1970 by the server's clock.
    pub fn claimed_ms(&self) -> u64 {
        self.claimed_ms
    }

    /// How many failures the message has behind it since its push or its last redrive.
    pub fn failures(&self) -> u64 {
        self.failures
    }

    /// Failures after which the message dies; 0 = never.
    pub fn max_attempts(&self) -> u32 {
        self.max_attempts
    }

    /// Whether a failure now is the last one.
    pub fn is_last_attempt(&self) -> bool {
        self.max_attempts > 0 && self.failures + 1 >= u64::from(self.max_attempts)
    }

    /// Kind, content type and the user's headers.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The last failures, newest first.
    pub fn history(&self) -> &[Failure] {
        &self.history
    }

    /// Resolves when the lease is lost: somebody else may start on the message at any moment, and
    /// whatever the handler answers no longer counts.
    pub async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Whether the lease is lost.
    pub fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }
}
