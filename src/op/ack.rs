//! Settle deliveries as done; their messages are gone.

use crate::attempt::Receipt;
use crate::error::Result;
use crate::metrics::Meter;
use crate::script::{Args, Call, Reply, Script, lost, lua};

pub(crate) static SCRIPT: Script = lua!("ack", allow_oom);

#[derive(Debug)]
pub(crate) struct Ack(pub(crate) Vec<Receipt>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acked {
    Acked,
    Lost,
}

impl Call for Ack {
    type Reply = Vec<Acked>;

    fn script(&self) -> &'static Script {
        &SCRIPT
    }

    fn write(&self, args: &mut Args<'_>) {
        for receipt in &self.0 {
            args.show(receipt.id);
            args.show(receipt.attempt);
        }
    }

    fn read(&self, reply: Reply) -> Result<Self::Reply> {
        let words = [("acked", Acked::Acked), ("lost", Acked::Lost)];
        reply.list()?.map(|item| item.word(&words)).collect()
    }

    fn count(&self, reply: &Self::Reply, repeated: bool, meter: &Meter) {
        meter.batch(SCRIPT.name, self.0.len());
        for acked in reply {
            meter.settled(match acked {
                Acked::Acked => "acked",
                Acked::Lost => lost(repeated),
            });
        }
    }
}
