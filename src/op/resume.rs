//! Hand out messages again, and wake a worker for those that wait.

use crate::error::Result;
use crate::script::{Args, Call, Reply, Script, lua};

pub(crate) static SCRIPT: Script = lua!("resume", allow_oom);

#[derive(Debug)]
pub(crate) struct Resume;

impl Call for Resume {
    type Reply = ();

    fn script(&self) -> &'static Script {
        &SCRIPT
    }

    fn write(&self, _: &mut Args<'_>) {}

    fn read(&self, reply: Reply) -> Result<Self::Reply> {
        reply.word(&[("resumed", ())])
    }
}
