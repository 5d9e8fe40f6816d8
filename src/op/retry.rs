//! Settle deliveries as failed; they come back after a delay, or die when spent.

use std::time::Duration;

use crate::attempt::Receipt;
use crate::backoff::millis;
use crate::error::Result;
use crate::metrics::Meter;
use crate::script::{Args, Call, Reply, Script, lost, lua};

pub(crate) static SCRIPT: Script = lua!("retry", allow_oom);

#[derive(Debug)]
pub(crate) struct Retry(pub(crate) Vec<RetryItem>);

#[derive(Debug, Clone)]
pub(crate) struct RetryItem {
    pub(crate) receipt: Receipt,
    pub(crate) line: String,
    pub(crate) delay: Duration,
}

/// Where a failed delivery went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    Scheduled,
    Ready,
    Dead,
    Lost,
}

impl Call for Retry {
    type Reply = Vec<Failed>;

    fn script(&self) -> &'static Script {
        &SCRIPT
    }

    fn write(&self, args: &mut Args<'_>) {
        for item in &self.0 {
            args.show(item.receipt.id);
            args.show(item.receipt.attempt);
            args.add(&item.line);
            args.show(millis(item.delay));
        }
    }

    fn read(&self, reply: Reply) -> Result<Self::Reply> {
        let words = [
            ("scheduled", Failed::Scheduled),
            ("ready", Failed::Ready),
            ("dead", Failed::Dead),
            ("lost", Failed::Lost),
        ];
        reply.list()?.map(|item| item.word(&words)).collect()
    }

    fn count(&self, reply: &Self::Reply, repeated: bool, meter: &Meter) {
        meter.batch(SCRIPT.name, self.0.len());
        for failed in reply {
            meter.settled(match failed {
                Failed::Scheduled | Failed::Ready => "retried",
                Failed::Dead => "died",
                Failed::Lost => lost(repeated),
            });
        }
    }
}
