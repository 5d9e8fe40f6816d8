//! Where some messages are, and what they hold, by id.

use crate::attempt::AttemptLine;
use crate::error::Result;
use crate::name::{MessageId, State};
use crate::record::Record;
use crate::script::{Args, Call, Reply, Script, lua};

pub(crate) static SCRIPT: Script = lua!("find", no_writes);

#[derive(Debug)]
pub(crate) struct Find<'a>(pub(crate) &'a [MessageId]);

#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) state: State,
    pub(crate) at_ms: Option<u64>,
    pub(crate) record: Record,
    pub(crate) line: AttemptLine,
}

impl Call for Find<'_> {
    type Reply = Vec<Option<Found>>;

    fn script(&self) -> &'static Script {
        &SCRIPT
    }

    fn write(&self, args: &mut Args<'_>) {
        for id in self.0 {
            args.show(id);
        }
    }

    fn read(&self, reply: Reply) -> Result<Self::Reply> {
        reply.list()?.map(found).collect()
    }
}

fn found(reply: Reply) -> Result<Option<Found>> {
    let [state, at, record, line] = reply.fixed()?;
    let state = state.text()?;
    if state == "missing" {
        return Ok(None);
    }
    Ok(Some(Found {
        state: state.parse()?,
        at_ms: at.text()?.parse().ok(),
        record: Record::parse(record.bytes()?),
        line: AttemptLine::parse(&line.bytes()?),
    }))
}
