//! Remove dead letters for good.

use crate::error::Result;
use crate::name::MessageId;
use crate::script::{Args, Call, MAX_ITEMS, Reply, Script, lua};

static SCRIPT: Script = lua!("purge", allow_oom);

#[derive(Debug)]
pub(crate) struct Purge<'a> {
    /// At most this many, when `ids` is empty.
    pub(crate) limit: usize,
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
        args.show(self.limit.clamp(1, MAX_ITEMS));
        args.show(self.before_ms);
        for id in self.ids {
            args.show(id);
        }
    }

    fn read(&self, reply: Reply) -> Result<Self::Reply> {
        let [purged, left] = reply.fixed()?;
        Ok(Purged {
            purged: purged.number()?,
            left: left.number()?,
        })
    }
}
