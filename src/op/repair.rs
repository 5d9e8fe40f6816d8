//! Mend what is wrong with some ids, or with the queue as a whole, by what is true now.

use crate::damage::Damage;
use crate::error::Result;
use crate::script::{Args, Call, Reply, Script, lua, next};

pub(crate) static SCRIPT: Script = lua!("repair", allow_oom);

/// Subjects of one call: each may walk through the whole ready list.
pub(crate) const MAX_SUBJECTS: usize = 8;

/// Ids, or `=` and a deduplication key; none means the queue as a whole.
#[derive(Debug)]
pub(crate) struct Repair<'a>(pub(crate) &'a [Vec<u8>]);

impl Call for Repair<'_> {
    /// What was mended, and what was wrong with it.
    type Reply = Vec<(Vec<u8>, Damage)>;

    fn script(&self) -> &'static Script {
        &SCRIPT
    }

    fn write(&self, args: &mut Args<'_>) {
        for subject in self.0 {
            args.add(subject);
        }
    }

    fn read(&self, reply: Reply) -> Result<Self::Reply> {
        let words = Damage::ALL.map(|damage| (damage.as_str(), damage));
        let mut items = reply.list()?;
        let mut mended = Vec::new();
        while let Some(about) = items.next() {
            mended.push((about.bytes()?, next(&SCRIPT, &mut items)?.word(&words)?));
        }
        Ok(mended)
    }
}
