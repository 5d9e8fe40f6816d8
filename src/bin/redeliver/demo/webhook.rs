//! The demo's input: webhook deliveries whose receivers are well, flaky or gone.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One delivery on each line.
pub(crate) const ALL: &str = include_str!("../../../../examples/webhooks.ndjson");

/// A webhook delivery.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Webhook {
    pub(crate) id: String,
    pub(crate) event: String,
    pub(crate) created: String,
    pub(crate) url: String,
    pub(crate) receiver: Receiver,
    pub(crate) body: Value,
}

/// How the receiver takes it. No network is needed for a demo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub(crate) enum Receiver {
    /// At once.
    Ok,
    /// After some failures.
    Flaky { failures: u64, error: String },
    /// Never, until it is mended.
    Gone { error: String },
}

impl Webhook {
    /// What the receiver answers to an attempt, counted from 1.
    pub(crate) fn answer(&self, attempt: u64, mended: bool) -> Result<(), &str> {
        match &self.receiver {
            Receiver::Flaky { failures, error } if attempt <= *failures => Err(error),
            Receiver::Gone { error } if !mended => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_webhook_that_some_attempt_delivers_once_receivers_are_mended() {
        let mut gone = 0;
        for line in ALL.lines() {
            let webhook: Webhook = serde_json::from_str(line).unwrap();
            assert!(webhook.answer(3, true).is_ok(), "{line}");
            gone += usize::from(webhook.answer(3, false).is_err());
        }
        assert!(ALL.lines().count() >= 200);
        assert!(gone > 0);
    }
}
