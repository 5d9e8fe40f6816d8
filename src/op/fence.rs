//! Tell a partition how the queue is partitioned, and look up what it holds under some names.

use crate::error::Result;
use crate::name::{MessageId, State};
use crate::routing::Routing;
use crate::script::{Args, Call, Reply, Script, lua, next};

pub(crate) static SCRIPT: Script = lua!("fence", allow_oom);

#[derive(Debug)]
pub(crate) struct Fence<'a> {
    pub(crate) routing: Routing,
    /// `=KEY` or an id.
    pub(crate) names: &'a [String],
}

#[derive(Debug)]
pub(crate) struct Told {
    /// What holds in the partition now; the first one when it cannot be read.
    pub(crate) routing: Routing,
    pub(crate) messages: u64,
    /// What lives under each name; without an id where no client of this protocol made that.
    pub(crate) found: Vec<Option<(Option<MessageId>, State)>>,
}

impl Call for Fence<'_> {
    type Reply = Told;

    fn script(&self) -> &'static Script {
        &SCRIPT
    }

    fn write(&self, args: &mut Args<'_>) {
        if self.routing.epoch > 0 {
            args.show(self.routing);
        } else {
            args.add("");
        }
        for name in self.names {
            args.add(name);
        }
    }

    fn read(&self, reply: Reply) -> Result<Self::Reply> {
        let mut items = reply.list()?;
        let routing = Routing::read(&next(&SCRIPT, &mut items)?.text()?).unwrap_or_default();
        let messages = next(&SCRIPT, &mut items)?.number()?;
        let mut found = Vec::with_capacity(self.names.len());
        for _ in self.names {
            let (id, state) = (next(&SCRIPT, &mut items)?, next(&SCRIPT, &mut items)?.text()?);
            let state = (!state.is_empty()).then(|| state.parse()).transpose()?;
            found.push(match state {
                Some(state) => Some((id.text()?.parse().ok(), state)),
                None => None,
            });
        }
        Ok(Told { routing, messages, found })
    }
}
