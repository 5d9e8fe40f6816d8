//! Remove a whole queue.

use crate::error::Result;
use crate::script::{Args, Call, Reply, Script, lua};

pub(crate) static SCRIPT: Script = lua!("destroy", allow_oom);

#[derive(Debug)]
pub(crate) struct Destroy;

impl Call for Destroy {
    /// How many messages went.
    type Reply = u64;

    fn script(&self) -> &'static Script {
        &SCRIPT
    }

    fn write(&self, _: &mut Args<'_>) {}

    fn read(&self, reply: Reply) -> Result<Self::Reply> {
        reply.number()
    }
}
