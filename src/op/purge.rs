//! Remove dead letters for good.

use std::num::NonZeroU32;

use crate::error::Result;
use crate::name::MessageId;
use crate::script::{Args, Call, Reply, Script, lua};

pub(crate) static SCRIPT: Script = lua!("purge", allow_oom);

#[derive(Debug)]
pub(crate) struct Purge<'a> {
    /// At most this many, when `ids` is empty.
    pub(crate) limit: NonZeroU32,
    /// Only what died up to then, in ms by the server's clock.
    pub(crate) before_ms: u64,
    pub(crate) ids: &'a [MessageId],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Purged {
    pub(crate) purged: u64,
    pub(crate) left: u64,
}

impl Call for Purge<'_> {
    type Reply = Purged;

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
        !self.ids.is_empty()
    }

    fn read(&self, reply: Reply) -> Result<Self::Reply> {
        let [purged, left] = reply.fixed()?;
        Ok(Purged { purged: purged.number()?, left: left.number()? })
    }
}
