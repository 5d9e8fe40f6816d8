//! Put new messages into ready, or into scheduled when they are due later.

use crate::error::Result;
use crate::message::Prepared;
use crate::metrics::Meter;
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

impl Placed {
    /// A repeated call that finds its own message has pushed it by its first try.
    pub(crate) fn of(self, id: MessageId, repeated: bool) -> Self {
        match self {
            Self::Duplicate { id: first, state } if repeated && first == id => match state {
                State::Scheduled => Self::Scheduled,
                _ => Self::Ready,
            },
            placed => placed,
        }
    }
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

    fn count(&self, reply: &Self::Reply, repeated: bool, meter: &Meter) {
        meter.batch(SCRIPT.name, self.0.len());
        for (item, placed) in self.0.iter().zip(reply) {
            meter.pushed(match placed.of(item.id, repeated) {
                Placed::Ready => "ready",
                Placed::Scheduled => "scheduled",
                Placed::Duplicate { .. } => "duplicate",
                Placed::Full { .. } => "limited",
            });
        }
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
