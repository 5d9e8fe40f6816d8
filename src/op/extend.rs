//! Move the deadlines of leases later; the receipts stay as they are.

use std::time::Duration;

use crate::attempt::Receipt;
use crate::backoff::millis;
use crate::error::Result;
use crate::metrics::Meter;
use crate::script::{Args, Call, Reply, Script, lua};

pub(crate) static SCRIPT: Script = lua!("extend", allow_oom);

#[derive(Debug)]
pub(crate) struct Extend(pub(crate) Vec<ExtendItem>);

#[derive(Debug, Clone, Copy)]
pub(crate) struct ExtendItem {
    pub(crate) receipt: Receipt,
    pub(crate) lease: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extended {
    Extended,
    Lost,
}

impl Call for Extend {
    type Reply = Vec<Extended>;

    fn script(&self) -> &'static Script {
        &SCRIPT
    }

    fn write(&self, args: &mut Args<'_>) {
        for item in &self.0 {
            args.show(item.receipt.id);
            args.show(item.receipt.attempt);
            args.show(millis(item.lease));
        }
    }

    fn read(&self, reply: Reply) -> Result<Self::Reply> {
        let words = [("extended", Extended::Extended), ("lost", Extended::Lost)];
        reply.list()?.map(|item| item.word(&words)).collect()
    }

    fn count(&self, _: &Self::Reply, _: bool, meter: &Meter) {
        meter.batch(SCRIPT.name, self.0.len());
    }
}
