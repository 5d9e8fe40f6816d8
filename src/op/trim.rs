//! Keep the dead letters within their retention, oldest out first.

use std::time::Duration;

use crate::backoff::millis;
use crate::error::Result;
use crate::script::{Args, Call, MAX_ITEMS, Reply, Script, lua};

pub(crate) static SCRIPT: Script = lua!("trim", allow_oom);
/// Beyond this a Lua number is no longer exact.
const MAX_EXACT: u64 = (1 << 53) - 1;

#[derive(Debug)]
pub(crate) struct Trim {
    pub(crate) age: Duration,
    pub(crate) entries: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trimmed {
    pub(crate) trimmed: u64,
    pub(crate) more: bool,
}

impl Call for Trim {
    type Reply = Trimmed;

    fn script(&self) -> &'static Script {
        &SCRIPT
    }

    fn write(&self, args: &mut Args<'_>) {
        args.show(MAX_ITEMS);
        args.show(millis(self.age).min(MAX_EXACT));
        args.show(self.entries.min(MAX_EXACT));
    }

    fn read(&self, reply: Reply) -> Result<Self::Reply> {
        let [trimmed, more] = reply.fixed()?;
        Ok(Trimmed { trimmed: trimmed.number()?, more: more.number::<u64>()? > 0 })
    }
}
