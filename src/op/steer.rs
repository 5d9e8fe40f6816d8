//! Swap the text of the queue's redrive task, and redrive dead letters in the same change.

use crate::error::Result;
use crate::name::MessageId;
use crate::script::{Args, Call, Reply, Script, lua};

pub(crate) static SCRIPT: Script = lua!("steer", allow_oom);

#[derive(Debug, Default)]
pub(crate) struct Steer<'a> {
    /// The text as the caller knows it, empty for no task.
    pub(crate) expected: &'a str,
    pub(crate) text: &'a str,
    /// At most this many, when `ids` is empty.
    pub(crate) limit: u32,
    /// Only what died up to then, in ms by the server's clock.
    pub(crate) before_ms: u64,
    pub(crate) ids: &'a [MessageId],
}

#[derive(Debug)]
pub(crate) struct Steered {
    pub(crate) now_ms: u64,
    /// Ever redriven by tasks of this queue.
    pub(crate) driven: u64,
    pub(crate) left: u64,
    /// The text as it is, when it is not the expected one: nothing was changed.
    pub(crate) lost: Option<String>,
}

impl Call for Steer<'_> {
    type Reply = Steered;

    fn script(&self) -> &'static Script {
        &SCRIPT
    }

    fn write(&self, args: &mut Args<'_>) {
        args.add(self.expected);
        args.add(self.text);
        args.show(self.limit);
        args.show(self.before_ms);
        for id in self.ids {
            args.show(id);
        }
    }

    fn read(&self, reply: Reply) -> Result<Self::Reply> {
        let [word, now, _redriven, driven, left, text] = reply.fixed()?;
        let lost = word.word(&[("steered", false), ("lost", true)])?;
        Ok(Steered {
            now_ms: now.number()?,
            driven: driven.number()?,
            left: left.number()?,
            lost: if lost {
                Some(String::from_utf8_lossy(&text.bytes()?).into_owned())
            } else {
                None
            },
        })
    }
}
