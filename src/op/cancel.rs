//! Remove messages by id, wherever they are.

use crate::error::Result;
use crate::name::MessageId;
use crate::script::{Args, Call, Reply, Script, lua};

pub(crate) static SCRIPT: Script = lua!("cancel", allow_oom);

#[derive(Debug)]
pub(crate) struct Cancel<'a>(pub(crate) &'a [MessageId]);

/// What became of a message that was to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cancelled {
    /// Removed, by this call.
    Done,
    /// There is no such message.
    Missing,
    /// There is none now, and the answer to a first try was lost: most likely it was removed by that.
    Unknown,
    /// Not done yet: the call had its one ready message already.
    #[doc(hidden)]
    Deferred,
}

impl Call for Cancel<'_> {
    type Reply = Vec<Cancelled>;

    fn script(&self) -> &'static Script {
        &SCRIPT
    }

    fn write(&self, args: &mut Args<'_>) {
        for id in self.0 {
            args.show(id);
        }
    }

    fn read(&self, reply: Reply) -> Result<Self::Reply> {
        let words = [
            ("cancelled", Cancelled::Done),
            ("missing", Cancelled::Missing),
            ("deferred", Cancelled::Deferred),
        ];
        reply.list()?.map(|item| item.word(&words)).collect()
    }
}
