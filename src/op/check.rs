//! One bounded step of the proof that every message is in exactly one place.

use crate::error::Result;
use crate::script::{Args, Call, Reply, Script, lua, next};

static SCRIPT: Script = lua!("check", no_writes);

#[derive(Debug)]
pub(crate) struct Check<'a> {
    /// `messages`, a state, or `one`.
    pub(crate) place: &'a str,
    /// `0` at first; for `one` the id.
    pub(crate) cursor: &'a str,
    pub(crate) limit: usize,
}

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) next: Option<String>,
    pub(crate) seen: u64,
    pub(crate) findings: Vec<(String, Finding)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    Unplaced,
    Listed,
    Ghost,
    Twice,
    Orphan,
    Placed,
    Gone,
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
        let words = [
            ("unplaced", Finding::Unplaced),
            ("listed", Finding::Listed),
            ("ghost", Finding::Ghost),
            ("twice", Finding::Twice),
            ("orphan", Finding::Orphan),
            ("placed", Finding::Placed),
            ("gone", Finding::Gone),
        ];
        let mut items = reply.list()?;
        let cursor = next(&SCRIPT, &mut items)?.text()?;
        let seen = next(&SCRIPT, &mut items)?.number()?;
        let mut findings = Vec::new();
        while let Some(id) = items.next() {
            let id = String::from_utf8_lossy(&id.bytes()?).into_owned();
            findings.push((id, next(&SCRIPT, &mut items)?.word(&words)?));
        }
        Ok(Step { next: Some(cursor).filter(|cursor| cursor != "0"), seen, findings })
    }
}
