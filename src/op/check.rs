//! One bounded step of the proof that every message is in exactly one place.

use crate::damage::Damage;
use crate::error::Result;
use crate::script::{Args, Call, Reply, Script, lua, next};

pub(crate) static SCRIPT: Script = lua!("check", no_writes);

#[derive(Debug)]
pub(crate) struct Check<'a> {
    /// A key to read page by page, `queue` or `types` as a whole, `one` or `near` alone.
    pub(crate) place: &'a str,
    /// `0` at first; for `one` and `near` the id, or `=` and a deduplication key.
    pub(crate) cursor: &'a [u8],
    pub(crate) limit: usize,
}

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) next: Option<Vec<u8>>,
    pub(crate) seen: u64,
    /// What each is about: an id, `=` and a key, or the name of a key or a counter.
    pub(crate) findings: Vec<(Vec<u8>, Finding)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    Unplaced,
    Listed,
    Placed,
    Gone,
    Damaged(Damage),
}

impl Call for Check<'_> {
    type Reply = Step;

    fn script(&self) -> &'static Script {
        &SCRIPT
    }

    fn write(&self, args: &mut Args<'_>) {
        args.add(self.place);
        args.add(self.cursor);
        args.show(self.limit);
    }

    fn read(&self, reply: Reply) -> Result<Self::Reply> {
        let sound = [
            ("unplaced", Finding::Unplaced),
            ("listed", Finding::Listed),
            ("placed", Finding::Placed),
            ("gone", Finding::Gone),
        ];
        let damaged = Damage::ALL.map(|damage| (damage.as_str(), Finding::Damaged(damage)));
        let words = [&sound[..], &damaged].concat();
        let mut items = reply.list()?;
        let cursor = next(&SCRIPT, &mut items)?.bytes()?;
        let seen = next(&SCRIPT, &mut items)?.number()?;
        let mut findings = Vec::new();
        while let Some(about) = items.next() {
            findings.push((about.bytes()?, next(&SCRIPT, &mut items)?.word(&words)?));
        }
        Ok(Step { next: Some(cursor).filter(|cursor| cursor != b"0"), seen, findings })
    }
}
