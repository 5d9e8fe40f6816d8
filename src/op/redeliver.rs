//! Bring back what is due (promoted) and what nobody acknowledged (reclaimed).

use std::num::NonZeroU32;
use std::time::Duration;

use crate::error::Result;
use crate::metrics::Meter;
use crate::script::{Args, Call, Reply, Script, lua};

pub(crate) static SCRIPT: Script = lua!("redeliver", allow_oom);

#[derive(Debug)]
pub(crate) struct Redeliver<'a> {
    pub(crate) limit: NonZeroU32,
    pub(crate) poller: &'a str,
}

/// What one pass of redelivery did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redelivered {
    /// Scheduled messages that fell due and are ready now.
    pub promoted: u64,
    /// Messages whose lease ended and that are ready again.
    pub reclaimed: u64,
    /// Messages whose lease ended with their failures spent: dead letters now.
    pub died: u64,
    /// Ids without a record, dropped.
    pub ghosts: u64,
    /// Whether the pass was full and more is due.
    pub more: bool,
    /// How long until the next look, with the server's microseconds.
    pub next: Duration,
    /// How late the pass came for the earliest message that it moved; only a poller, which knew when
    /// that would fall due, can tell.
    pub late: Option<Duration>,
}

impl Redelivered {
    /// That of several partitions together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            promoted: self.promoted + other.promoted,
            reclaimed: self.reclaimed + other.reclaimed,
            died: self.died + other.died,
            ghosts: self.ghosts + other.ghosts,
            more: self.more || other.more,
            next: self.next.min(other.next),
            late: self.late.max(other.late),
        }
    }
}

impl Call for Redeliver<'_> {
    type Reply = Redelivered;

    fn script(&self) -> &'static Script {
        &SCRIPT
    }

    fn write(&self, args: &mut Args<'_>) {
        args.show(self.limit);
        args.add(self.poller);
    }

    fn read(&self, reply: Reply) -> Result<Self::Reply> {
        let [promoted, reclaimed, died, ghosts, more, next] = reply.fixed()?;
        Ok(Redelivered {
            promoted: promoted.number()?,
            reclaimed: reclaimed.number()?,
            died: died.number()?,
            ghosts: ghosts.number()?,
            more: more.number::<u64>()? > 0,
            next: Duration::from_micros(next.number()?),
            late: None,
        })
    }

    fn count(&self, reply: &Self::Reply, _: bool, meter: &Meter) {
        meter.moved("promoted", reply.promoted);
        meter.moved("reclaimed", reply.reclaimed);
        meter.moved("died", reply.died);
    }
}
