//! Give deliveries back without spending a failure.

use std::time::Duration;

use crate::attempt::Receipt;
use crate::backoff::millis;
use crate::error::Result;
use crate::metrics::Meter;
use crate::script::{Args, Call, Reply, Script, lost, lua};

pub(crate) static SCRIPT: Script = lua!("release", allow_oom);

#[derive(Debug)]
pub(crate) struct Release(pub(crate) Vec<ReleaseItem>);

#[derive(Debug, Clone)]
pub(crate) struct ReleaseItem {
    pub(crate) receipt: Receipt,
    pub(crate) line: String,
    pub(crate) delay: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Released {
    Ready,
    Scheduled,
    Lost,
}

impl Call for Release {
    type Reply = Vec<Released>;

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
            ("ready", Released::Ready),
            ("scheduled", Released::Scheduled),
            ("lost", Released::Lost),
        ];
        reply.list()?.map(|item| item.word(&words)).collect()
    }

    fn count(&self, reply: &Self::Reply, repeated: bool, meter: &Meter) {
        meter.batch(SCRIPT.name, self.0.len());
        for released in reply {
            meter.settled(match released {
                Released::Ready | Released::Scheduled => "released",
                Released::Lost => lost(repeated),
            });
        }
    }
}
