//! Remove messages by id, wherever they are.

use crate::error::Result;
use crate::name::MessageId;
use crate::script::{Args, Call, Reply, Script, lua};

pub(crate) static SCRIPT: Script = lua!("cancel", allow_oom);

#[derive(Debug)]
pub(crate) struct Cancel<'a>(pub(crate) &'a [MessageId]);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removal {
    Done,
    Missing,
    /// Not done: the call had its one ready message already.
    Deferred,
}

impl Call for Cancel<'_> {
    type Reply = Vec<Removal>;

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
            ("cancelled", Removal::Done),
            ("missing", Removal::Missing),
            ("deferred", Removal::Deferred),
        ];
        reply.list()?.map(|item| item.word(&words)).collect()
    }
}
