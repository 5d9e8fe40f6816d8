//! Put new messages into ready, or into scheduled when they are due later.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::message::Prepared;
use crate::metrics::Meter;
use crate::name::{MessageId, State};
use crate::routing::Routing;
use crate::script::{Args, Call, Reply, Script, lua, next};

pub(crate) static SCRIPT: Script = lua!("push");

#[derive(Debug)]
pub(crate) struct Push(pub(crate) Vec<Routed>);

/// A message on its way to a partition.
#[derive(Debug, Clone)]
pub(crate) struct Routed {
    pub(crate) message: Arc<Prepared>,
    /// What it was routed by.
    pub(crate) routing: Routing,
}

impl Push {
    /// The oldest one that any item came by: a newer item that is refused for it is only asked for
    /// once more.
    fn routing(&self) -> Routing {
        let routings = self.0.iter().map(|item| item.routing);
        routings.min_by_key(|routing| routing.epoch).unwrap_or_default()
    }
}

/// What became of one message of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placed {
    Ready,
    Scheduled,
    Duplicate {
        id: MessageId,
        state: State,
    },
    /// The same, but no client of this protocol made that message's id.
    Foreign,
    /// Refused by this cap: nothing of it was written.
    Full {
        cap: &'static str,
        limit: u64,
    },
    /// Refused, because the queue is partitioned otherwise by now.
    Moved(Routing),
}

impl Placed {
    /// The key, or the id, belongs to a message already.
    pub(crate) fn held_by(id: Option<MessageId>, state: State) -> Self {
        id.map_or(Self::Foreign, |id| Self::Duplicate { id, state })
    }

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
        let routing = self.routing();
        if routing.epoch > 0 {
            args.show(routing);
        }
        for Routed { message, .. } in &self.0 {
            args.show(message.id);
            args.add(&message.record);
            args.add(&message.key);
            args.add(&message.due);
        }
    }

    fn read(&self, reply: Reply) -> Result<Self::Reply> {
        reply.list()?.map(placed).collect()
    }

    fn count(&self, reply: &Self::Reply, repeated: bool, meter: &Meter) {
        meter.batch(SCRIPT.name, self.0.len());
        for (item, placed) in self.0.iter().zip(reply) {
            meter.pushed(match placed.of(item.message.id, repeated) {
                Placed::Ready => "ready",
                Placed::Scheduled => "scheduled",
                Placed::Duplicate { .. } | Placed::Foreign => "duplicate",
                Placed::Full { .. } => "limited",
                // It is pushed elsewhere, and counted there.
                Placed::Moved(_) => continue,
            });
        }
    }
}

fn placed(reply: Reply) -> Result<Placed> {
    if !reply.is_list() {
        return reply.word(&[("ready", Placed::Ready), ("scheduled", Placed::Scheduled)]);
    }
    let mut items = reply.list()?;
    let mut next = || next(&SCRIPT, &mut items);
    let word = next()?;
    Ok(match word.word(&[("duplicate", 0), ("full", 1), ("moved", 2)])? {
        0 => Placed::held_by(next()?.text()?.parse().ok(), next()?.text()?.parse()?),
        1 => {
            let caps = [("max_ready", "max_ready"), ("max_bytes", "max_bytes")];
            Placed::Full { cap: next()?.word(&caps)?, limit: next()?.number()? }
        }
        _ => {
            let text = next()?.text()?;
            Placed::Moved(Routing::read(&text).ok_or_else(|| Error::reply(SCRIPT.name, text))?)
        }
    })
}
