//! Hand out nothing until resumed.

use crate::error::Result;
use crate::script::{Args, Call, Reply, Script, lua};

pub(crate) static SCRIPT: Script = lua!("pause", allow_oom);

#[derive(Debug)]
pub(crate) struct Pause;

impl Call for Pause {
    type Reply = ();

    fn script(&self) -> &'static Script {
        &SCRIPT
    }

    fn write(&self, _: &mut Args<'_>) {}

    fn read(&self, reply: Reply) -> Result<Self::Reply> {
        reply.word(&[("paused", ())])
    }
}
