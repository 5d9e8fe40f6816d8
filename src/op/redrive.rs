//! Bring dead letters back to the tail of ready with their failures set to 0.

use std::num::NonZeroU32;

use crate::error::Result;
use crate::name::MessageId;
use crate::script::{Args, Call, Reply, Script, lua};

pub(crate) static SCRIPT: Script = lua!("redrive", allow_oom);

#[derive(Debug)]
pub(crate) struct Redrive<'a> {
    /// At most this many, when `ids` is empty.
    pub(crate) limit: NonZeroU32,
    /// Only what died up to then, in ms by the server's clock.
    pub(crate) before_ms: u64,
    pub(crate) ids: &'a [MessageId],
    /// Whether its caller goes on until none is left: it does no harm to take as many again.
    pub(crate) goes_on: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Redriven {
    pub(crate) redriven: u64,
    pub(crate) left: u64,
}

impl Call for Redrive<'_> {
    type Reply = Redriven;

    fn script(&self) -> &'static Script {
        &SCRIPT
    }

    fn write(&self, args: &mut Args<'_>) {
        args.show(self.limit);
        args.show(self.before_ms);
        for id in self.ids {
            args.show(id);
        }
    }

    /// Without ids it would take as many again.
    fn is_repeatable(&self) -> bool {
        self.goes_on || !self.ids.is_empty()
    }

    fn read(&self, reply: Reply) -> Result<Self::Reply> {
        let [redriven, left] = reply.fixed()?;
        Ok(Redriven { redriven: redriven.number()?, left: left.number()? })
    }
}
