//! Put new messages into ready, or into scheduled when they are due later.

use crate::error::Result;
use crate::message::Prepared;
use crate::name::{MessageId, State};
use crate::script::{Args, Call, Reply, Script, lua};

pub(crate) static SCRIPT: Script = lua!("push");

#[derive(Debug)]
pub(crate) struct Push(pub(crate) Vec<Prepared>);

/// What became of one message of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placed {
    Ready,
    Scheduled,
    Duplicate {
        id: MessageId,
        state: State,
    },
    /// Refused by this cap: nothing of it was written.
    Full {
        cap: &'static str,
        limit: u64,
    },
}

impl Call for Push {
    type Reply = Vec<Placed>;

    fn script(&self) -> &'static Script {
        &SCRIPT
    }

    fn write(&self, args: &mut Args<'_>) {
        for item in &self.0 {
            args.show(item.id);
            args.add(&item.record);
            args.add(&item.key);
            args.add(&item.due);
        }
    }

    fn read(&self, reply: Reply) -> Result<Self::Reply> {
        reply.list()?.map(placed).collect()
    }
}

fn placed(reply: Reply) -> Result<Placed> {
    if !reply.is_list() {
        return reply.word(&[("ready", Placed::Ready), ("scheduled", Placed::Scheduled)]);
    }
    let [word, first, second] = reply.fixed()?;
    if word.word(&[("duplicate", true), ("full", false)])? {
        Ok(Placed::Duplicate { id: first.text()?.parse()?, state: second.text()?.parse()? })
    } else {
        let caps = [("max_ready", "max_ready"), ("max_bytes", "max_bytes")];
        Ok(Placed::Full { cap: first.word(&caps)?, limit: second.number()? })
    }
}
