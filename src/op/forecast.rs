//! How many messages fall due, and how many leases end, up to some times to come.

use std::time::Duration;

use crate::backoff::millis;
use crate::error::Result;
use crate::script::{Args, Call, Reply, Script, lua, next};

pub(crate) static SCRIPT: Script = lua!("forecast", no_writes);

#[derive(Debug)]
pub(crate) struct Ahead<'a>(pub(crate) &'a [Duration]);

/// What is to come, counted from the earliest time up to each of those that were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Forecast {
    /// The server's clock, in ms since 1970.
    pub now_ms: u64,
    /// For each time: scheduled messages that are due by then.
    pub scheduled: Vec<u64>,
    /// For each time: pending messages whose lease has ended by then, unless it is extended.
    pub pending: Vec<u64>,
}

impl Forecast {
    /// That of several partitions together.
    pub(crate) fn sum(parts: Vec<Self>) -> Self {
        let add = |sum: Vec<u64>, more: Vec<u64>| sum.into_iter().zip(more).map(|(a, b)| a + b);
        let both = |sum: Self, more: Self| Self {
            now_ms: sum.now_ms.max(more.now_ms),
            scheduled: add(sum.scheduled, more.scheduled).collect(),
            pending: add(sum.pending, more.pending).collect(),
        };
        parts.into_iter().reduce(both).unwrap_or_default()
    }
}

impl Call for Ahead<'_> {
    type Reply = Forecast;

    fn script(&self) -> &'static Script {
        &SCRIPT
    }

    fn write(&self, args: &mut Args<'_>) {
        for ahead in self.0 {
            args.show(millis(*ahead));
        }
    }

    fn read(&self, reply: Reply) -> Result<Self::Reply> {
        let mut items = reply.list()?;
        let now_ms = next(&SCRIPT, &mut items)?.number()?;
        let mut told = Forecast { now_ms, ..Forecast::default() };
        for _ in self.0 {
            told.scheduled.push(next(&SCRIPT, &mut items)?.number()?);
            told.pending.push(next(&SCRIPT, &mut items)?.number()?);
        }
        Ok(told)
    }
}
