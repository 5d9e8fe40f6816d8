//! Hand out the oldest ready messages under a lease.

use std::time::Duration;

use crate::attempt::AttemptLine;
use crate::backoff::millis;
use crate::error::Result;
use crate::metrics::Meter;
use crate::name::MessageId;
use crate::record::Record;
use crate::script::{Args, Call, Reply, Script, lua, next};

pub(crate) static SCRIPT: Script = lua!("claim", allow_oom);

#[derive(Debug)]
pub(crate) struct Claim {
    /// 0 takes nothing and rings the bell while something is ready.
    pub(crate) limit: u32,
    pub(crate) bytes: u64,
    pub(crate) lease: Duration,
}

/// What a claim handed out.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) left: Left,
    /// When the leases end, in ms by the server's clock.
    pub(crate) deadline_ms: u64,
    pub(crate) messages: Vec<ClaimedMessage>,
}

/// What a claim left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    More,
    Empty,
    Paused,
}

#[derive(Debug)]
pub(crate) struct ClaimedMessage {
    pub(crate) id: MessageId,
    pub(crate) record: Record,
    pub(crate) line: AttemptLine,
}

impl Call for Claim {
    type Reply = Claimed;

    fn script(&self) -> &'static Script {
        &SCRIPT
    }

    fn write(&self, args: &mut Args<'_>) {
        args.show(self.limit);
        args.show(self.bytes);
        args.show(millis(self.lease));
    }

    fn read(&self, reply: Reply) -> Result<Self::Reply> {
        let mut items = reply.list()?;
        let words = [("more", Left::More), ("empty", Left::Empty), ("paused", Left::Paused)];
        let left = next(&SCRIPT, &mut items)?.word(&words)?;
        let deadline_ms = next(&SCRIPT, &mut items)?.number()?;
        let mut messages = Vec::with_capacity(items.size_hint().0 / 3);
        while let Some(id) = items.next() {
            let record = next(&SCRIPT, &mut items)?.bytes()?;
            let line = next(&SCRIPT, &mut items)?.bytes()?;
            // An id that is no ULID came from elsewhere; its lease ends, and spends a failure.
            let Ok(id) = id.text().and_then(|id| id.parse()) else {
                continue;
            };
            messages.push(ClaimedMessage {
                id,
                record: Record::parse(record),
                line: AttemptLine::parse(&line),
            });
        }
        Ok(Claimed { left, deadline_ms, messages })
    }

    fn count(&self, reply: &Self::Reply, _: bool, meter: &Meter) {
        if !reply.messages.is_empty() {
            meter.batch(SCRIPT.name, reply.messages.len());
        }
    }
}
