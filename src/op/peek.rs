//! One page of one state, in its order, without touching anything.

use std::num::NonZeroU32;

use crate::attempt::AttemptLine;
use crate::error::Result;
use crate::name::{MessageId, State};
use crate::record::Record;
use crate::script::{Args, Call, Reply, Script, lua, next};

pub(crate) static SCRIPT: Script = lua!("peek", no_writes);

#[derive(Debug)]
pub(crate) struct Peek {
    pub(crate) state: State,
    pub(crate) start: u64,
    pub(crate) limit: NonZeroU32,
    pub(crate) bytes: u64,
}

#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) next: Option<u64>,
    pub(crate) messages: Vec<Peeked>,
}

#[derive(Debug)]
pub(crate) struct Peeked {
    pub(crate) id: MessageId,
    pub(crate) at_ms: Option<u64>,
    pub(crate) record: Record,
    pub(crate) line: AttemptLine,
}

impl Call for Peek {
    type Reply = Page;

    fn script(&self) -> &'static Script {
        &SCRIPT
    }

    fn write(&self, args: &mut Args<'_>) {
        args.add(self.state.as_str());
        args.show(self.start);
        args.show(self.limit);
        args.show(self.bytes);
    }

    fn read(&self, reply: Reply) -> Result<Self::Reply> {
        let mut items = reply.list()?;
        let next_start = next(&SCRIPT, &mut items)?.number()?;
        let mut messages = Vec::new();
        while let Some(id) = items.next() {
            let at = next(&SCRIPT, &mut items)?.text()?;
            let record = next(&SCRIPT, &mut items)?.optional_bytes()?;
            let line = next(&SCRIPT, &mut items)?.bytes()?;
            // A ghost has no record; an id that is no ULID came from elsewhere.
            if let (Ok(id), Some(record)) = (id.text().and_then(|id| id.parse()), record) {
                messages.push(Peeked {
                    id,
                    at_ms: at.parse().ok(),
                    record: Record::parse(record),
                    line: AttemptLine::parse(&line),
                });
            }
        }
        Ok(Page { next: Some(next_start).filter(|start| *start > 0), messages })
    }
}
