//! Give waiting messages another due time.

use crate::error::Result;
use crate::name::MessageId;
use crate::script::{Args, Call, Reply, Script, lua};

pub(crate) static SCRIPT: Script = lua!("reschedule", allow_oom);

#[derive(Debug)]
pub(crate) struct Reschedule<'a> {
    pub(crate) ids: &'a [MessageId],
    pub(crate) due: &'a str,
}

/// What became of a message that was to be rescheduled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rescheduled {
    /// It waits for its new due time.
    Scheduled,
    /// The new due time is past: it is deliverable now.
    Ready,
    /// Unchanged: somebody holds it.
    Pending,
    /// Unchanged: it is a dead letter; redrive it.
    Dead,
    /// There is no such message.
    Missing,
    /// Not done yet: the call had its one ready message already.
    #[doc(hidden)]
    Deferred,
}

impl Call for Reschedule<'_> {
    type Reply = Vec<Rescheduled>;

    fn script(&self) -> &'static Script {
        &SCRIPT
    }

    fn write(&self, args: &mut Args<'_>) {
        for id in self.ids {
            args.show(id);
            args.add(self.due);
        }
    }

    fn read(&self, reply: Reply) -> Result<Self::Reply> {
        let words = [
            ("scheduled", Rescheduled::Scheduled),
            ("ready", Rescheduled::Ready),
            ("pending", Rescheduled::Pending),
            ("dead", Rescheduled::Dead),
            ("missing", Rescheduled::Missing),
            ("deferred", Rescheduled::Deferred),
        ];
        reply.list()?.map(|item| item.word(&words)).collect()
    }
}
