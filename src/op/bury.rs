//! Settle deliveries as hopeless; they go to the dead letters at once.

use crate::attempt::Receipt;
use crate::error::Result;
use crate::metrics::Meter;
use crate::script::{Args, Call, Reply, Script, lost, lua};

pub(crate) static SCRIPT: Script = lua!("bury", allow_oom);

#[derive(Debug)]
pub(crate) struct Bury(pub(crate) Vec<BuryItem>);

#[derive(Debug, Clone)]
pub(crate) struct BuryItem {
    pub(crate) receipt: Receipt,
    pub(crate) line: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Buried {
    Dead,
    Lost,
}

impl Call for Bury {
    type Reply = Vec<Buried>;

    fn script(&self) -> &'static Script {
        &SCRIPT
    }

    fn write(&self, args: &mut Args<'_>) {
        for item in &self.0 {
            args.show(item.receipt.id);
            args.show(item.receipt.attempt);
            args.add(&item.line);
        }
    }

    fn read(&self, reply: Reply) -> Result<Self::Reply> {
        let words = [("dead", Buried::Dead), ("lost", Buried::Lost)];
        reply.list()?.map(|item| item.word(&words)).collect()
    }

    fn count(&self, reply: &Self::Reply, repeated: bool, meter: &Meter) {
        meter.batch(SCRIPT.name, self.0.len());
        for buried in reply {
            meter.settled(match buried {
                Buried::Dead => "buried",
                Buried::Lost => lost(repeated),
            });
        }
    }
}
